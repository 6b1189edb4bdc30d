import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { saslprep } from '@mongodb-js/saslprep'
import type { ScramMechanism, ScramSecrets } from './store.ts'

export type PasswordFault = 'too-short' | 'too-long' | 'not-allowed' | 'busy'

/** A password cannot be taken (`too-short`, `too-long`, `not-allowed` characters), or too many wait to be computed (`busy`). */
export class PasswordError extends Error {
  override readonly name = 'PasswordError'
  readonly fault: PasswordFault
  constructor(fault: PasswordFault) {
    super(`password ${fault}`)
    this.fault = fault
  }
}

export interface PasswordOptions {
  /** PBKDF2 rounds of new passwords. */
  readonly iterations: number
  /** In characters, after preparation. */
  readonly minLength: number
  /** In UTF-8 bytes, before preparation. */
  readonly maxBytes: number
  /** Derivations at a time; the thread pool is shared with DNS and files. */
  readonly concurrency: number
  /** Derivations waiting, above which the answer is `busy`. */
  readonly maxWaiting: number
}
export const PASSWORD_DEFAULTS: PasswordOptions = {
  iterations: 10_000,
  minLength: 8,
  maxBytes: 1024,
  concurrency: 2,
  maxWaiting: 256,
}

export const SALT_BYTES = 16
const MECHANISMS: readonly ScramMechanism[] = ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const DIGESTS = {
  'SCRAM-SHA-1': { name: 'sha1', bytes: 20 },
  'SCRAM-SHA-256': { name: 'sha256', bytes: 32 },
  'SCRAM-SHA-512': { name: 'sha512', bytes: 64 },
} as const

/** The mechanism's hash function: node's name for it, and its length in bytes. */
export const digestOf = (mechanism: ScramMechanism): { readonly name: string; readonly bytes: number } =>
  DIGESTS[mechanism]

const derive = promisify(pbkdf2)

/** Prepares a password (RFC 4013); unassigned code points pass, since clients let them pass. */
function prepare(password: string): string | undefined {
  try {
    return saslprep(password, { allowUnassigned: true })
  } catch {
    return undefined
  }
}

/** Makes and checks what is kept of passwords, in the thread pool and never more at a time than allowed. */
export class Passwords {
  readonly #options: PasswordOptions
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(options: PasswordOptions = PASSWORD_DEFAULTS) {
    this.#options = options
  }

  /** What is kept of a new password, for each mechanism with a salt of its own. @throws PasswordError */
  async hash(password: string): Promise<readonly ScramSecrets[]> {
    const prepared = this.#checked(password)
    return Promise.all(MECHANISMS.map((mechanism) => this.#secrets(prepared, mechanism)))
  }
  /** The same for one mechanism only. @throws PasswordError */
  async hashFor(password: string, mechanism: ScramMechanism): Promise<ScramSecrets> {
    return this.#secrets(this.#checked(password), mechanism)
  }
  #checked(password: string): string {
    const { minLength, maxBytes } = this.#options
    if (Buffer.byteLength(password) > maxBytes) throw new PasswordError('too-long')
    const prepared = prepare(password)
    if (prepared === undefined) throw new PasswordError('not-allowed')
    if ([...prepared].length < Math.max(1, minLength)) throw new PasswordError('too-short')
    return prepared
  }
  async #secrets(prepared: string, mechanism: ScramMechanism): Promise<ScramSecrets> {
    const { iterations } = this.#options
    const salt = randomBytes(SALT_BYTES)
    const { storedKey, serverKey } = await this.#keys(prepared, mechanism, salt, iterations)
    return { mechanism, salt, iterations, storedKey, serverKey }
  }

  /** True when the password is the one the secrets were made of; costs the same either way. @throws PasswordError busy */
  async verify(password: string, secrets: Omit<ScramSecrets, 'serverKey'>): Promise<boolean> {
    if (Buffer.byteLength(password) > this.#options.maxBytes) return false
    const prepared = prepare(password)
    if (prepared === undefined) return false
    const { storedKey } = await this.#keys(prepared, secrets.mechanism, secrets.salt, secrets.iterations)
    return storedKey.length === secrets.storedKey.length && timingSafeEqual(storedKey, secrets.storedKey)
  }

  /** What somebody who knows the password needs to hash it anew: a salt of its own and today's rounds. */
  newSalt(): Pick<ScramSecrets, 'salt' | 'iterations'> {
    return { salt: randomBytes(SALT_BYTES), iterations: this.#options.iterations }
  }

  /** RFC 5802 §3. */
  async #keys(
    prepared: string,
    mechanism: ScramMechanism,
    salt: Uint8Array,
    iterations: number,
  ): Promise<{ storedKey: Buffer; serverKey: Buffer }> {
    const { name, bytes } = digestOf(mechanism)
    return keysOf(mechanism, await this.#inTurn(() => derive(prepared, salt, iterations, bytes, name)))
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#options.concurrency) {
      if (this.#waiting.length >= this.#options.maxWaiting) throw new PasswordError('busy')
      // Whoever finishes hands its place over, so `running` does not change.
      await new Promise<void>((resume) => this.#waiting.push(resume))
    } else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}

/** What is kept of a SaltedPassword (RFC 5802 §3). */
export function keysOf(
  mechanism: ScramMechanism,
  salted: Uint8Array,
): { readonly storedKey: Buffer; readonly serverKey: Buffer } {
  const { name } = digestOf(mechanism)
  const clientKey = createHmac(name, salted).update('Client Key').digest()
  return {
    storedKey: createHash(name).update(clientKey).digest(),
    serverKey: createHmac(name, salted).update('Server Key').digest(),
  }
}
