import type { Retraction } from '../xmpp/retraction.ts'
import type { Stanza } from '../xmpp/stanza.ts'
import type { Policy } from './policy.ts'

/**
 * `held`: given to devices at once, in memory only, until one takes it or a second has passed; `committing`: in a batch;
 * `kept`: in the log, open; `taken`, `refused`: over.
 */
export type EntryState = 'held' | 'committing' | 'kept' | 'taken' | 'refused'

/** Whoever waits for an entry to be safe: the sending session, by the stanza's number there. */
export interface Sender {
  /** 16 random bytes that name the stream whose stanzas are counted (XEP-0198); undefined where none are. */
  readonly stream: Uint8Array | undefined
  /** All counted stanzas up to this one are settled: what `h` may say. */
  readonly h: number
  /** The stanza's number as the peer counts it (XEP-0198 §4). */
  counted(number: number): number
  /** The stanza is safe: committed, or taken. */
  settled(number: number): void
  /** The store refused it; the peer is to be told. */
  refused(number: number, stanza: Stanza): void
}

/** A message that becomes an entry of an account's inbox. */
export interface NewMessage {
  /** `Account.id` of the recipient. */
  readonly account: number
  readonly stanza: Stanza
  readonly sender: Sender | undefined
  /** The stanza's number on the sender's stream. */
  readonly number: number
  /** The recipient's. */
  readonly policy: Policy
  /** It stays in the recipient's archive when it was taken. */
  readonly isArchived: boolean
  /** `Account.id` of the sender in whose log it is too. */
  readonly sentBy: number | undefined
  /** It stays in the sender's archive. */
  readonly isSentArchived: boolean
  /** What it takes back in the logs that it is in. */
  readonly retracts: Retraction | undefined
}

/** A session of this node that was given an entry and may take it. */
export interface Taker {
  /** The entry it has got its id, or was taken by another. */
  entryKept(entry: Entry): void
}

/** The same message in its sender's own log. */
export interface SentCopy {
  /** `Account.id` of the sender. */
  readonly account: number
  readonly isArchived: boolean
  /** In the sender's log, once kept. */
  id: number | undefined
}

/** A message of an account's inbox while this node has to do with it. */
export class Entry {
  state: EntryState = 'committing'
  /** In the account's log, once kept. */
  id: number | undefined
  /** The wanted entry before it, see `Placed`. */
  prev = 0
  /** Taken, and another session has still to read it. */
  lingers = false
  readonly account: number
  readonly policy: Policy
  readonly isArchived: boolean
  readonly sent: SentCopy | undefined
  readonly retracts: Retraction | undefined
  readonly sender: Sender | undefined
  readonly number: number
  /** Ms since the epoch. */
  readonly at: number
  /** Ms of the wheel's clock: since when it is held. */
  heldAt = 0
  /** Sessions of this node that were given it. */
  readonly takers: Taker[]
  /** What must not overtake it, in order. */
  followers: (() => void)[] | undefined
  #safe: (() => void)[] | undefined
  #isSafe = false
  readonly stanza: Stanza

  constructor(message: NewMessage, at: number, takers: Taker[]) {
    this.account = message.account
    this.stanza = message.stanza
    this.sender = message.sender
    this.number = message.number
    this.policy = message.policy
    this.isArchived = message.isArchived
    this.retracts = message.retracts
    const { sentBy, isSentArchived } = message
    this.sent = sentBy === undefined ? undefined : { account: sentBy, isArchived: isSentArchived, id: undefined }
    this.at = at
    this.takers = takers
  }

  /** Runs `then` when the entry is committed or taken; never when it is refused. */
  whenSafe(then: () => void): void {
    if (this.#isSafe) {
      then()
      return
    }
    this.#safe ??= []
    this.#safe.push(then)
  }
  /** Called by the inbox. */
  becameSafe(): void {
    this.#isSafe = true
    const waiting = this.#safe
    this.#safe = undefined
    for (const then of waiting ?? []) then()
  }
}
