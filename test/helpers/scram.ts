import { createHash, createHmac, hash, pbkdf2Sync, randomBytes } from 'node:crypto'
import type { ScramMechanism, ScramSecrets } from '../../src/account/store.ts'

/** Hash of a mechanism's name as node:crypto calls it. */
export const hashOf = (mechanism: string): 'sha1' | 'sha256' | 'sha512' =>
  mechanism.startsWith('SCRAM-SHA-1') ? 'sha1' : mechanism.startsWith('SCRAM-SHA-256') ? 'sha256' : 'sha512'

const MECHANISMS: readonly ScramMechanism[] = ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const hmac = (algorithm: string, key: Uint8Array, text: string): Buffer =>
  createHmac(algorithm, key).update(text).digest()

/** What a server keeps of a password (RFC 5802 §3), computed here on its own and once per test process. */
export function secretsOf(password: string, iterations = 4096): ScramSecrets[] {
  const salt = Buffer.from('a fixed salt for tests')
  return MECHANISMS.map((mechanism) => {
    const algorithm = hashOf(mechanism)
    const salted = pbkdf2Sync(password, salt, iterations, hash(algorithm, '', 'buffer').length, algorithm)
    const storedKey = createHash(algorithm)
      .update(hmac(algorithm, salted, 'Client Key'))
      .digest()
    return { mechanism, salt, iterations, storedKey, serverKey: hmac(algorithm, salted, 'Server Key') }
  })
}

export interface ScramOptions {
  readonly mechanism: string
  readonly username: string
  readonly password: string
  /** `n`, `y` or `p=<type>`. */
  readonly channelBinding?: string
  /** Bytes of the channel binding for `p=`. */
  readonly bindingData?: Uint8Array
  readonly authzid?: string
}

const saltedPasswords = new Map<string, Buffer>()

/** The client's side of SCRAM (RFC 5802, RFC 7677), for tests. */
export class ScramClient {
  readonly #options: ScramOptions
  readonly #nonce = randomBytes(18).toString('base64')
  readonly #gs2: string
  #bareFirst = ''
  #serverSignature = ''

  constructor(options: ScramOptions) {
    this.#options = options
    const authzid = options.authzid === undefined ? '' : `a=${escaped(options.authzid)}`
    this.#gs2 = `${options.channelBinding ?? 'n'},${authzid},`
  }

  first(): string {
    this.#bareFirst = `n=${escaped(this.#options.username)},r=${this.#nonce}`
    return this.#gs2 + this.#bareFirst
  }

  /** @throws Error when the server's answer breaks RFC 5802 */
  final(serverFirst: string): string {
    const match = /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(serverFirst)
    if (match === null) throw new Error(`bad server-first: ${serverFirst}`)
    const [, nonce = '', salt = '', count = ''] = match
    if (!nonce.startsWith(this.#nonce) || nonce.length < this.#nonce.length + 16) throw new Error('bad server nonce')
    const algorithm = hashOf(this.#options.mechanism)
    const length = hash(algorithm, '', 'buffer').length
    const key = `${algorithm} ${salt} ${count} ${this.#options.password}`
    const salted =
      saltedPasswords.get(key) ??
      pbkdf2Sync(this.#options.password, Buffer.from(salt, 'base64'), Number(count), length, algorithm)
    saltedPasswords.set(key, salted)
    const binding = Buffer.concat([Buffer.from(this.#gs2), this.#options.bindingData ?? Buffer.alloc(0)])
    const withoutProof = `c=${binding.toString('base64')},r=${nonce}`
    const message = `${this.#bareFirst},${serverFirst},${withoutProof}`
    const clientKey = hmac(algorithm, salted, 'Client Key')
    const signature = hmac(algorithm, createHash(algorithm).update(clientKey).digest(), message)
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)))
    this.#serverSignature = hmac(algorithm, hmac(algorithm, salted, 'Server Key'), message).toString('base64')
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** @throws Error when the server does not know the password */
  verify(serverFinal: string): void {
    if (serverFinal !== `v=${this.#serverSignature}`) throw new Error(`bad server signature: ${serverFinal}`)
  }
}

const escaped = (name: string): string => name.replaceAll('=', '=3D').replaceAll(',', '=2C')
