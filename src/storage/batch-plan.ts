import type { KeptRetraction } from '../inbox/archive.ts'
import { contactKey } from '../inbox/contact-key.ts'
import { messageKey } from '../inbox/message-key.ts'
import type { Batch, NewEntry, Placed } from '../inbox/store.ts'
import { bareOf, type Jid } from '../xmpp/jid.ts'
import type { Retraction } from '../xmpp/retraction.ts'
import { join, type Range, rangesOf } from './ranges.ts'

/** What a batch does to one account's log. */
export interface PlannedLog {
  readonly account: number
  /** How many ids it takes: the last is the new head. */
  readonly count: number
  /** How many of them come before the first wanted entry: the cursor of a log without open entries passes over them. */
  readonly lead: number
  /** How far below the new head the last wanted entry is; -1: there is none. */
  readonly tail: number
  readonly taken: readonly Range[]
  /**
   * Every wanted entry above `from` and up to `to` is taken, which moves the cursor without a look at the entries where it has
   * come as far as `from`; both 0: nothing is taken, or not all of such a stretch.
   */
  readonly from: number
  readonly to: number
  /** What is taken stays for the sessions that have still to read it. */
  readonly lingers: boolean
}
/** The oldest entry that lingers by this; undefined: none does. */
export const lingersFrom = ({ lingers, taken }: PlannedLog): number | undefined => (lingers ? taken[0]?.[0] : undefined)
/** An entry to be kept: its id is `back` below its log's new head. */
export interface PlannedEntry
  extends Omit<NewEntry, 'payload' | 'messageId' | 'stream' | 'number' | 'floor' | 'retracts'> {
  readonly back: number
  /** Stands for the peer's bare address. */
  readonly contact: number
  /** Stands for the stanza's id; null: it has none. */
  readonly message: number | null
  /** Where its payload lies in `PlannedBatch.payloads`. */
  readonly start: number
  readonly size: number
}
/** A retraction to be carried out; `back`: see `PlannedEntry`. */
export interface PlannedRetraction {
  readonly account: number
  readonly back: number
  /** JSON: `KeptRetraction` without its id. */
  readonly wish: string
}
/** Numbers of a stream's stanzas that are settled once the batch is committed. */
export interface PlannedMark {
  /** Hex. */
  readonly stream: string
  readonly covered: readonly Range[]
}
/** A batch as both dialects commit it: everything that needs no look into the database is decided. */
export interface PlannedBatch {
  readonly id: Uint8Array
  /** Ms since the epoch. */
  readonly at: number
  /** The lowest id that a new entry may have: `at` in µs. */
  readonly first: number
  /** Sorted by account, so that nobody who locks logs in this order waits for one who waits for him. */
  readonly logs: readonly PlannedLog[]
  readonly entries: readonly PlannedEntry[]
  readonly payloads: Uint8Array
  readonly marks: readonly PlannedMark[]
  readonly retractions: readonly PlannedRetraction[]
}

const NO_RANGES: readonly Range[] = []

/** Pure: the same batch gives the same plan but for its time. */
export function planBatch(batch: Batch, at: number): PlannedBatch {
  const drafts = draftLogs(batch)
  return {
    id: batch.id.slice(),
    at,
    first: at * 1000,
    logs: [...drafts.values()].sort((a, b) => a.account - b.account),
    ...planEntries(batch.entries, drafts),
    marks: planMarks(batch.entries),
  }
}

/** What a commit did to one log. */
export interface CommittedLog {
  readonly head: number
  /** The last wanted entry before. */
  readonly prior: number
}
export type CommittedLogs = ReadonlyMap<number, CommittedLog>
/** Where the entries came to lie. @throws RangeError when a log is missing */
export function placesOf(entries: readonly NewEntry[], logs: CommittedLogs): readonly Placed[] {
  const next = new Map<number, { back: number; prior: number }>()
  for (const { account } of entries) {
    const log = next.get(account)
    if (log !== undefined) log.back++
    else next.set(account, { back: 0, prior: logs.get(account)?.prior ?? 0 })
  }
  return entries.map(({ account, wanted }) => {
    const log = next.get(account)
    const committed = logs.get(account)
    if (log === undefined || committed === undefined) throw new RangeError('the batch was committed with other entries')
    const id = committed.head - log.back--
    const prev = log.prior
    if (wanted) log.prior = id
    return { id, prev }
  })
}

