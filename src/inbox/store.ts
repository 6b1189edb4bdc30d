import type { BareJid } from '../xmpp/jid.ts'
import type { Retraction } from '../xmpp/retraction.ts'

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
  /** The stanza's id attribute; a retraction finds its original by it. */
  readonly messageId: string | undefined
  /** Ms since the epoch: when the server took it. */
  readonly at: number
  /** The sending client's stream (16 random bytes) and the stanza's number on it (XEP-0198), for `h` after a crash. */
  readonly stream: Uint8Array | undefined
  readonly number: number
  /** All stanzas of that stream up to this number were settled, or are in this batch; set when the batch is made up. */
  floor: number
  /** What it takes back: noted in the same transaction (`ArchiveStore.retractions`), whether or not the entry itself is stored. */
  readonly retracts?: Retraction | undefined
}
export interface StoredEntry extends Omit<NewEntry, 'messageId' | 'stream' | 'number' | 'floor' | 'retracts'> {
  readonly id: number
}
/** What sessions have taken of one account's log. */
export interface Takes {
  readonly account: number
  readonly ids: readonly number[]
  /** Every wanted entry above it and up to the last of `ids` is among them; undefined where that is not known. */
  readonly from: number | undefined
  /** Some session that was there when they were committed has still to read them: they are not removed until `sweep`. */
  readonly lingers: boolean
}
/** Where a committed entry lies. */
export interface Placed {
  readonly id: number
  /** The wanted entry of the account before it, 0 for the first: whoever has all up to that one has missed nothing. */
  readonly prev: number
}
/** How far one device of an account has taken its log (policy `every-device`). */
export interface DeviceCursor {
  readonly account: number
  /** A user-agent's id (XEP-0388), or the resource the client asked for. */
  readonly device: string
  /** All entries up to it were taken by the device. */
  readonly cursor: number
}
/** One group commit. */
export interface Batch {
  /** 16 random bytes; a retry of the same batch finds it done (table `batch`). */
  readonly id: Uint8Array
  readonly entries: readonly NewEntry[]
  readonly takes: readonly Takes[]
  /**
   * The store said no to takes of a batch whose entries are committed, so that it could not refuse the batch: what they took and
   * is archived comes again, under its id.
   */
  readonly takesRefused?: ((cause: unknown) => void) | undefined
}

/**
 * The durable part of the log (DESIGN.md section 5): table `entry`, table `log` (per account: head, cursor, gaps), table `batch`.
 * An entry is open while wanted and either above the cursor or among the gaps.
 */
export interface InboxStore {
  /**
   * Commits the batch in one transaction, accounts locked in sorted order, and returns where the entries lie, in the order given.
   * Ids are per account `max(head + 1, now in µs)`. Takes move the cursor over all taken entries and leave the open ones below
   * it as gaps; entries neither archived nor open are removed unless they linger. A batch that was committed before returns the same.
   * @throws StoreError `unavailable` (outcome unknown: commit the same batch again), `refused` (an entry is bad: halve it)
   */
  commit(batch: Batch): Promise<readonly Placed[]>
  /**
   * Wanted entries with an id above `after`, in order: up to `since` the open ones only, above it also those that somebody has
   * taken; and the id of the log's last wanted entry at that moment (0 when there was none). Without `since` it is that id.
   */
  read(
    account: number,
    after: number,
    since: number | undefined,
    limit: number,
  ): Promise<{ readonly entries: readonly StoredEntry[]; readonly last: number }>
  /** The last wanted entries of several accounts, for the doorbell. */
  lasts(accounts: readonly number[]): Promise<ReadonlyMap<number, number>>
  /** Number of open entries and their bytes, for the quota. */
  waiting(account: number): Promise<{ readonly entries: number; readonly bytes: number }>
  /** Highest `h` that may be told for a stream whose session is lost: a lower bound (DESIGN.md section 3); undefined when unknown. */
  lastSettled(stream: Uint8Array): Promise<number | undefined>
  /** Ends open entries kept before `before` (ms), forgets devices not seen since and batch ids older than a day; returns how many entries ended. */
  expire(before: number): Promise<number>
  /** Accounts with entries that linger, at most so many; ids above `after`, in order. */
  lingering(after: number, limit: number): Promise<readonly { readonly account: number; readonly jid: BareJid }[]>
  /** Removes what lingers in the account's log; entries that a device of it has still to take stay. */
  sweep(account: number): Promise<void>
  /**
   * Removes some entries of an account that is gone. Its log went with it; the entries, of which there may be many, come after, and
   * several nodes may do it at once. @returns whether there is more to do
   */
  clear(): Promise<boolean>
  /** What a device has taken; undefined when it is not known. */
  deviceCursor(account: number, device: string): Promise<number | undefined>
  /** Saves cursors, which never go back; of an account's devices only the `keep` seen last stay known. */
  saveDevices(cursors: readonly DeviceCursor[], keep: number): Promise<void>
}
