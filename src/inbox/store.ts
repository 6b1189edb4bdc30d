/** One entry of an account's log, before the transaction gives it its id. */
export interface NewEntry {
  /** `Account.id`. */
  readonly account: number
  readonly direction: 'sent' | 'received'
  readonly archived: boolean
  /** A received entry that somebody has to take. */
  readonly wanted: boolean
  /** The other side, as a JID with its resource. */
  readonly peer: string
  /** Canonical XML of the whole stanza, as `Stanza.bytes` gives it. */
  readonly payload: Uint8Array
  /** Ms since the epoch: when the server took it. */
  readonly at: number
  /** The sending client's stream (16 random bytes) and the stanza's number on it (XEP-0198), for `h` after a crash. */
  readonly stream: Uint8Array | undefined
  readonly number: number
  /** All stanzas of that stream up to this number were settled, or are in this batch. */
  readonly floor: number
}
export interface StoredEntry extends Omit<NewEntry, 'stream' | 'number' | 'floor'> {
  readonly id: number
}
/** What sessions have taken of one account's log. */
export interface Takes {
  readonly account: number
  readonly ids: readonly number[]
}
/** One group commit. */
export interface Batch {
  /** 16 random bytes; a retry of the same batch finds it done (table `batch`). */
  readonly id: Uint8Array
  readonly entries: readonly NewEntry[]
  readonly takes: readonly Takes[]
}

/**
 * The durable part of the log (DESIGN.md section 5): table `entry`, table `log` (per account: head, cursor, gaps), table `batch`.
 * An entry is open while wanted and either above the cursor or among the gaps.
 */
export interface InboxStore {
  /**
   * Commits the batch in one transaction, accounts locked in sorted order, and returns the entries' ids in the order given.
   * Ids are per account `max(head + 1, now in µs)`. Takes move the cursor over all taken entries and leave the open ones below
   * it as gaps; entries neither archived nor open are removed. A batch that was committed before returns the same ids.
   * @throws StoreError `unavailable` (outcome unknown: commit the same batch again), `refused` (an entry is bad: halve it)
   */
  commit(batch: Batch): Promise<readonly number[]>
  /** Open received entries with an id above `after`, in order, and the log's head at that moment (0 when empty). */
  open(
    account: number,
    after: number,
    limit: number,
  ): Promise<{ readonly entries: readonly StoredEntry[]; readonly head: number }>
  /** Heads of the logs of several accounts, for the doorbell. */
  heads(accounts: readonly number[]): Promise<ReadonlyMap<number, number>>
  /** Number of open entries and their bytes, for the quota. */
  waiting(account: number): Promise<{ readonly entries: number; readonly bytes: number }>
  /** Highest `h` that may be told for a stream whose session is lost: a lower bound (DESIGN.md section 3); undefined when unknown. */
  lastSettled(stream: Uint8Array): Promise<number | undefined>
  /** Removes open entries older than `before` (ms) and batch ids older than a day; returns how many entries went. */
  expire(before: number): Promise<number>
}