/** An entry that is neither archived nor wanted only takes an id. */
const isKept = (entry: NewEntry): boolean => entry.archived || entry.wanted

class DraftLog implements PlannedLog {
  readonly account: number
  count = 0
  lead = 0
  tail = -1
  taken: readonly Range[] = NO_RANGES
  from = 0
  to = 0
  lingers = false
  /** Its entries that are still to be planned. */
  left = 0

  constructor(account: number) {
    this.account = account
  }
}

function draftLogs({ entries, takes }: Batch): ReadonlyMap<number, DraftLog> {
  const drafts = new Map<number, DraftLog>()
  const draftOf = (account: number): DraftLog => {
    const found = drafts.get(account)
    if (found !== undefined) return found
    const draft = new DraftLog(account)
    drafts.set(account, draft)
    return draft
  }
  for (const { account, wanted } of entries) {
    const draft = draftOf(account)
    draft.count++
    draft.left++
    if (wanted) draft.tail = 0
    else if (draft.tail < 0) draft.lead++
    else draft.tail++
  }
  for (const { account, ids, from, lingers } of takes) {
    const draft = draftOf(account)
    const taken = rangesOf(ids)
    const isAlone = draft.taken.length === 0
    draft.from = isAlone ? (from ?? 0) : 0
    draft.to = isAlone && from !== undefined ? (taken.at(-1)?.[1] ?? 0) : 0
    draft.taken = isAlone ? taken : join([...draft.taken, ...taken])
    draft.lingers ||= lingers
  }
  return drafts
}

function planEntries(entries: readonly NewEntry[], drafts: ReadonlyMap<number, DraftLog>) {
  const kept: PlannedEntry[] = []
  const retractions: PlannedRetraction[] = []
  const payloads: Uint8Array[] = []
  let size = 0
  for (const entry of entries) {
    const { account, archived, wanted, peer, payload } = entry
    const back = --(drafts.get(account) as DraftLog).left
    if (entry.retracts !== undefined) retractions.push({ account, back, wish: wishOf(entry, entry.retracts) })
    if (!isKept(entry)) continue
    // Both logs that a message is in keep the same bytes.
    if (payloads.at(-1) !== payload) {
      payloads.push(payload)
      size += payload.length
    }
    kept.push({
      account,
      back,
      contact: contactKey(bareOf(peer as Jid)),
      message: messageKey(entry.messageId),
      direction: entry.direction,
      archived,
      wanted,
      peer,
      at: entry.at,
      start: size - payload.length,
      size: payload.length,
    })
  }
  return { entries: kept, payloads: joined(payloads, size), retractions }
}
/** In an array of its own, not a slice of Node's pool: it crosses to SQLite's thread alone. */
function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
function wishOf({ peer, direction }: NewEntry, retraction: Retraction): string {
  const kept: Omit<KeptRetraction, 'id'> = { contact: bareOf(peer as Jid), direction, retraction }
  return JSON.stringify(kept)
}

function planMarks(entries: readonly NewEntry[]): readonly PlannedMark[] {
  const marks = new Map<string, readonly Range[]>()
  for (const { stream, number, floor } of entries) {
    if (stream === undefined) continue
    const key = Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength).toString('hex')
    marks.set(key, covering(marks.get(key) ?? NO_RANGES, floor, number))
  }
  const sorted = Array.from(marks, ([stream, covered]): PlannedMark => ({ stream, covered }))
  return sorted.sort((a, b) => (a.stream < b.stream ? -1 : 1))
}
/** Numbers mostly come in their order, all before them settled. */
function covering(ranges: readonly Range[], floor: number, number: number): readonly Range[] {
  const to = ranges.length === 1 ? (ranges[0]?.[1] ?? 0) : 0
  const isNext = ranges.length < 2 && number > to && number <= Math.max(floor, to) + 1
  return isNext ? [[0, number]] : join([...ranges, [0, floor], [number, number]])
}
