import type { Element } from '../xmpp/element.ts'
import type { BareJid } from '../xmpp/jid.ts'
import type { SaslError } from '../xmpp/sasl-error.ts'
import type { LoggedIn, NegotiationParts, TlsFacts } from './parts.ts'
import type { MechanismName } from './sasl.ts'
import type { SaslContext } from './sasl-mechanism.ts'
import type { Stream, StreamHandler } from './stream.ts'

/** What either SASL profile needs of the negotiation around it. */
export interface LoginHost {
  readonly stream: Stream
  readonly parts: NegotiationParts
  readonly facts: TlsFacts
  /** Whom the header names as its sender: a claim, until a login proves it. */
  readonly from: BareJid | undefined
  /** As they were offered. */
  readonly mechanisms: readonly MechanismName[]
  readonly context: SaslContext
  /** Holds the stream while something is waited for; nothing happens any more when it has ended meanwhile. */
  waiting<T>(work: () => Promise<T>, then: (result: T) => void, failed: (error: unknown) => void): void
  /** Sends the refusal and counts it. @throws StreamError when there were too many */
  refused(mechanism: string, error: SaslError, failure: Element): void
  authenticated(account: LoggedIn, mechanism: string): void
  handOver(handler: StreamHandler): void
  /** <stream:features/> of the stream as it is now; `counted`: stanzas are acknowledged already. */
  features(bound: 'unbound' | 'bound' | 'counted'): string
}
