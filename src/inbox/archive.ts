import type { ArchivingPreferences } from '../account/archiving.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'
import type { Retraction } from '../xmpp/retraction.ts'

/** Which entries of an account's archive are meant: those for which all that is said holds. */
export interface ArchiveFilter {
  /** The other side; a bare address with any resource. */
  readonly with?: Jid | undefined
  /** Ms since the epoch, both included. */
  readonly start?: number | undefined
  readonly end?: number | undefined
  /** Ids, both left out. */
  readonly after?: number | undefined
  readonly before?: number | undefined
  readonly ids?: readonly number[] | undefined
}

/** An entry that is part of its account's archive. */
export interface ArchivedEntry {
  readonly id: number
  /** Ms since the epoch: when the server took it. */
  readonly at: number
  readonly direction: 'sent' | 'received'
  /** The other side, with its resource. */
  readonly peer: Jid
  /** Canonical XML of the whole stanza, as `Stanza.bytes` gave it. */
  readonly payload: Uint8Array
}
export interface ArchivePage {
  /** In the order of their ids. */
  readonly entries: readonly ArchivedEntry[]
  /** False when more entries match, beyond the end of the page that was asked for. */
  readonly isComplete: boolean
}
export interface PageBounds {
  /** Whether the page is the first that matches or the last. */
  readonly edge: 'first' | 'last'
  readonly entries: number
  /** Payloads of the page, but for the one with which they are reached: a page is never empty for their sake. */
  readonly bytes: number
}
/** One end of an archive. */
export type ArchiveEnd = Pick<ArchivedEntry, 'id' | 'at'>
/** What an archive may hold; what is beyond goes, the oldest first, unless it still waits for a device. */
export interface ArchiveBounds {
  /** Ms since the epoch: what was archived before. */
  readonly before: number
  readonly entries: number
  readonly bytes: number
}

/** What is left of an archived entry, under its id. */
export type Tombstone = Pick<ArchivedEntry, 'id' | 'payload'>
/** A message that takes an earlier one back, is committed, and has not been carried out yet. */
export interface KeptRetraction {
  /** Its own in the account's log: what it takes back lies below. */
  readonly id: number
  readonly contact: BareJid
  /** Of both. */
  readonly direction: ArchivedEntry['direction']
  readonly retraction: Retraction
}

/**
 * The archived part of the log (table `entry`), and what belongs to it: tables `archive_preference`, `archive_usage` and `retraction`.
 *
 * An entry's time and id differ by how long its commit took; `end` finds entries that were committed within a day after they
 * were taken.
 */
export interface ArchiveStore {
  page(account: number, filter: ArchiveFilter, bounds: PageBounds): Promise<ArchivePage>
  /** How many entries match; undefined when there are more than `upTo`. */
  count(account: number, filter: ArchiveFilter, upTo: number): Promise<number | undefined>
  /** Whether each of the ids is in the archive. */
  hasAll(account: number, ids: readonly number[]): Promise<boolean>
  /** Its oldest and its newest entry; undefined when it is empty. */
  ends(account: number): Promise<{ readonly first: ArchiveEnd; readonly last: ArchiveEnd } | undefined>
  /** Entries of one conversation and direction with ids below `before`, whose stanza may have had this id, the newest first, at most 20. */
  candidates(
    account: number,
    contact: BareJid,
    direction: ArchivedEntry['direction'],
    stanzaId: string,
    before: number,
  ): Promise<readonly ArchivedEntry[]>
  /** Accounts with retractions that are not carried out yet, at most so many; ids above `after`, in order. */
  retracting(after: number, limit: number): Promise<readonly number[]>
  /** Those of one account, at most so many, the oldest first. */
  retractions(account: number, limit: number): Promise<readonly KeptRetraction[]>
  /** Carries one out: gives the entries, if there are any, their tombstones, and forgets the retraction. False when somebody has done that. */
  retract(account: number, retraction: number, buried: readonly Tombstone[]): Promise<boolean>
  /**
   * Takes at most `limit` entries out of the archive, the oldest first, and returns how many those were: 0 when none is left.
   * What nobody waits for is removed; what is open is delivered once more and then removed.
   */
  remove(account: number, filter: ArchiveFilter, limit: number): Promise<number>
  /**
   * What `end` does not find: among the `limit` entries above `after`, those that match and were kept more than a day after they were
   * taken. `last`: where to go on; undefined when there are no more.
   */
  late(
    account: number,
    filter: Pick<ArchiveFilter, 'with'> & { readonly end: number },
    after: number,
    limit: number,
  ): Promise<{ readonly ids: readonly number[]; readonly last: number | undefined }>
  /** Accounts whose archives grew, or hold something from before the time, among the `limit` accounts after this id, which end with `last`. */
  untidy(
    after: number,
    limit: number,
    bounds: ArchiveBounds,
  ): Promise<{ readonly accounts: readonly number[]; readonly last: number | undefined }>
  /** One bounded step of bringing an archive within its bounds; `isDone` when there is no next one. */
  tidy(account: number, bounds: ArchiveBounds): Promise<{ readonly removed: number; readonly isDone: boolean }>
  /** How much of an archive has been counted by `tidy`. */
  usage(account: number): Promise<{ readonly entries: number; readonly bytes: number }>
  setPreferences(account: number, preferences: ArchivingPreferences): Promise<void>
}

/** Entries that one transaction of `deleteHistory` removes. */
const AT_ONCE = 500
/** Takes all that matches out of the archive, step by step, so that nobody has to wait for it; how many entries those were. */
export async function deleteHistory(
  store: Pick<ArchiveStore, 'remove' | 'late'>,
  account: number,
  { with: contact, end }: Pick<ArchiveFilter, 'with' | 'end'>,
): Promise<number> {
  let removed = 0
  for (let step = AT_ONCE; step === AT_ONCE; removed += step)
    step = await store.remove(account, { with: contact, end }, AT_ONCE)
  if (end === undefined) return removed
  for (let after: number | undefined = 0; after !== undefined; ) {
    const { ids, last }: Awaited<ReturnType<ArchiveStore['late']>> = await store.late(
      account,
      { with: contact, end },
      after,
      AT_ONCE,
    )
    if (ids.length > 0) removed += await store.remove(account, { ids }, AT_ONCE)
    after = last
  }
  return removed
}
