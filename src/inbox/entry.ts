import type { Stanza } from '../xmpp/stanza.ts'

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

/** A session of this node that was given an entry and may take it. */
export interface Taker {
  /** The entry it has got its id, or was taken by another. */
  entryKept(entry: Entry): void
}

/** A message of an account's inbox while this node has to do with it. */
export class Entry {
  state: EntryState = 'committing'
  /** In the account's log, once kept. */
  id: number | undefined
  readonly account: number
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
  readonly stanza: Stanza

  constructor(
    account: number,
    stanza: Stanza,
    sender: Sender | undefined,
    number: number,
    at: number,
    takers: Taker[],
  ) {
    this.account = account
    this.stanza = stanza
    this.sender = sender
    this.number = number
    this.at = at
    this.takers = takers
  }
}
