import { PasswordError } from '../account/password.ts'
import type { ScramMechanism } from '../account/store.ts'
import { SaslError } from '../xmpp/sasl-error.ts'
import {
  accountNamed,
  checkAuthzid,
  decodeText,
  type Mechanism,
  type SaslContext,
  type SaslStep,
} from './sasl-mechanism.ts'

/** What is made up for those who have no password; who has one has secrets for this one, save after an import. */
const MADE_UP: ScramMechanism = 'SCRAM-SHA-256'
const MAX_MESSAGE = 6144

/** PLAIN (RFC 4616), only under TLS. Unknown accounts cost the same work as known ones. */
export class Plain implements Mechanism {
  readonly #context: SaslContext

  constructor(context: SaslContext) {
    this.#context = context
  }

  begin(initial: Buffer | undefined): SaslStep | Promise<SaslStep> {
    return initial === undefined ? { kind: 'challenge', challenge: Buffer.alloc(0) } : this.step(initial)
  }

  async step(response: Buffer): Promise<SaslStep> {
    const { domain, credentials, decoys, passwords, secure } = this.#context
    if (!secure) throw new SaslError('encryption-required')
    if (response.length > MAX_MESSAGE) throw new SaslError('malformed-request', 'too long')
    const parts = decodeText(response).split('\0', 4)
    const [authzid, authcid, password] = parts
    if (parts.length !== 3 || authzid === undefined || !authcid || !password) throw new SaslError('malformed-request')
    const jid = accountNamed(authcid, domain)
    checkAuthzid(authzid, jid)
    const found = await credentials.credential(jid, 'any')
    const isRight = await this.#verify(passwords, password, found?.secrets ?? decoys.of(jid, MADE_UP))
    if (!isRight || found?.secrets === undefined) throw new SaslError('not-authorized')
    if (found.account.disabledAt !== undefined) throw new SaslError('account-disabled')
    return { kind: 'success', jid, account: found.account, additional: undefined }
  }

  async #verify(passwords: SaslContext['passwords'], ...of: Parameters<SaslContext['passwords']['verify']>) {
    try {
      return await passwords.verify(...of)
    } catch (error) {
      if (error instanceof PasswordError)
        throw new SaslError('temporary-auth-failure', 'try again later', { cause: error })
      throw error
    }
  }
}
