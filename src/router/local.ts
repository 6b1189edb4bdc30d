import type { Session } from '../contract/session.ts'
import type { Entry, Sender, Taker } from '../inbox/entry.ts'
import type { BareJid, FullJid } from '../xmpp/jid.ts'
import type { Message, Presence } from '../xmpp/stanza.ts'
import type { StreamCondition } from '../xmpp/stream-error.ts'

/** A committed entry on its way to the sessions of its account. */
export interface Pushed {
  readonly id: number
  /** The wanted entry before it, see `Placed`. */
  readonly prev: number
  readonly isArchived: boolean
  /** As the account's sessions get it. */
  readonly message: Message
  /** Where it was committed by this node. */
  readonly entry: Entry | undefined
}

/** A session of this node, as the line needs it beyond what features see. */
export interface LocalSession extends Session, Taker, Sender {
  readonly accountId: number
  /** Numbers of the parts of a stanza of its stream, which is settled when each of them is. */
  split(number: number, parts: number): readonly number[]
  /** True when an entry may be given to it now: it is following, or is not at the log at all and the message is for it alone. */
  accepts(message: Message): boolean
  /** Sends an entry that it accepts, ahead of its commit; `message`: as this session gets it. */
  give(entry: Entry, message: Message): void
  /** An entry was committed: sends it where the session is among its recipients, follows the log and has not got it. */
  push(pushed: Pushed, isFor: boolean): void
  /** Entries above `position` may be open again. */
  rewind(position: number): void
  /** The order of the account's resources may have changed: starts or stops its reading (policy `exclusive`). */
  lookAtTurn(): void
  /** Sees to it that what lingers goes, if no session of the account has still to read it; false if one has. */
  passed(): boolean
  /** Sets priority and last presence, here and in the registry; starts or stops the delivery of entries. */
  available(priority: number | undefined, presence: Presence | undefined): void
  /** Ends the session with a stream error. */
  end(condition: StreamCondition, text: string): void
}
/** The sessions of this node. */
export interface LocalSessions {
  get(jid: FullJid): LocalSession | undefined
  of(account: BareJid): readonly LocalSession[]
}
