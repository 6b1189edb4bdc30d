import type { Logger } from 'pino'
import type { NonzaHandler } from '../contract/handler.ts'
import type { Session } from '../contract/session.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Policy } from '../inbox/policy.ts'
import type { Registry } from '../presence/registry.ts'
import type { LocalSession } from '../router/local.ts'
import type { Progress } from '../router/route.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'
import type { Stanza } from '../xmpp/stanza.ts'
import type { RawElement } from '../xmpp/tokenizer.ts'
import type { Sessions } from './sessions.ts'

/** What all sessions of a node share. */
export interface SessionParts {
  readonly node: string
  readonly line: {
    fromClient(raw: RawElement, session: LocalSession, number: number): Progress
    submit(stanza: Stanza): void
    rewind(account: BareJid, position: number): void
    turned(account: BareJid): void
    passed(account: BareJid): void
    settled(account: BareJid, id: number): Promise<void>
  }
  /** Never rejects: the domain's where the account's cannot be known now. */
  readonly policyOf: (account: BareJid) => Policy | Promise<Policy>
  /** Whether nothing may pass from the other to the account, which has a session here (XEP-0191). */
  readonly isBlocked: (account: BareJid, other: Jid) => boolean
  readonly presence: { sessionEnded(session: Session): unknown }
  readonly inbox: Inbox
  readonly registry: Registry
  readonly sessions: Sessions
  readonly nonzas: ReadonlyMap<string, NonzaHandler>
  /** What features do when a session goes on with another stream. */
  readonly resumed: readonly ((session: Session) => void)[]
  readonly limits: SessionLimits
  readonly log: Logger
  /** What stands for an address in the log (a number account's is as secret as the number). */
  readonly tagOf: (jid: Jid) => string
}
export interface SessionLimits {
  readonly resumeMs: number
  /** Silence after which a client is asked whether it is there. */
  readonly idleMs: number
  /** Time to answer that, or an <r/>. */
  readonly answerMs: number
  /** Stanzas sent and not acknowledged above which a session counts as slow. */
  readonly unacknowledged: number
  readonly unacknowledgedBytes: number
  /** How long an entry may be offered to one device before it is the next one's turn (policy `exclusive`). */
  readonly exclusiveMs: number
  readonly perAccount: number
}
