import { createHmac } from 'node:crypto'
import type { BareJid } from '../xmpp/jid.ts'
import { digestOf, SALT_BYTES } from './password.ts'
import type { ScramMechanism, ScramSecrets } from './store.ts'

/**
 * Secrets of accounts that do not exist or have no password: the same at every try, so that nobody learns from a salt who is
 * there (RFC 5802 §9). No password fits them.
 */
export class DecoySecrets {
  readonly #key: Uint8Array
  readonly #iterations: number

  /** @param key `RootSecret.derive('scram decoys')` @param iterations as given to new passwords */
  constructor(key: Uint8Array, iterations: number) {
    this.#key = key
    this.#iterations = iterations
  }

  of(jid: BareJid, mechanism: ScramMechanism): ScramSecrets {
    const { name, bytes } = digestOf(mechanism)
    const made = (what: string): Buffer =>
      createHmac('sha512', this.#key).update(`${what}\0${mechanism}\0${jid}`).digest()
    return {
      mechanism,
      salt: made('salt').subarray(0, SALT_BYTES),
      iterations: this.#iterations,
      storedKey: createHmac(name, made('stored')).digest().subarray(0, bytes),
      serverKey: createHmac(name, made('server')).digest().subarray(0, bytes),
    }
  }
}
