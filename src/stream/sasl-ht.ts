import { TokenError, type TokenFault, type TokenLogin, type Tokens } from '../account/tokens.ts'
import { type BareJid, domainOf } from '../xmpp/jid.ts'
import { type SaslCondition, SaslError } from '../xmpp/sasl-error.ts'
import type { TlsFacts } from './parts.ts'
import { accountNamed, decodeText, type Mechanism, type SaslStep } from './sasl-mechanism.ts'

type BindingOf = (facts: TlsFacts) => (() => Buffer) | undefined
/** draft-schmaus-kitten-sasl-ht §3.1, by what each is bound to. */
const BINDINGS: ReadonlyMap<string, BindingOf> = new Map<string, BindingOf>([
  ['HT-SHA-256-EXPR', (facts) => facts.bindings.get('tls-exporter')],
  ['HT-SHA-256-UNIQ', (facts) => facts.unique],
  ['HT-SHA-256-ENDP', (facts) => facts.bindings.get('tls-server-end-point')],
  ['HT-SHA-256-NONE', () => () => Buffer.alloc(0)],
])
const PROOF_BYTES = 32
const MAX_MESSAGE = 1024 + PROOF_BYTES

/** Only who has shown the token learns more than that it was refused. */
const CONDITIONS: Readonly<Record<TokenFault, SaslCondition>> = {
  unknown: 'not-authorized',
  expired: 'credentials-expired',
  replayed: 'not-authorized',
  disabled: 'account-disabled',
}

/** The mechanisms of FAST (XEP-0484 §4.1) that this connection can do, strongest first. */
export const tokenMechanismsFor = (facts: TlsFacts): readonly string[] =>
  [...BINDINGS].filter(([, binding]) => binding(facts) !== undefined).map(([name]) => name)

export interface TokenAttempt {
  readonly mechanism: string
  readonly facts: TlsFacts
  readonly tokens: Pick<Tokens, 'login'>
  /** Whom the stream's `from` names (XEP-0484 §5.1). */
  readonly jid: BareJid
  readonly agent: Uint8Array
  readonly count: number | undefined
  readonly invalidate: boolean
}

/** One of the hashed-token mechanisms: one message each way. Unknown accounts and devices look like a wrong token. */
export class HashedToken implements Mechanism {
  readonly #attempt: TokenAttempt
  #login: TokenLogin | undefined

  constructor(attempt: TokenAttempt) {
    this.#attempt = attempt
  }
  /** After success. */
  get login(): TokenLogin | undefined {
    return this.#login
  }

  async begin(initial: Buffer | undefined): Promise<SaslStep> {
    const { mechanism, facts, tokens, jid, agent, count, invalidate } = this.#attempt
    const nul = initial?.indexOf(0) ?? -1
    if (initial === undefined || nul <= 0 || initial.length > MAX_MESSAGE || initial.length !== nul + 1 + PROOF_BYTES)
      throw new SaslError('malformed-request', 'expected a name and a hash')
    const named = accountNamed(decodeText(initial.subarray(0, nul)), domainOf(jid))
    if (named !== jid) throw new SaslError('not-authorized')
    const binding = BINDINGS.get(mechanism)?.(facts)?.()
    if (binding === undefined) throw new SaslError('invalid-mechanism')
    const proof = initial.subarray(nul + 1)
    try {
      this.#login = await tokens.login({ jid, agent, mechanism, proof, binding, count, invalidate })
    } catch (cause) {
      if (!(cause instanceof TokenError)) throw cause
      throw new SaslError(CONDITIONS[cause.fault], undefined, { cause })
    }
    return { kind: 'success', jid, account: this.#login.state, additional: this.#login.answer }
  }
  step(): never {
    throw new SaslError('malformed-request')
  }
}
