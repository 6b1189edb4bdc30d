import type { Session } from '../contract/session.ts'
import type { Entry, Sender, Taker } from '../inbox/entry.ts'
import type { BareJid, FullJid } from '../xmpp/jid.ts'
import type { Message, Presence } from '../xmpp/stanza.ts'
import type { StreamCondition } from '../xmpp/stream-error.ts'

/** A session of this node, as the line needs it beyond what features see. */
export interface LocalSession extends Session, Taker, Sender {
  readonly accountId: number
  /** True when an entry may be given to it now: it is following, or is not at the log at all and the message is for it alone. */
  accepts(message: Message): boolean
  /** Sends an entry that it accepts, ahead of its commit. */
  give(entry: Entry): void
  /** An entry of this node was committed: sends it unless the session has it or is not following. */
  push(entry: Entry, stanza: Message): void
  /** The same for an entry committed on another node. */
  pushStored(id: number, stanza: Message): void
  /** Entries above `position` may be open again. */
  rewind(position: number): void
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
