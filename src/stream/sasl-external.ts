import { KeyError, type KeyFault } from '../keys/key-error.ts'
import { type SaslCondition, SaslError } from '../xmpp/sasl-error.ts'
import { checkAuthzid, decodeText, type Mechanism, type SaslContext, type SaslStep } from './sasl-mechanism.ts'

const MAX_AUTHZID = 3071

/** All but one look alike from outside: the log says why. */
const CONDITIONS: Readonly<Partial<Record<KeyFault, SaslCondition>>> = { 'account-disabled': 'account-disabled' }

/** EXTERNAL (RFC 4422 appendix A) by a Kontalk bridge certificate: the account is the one its certified OpenPGP key names. */
export class External implements Mechanism {
  readonly #context: SaslContext

  constructor(context: SaslContext) {
    this.#context = context
  }

  begin(initial: Buffer | undefined): SaslStep | Promise<SaslStep> {
    return initial === undefined ? { kind: 'challenge', challenge: Buffer.alloc(0) } : this.step(initial)
  }

  async step(response: Buffer): Promise<SaslStep> {
    const { domain, certificate, isResumed, bridgeLogin } = this.#context
    if (response.length > MAX_AUTHZID) throw new SaslError('malformed-request', 'too long')
    const authzid = decodeText(response)
    if (certificate === undefined) throw new SaslError('not-authorized', 'no client certificate')
    // A resumed session carries the certificate without proof, on this connection, that the peer has its key.
    if (isResumed) throw new SaslError('not-authorized', 'TLS session was resumed')
    const { jid, account } = await this.#login(() => bridgeLogin(certificate, domain))
    checkAuthzid(authzid, jid)
    return { kind: 'success', jid, account, additional: undefined }
  }

  async #login<T>(login: () => Promise<T>): Promise<T> {
    try {
      return await login()
    } catch (error) {
      if (!(error instanceof KeyError)) throw error
      throw new SaslError(CONDITIONS[error.fault] ?? 'not-authorized', undefined, { cause: error })
    }
  }
}
