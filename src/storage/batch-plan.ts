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
  const logs = planLogs(batch)
  return {
    id: batch.id.slice(),
    at,
    first: at * 1000,
    logs,
    ...planEntries(batch.entries, logs),
    marks: planMarks(batch.entries),
  }
}

/** What a commit did to one log. */
export interface CommittedLog {
  readonly head: number
  /** The last wanted entry before. */
  readonly prior: number
}
/** Where the entries came to lie. @throws RangeError when a log is missing */
export function placesOf(entries: readonly NewEntry[], logs: ReadonlyMap<number, CommittedLog>): readonly Placed[] {
  const left = new Map<number, number>()
  for (const { account } of entries) left.set(account, (left.get(account) ?? 0) + 1)
  const prior = new Map<number, number>()
  return entries.map(({ account, wanted }) => {
    const log = logs.get(account)
    if (log === undefined) throw new RangeError('the batch was committed with other entries')
    const back = (left.get(account) ?? 0) - 1
    left.set(account, back)
    const id = log.head - back
    const prev = prior.get(account) ?? log.prior
    if (wanted) prior.set(account, id)
    return { id, prev }
  })
}

/** An entry that is neither archived nor wanted only takes an id. */
const isKept = (entry: NewEntry): boolean => entry.archived || entry.wanted

function planLogs({ entries, takes }: Batch): readonly PlannedLog[] {
  const plans = new Map<number, { count: number; lead: number; tail: number; taken: number[]; lingers: boolean }>()
  const planOf = (account: number) => {
    const plan = plans.get(account) ?? { count: 0, lead: 0, tail: -1, taken: [], lingers: false }
    plans.set(account, plan)
    return plan
  }
  for (const { account, wanted } of entries) {
    const plan = planOf(account)
    plan.count++
    if (wanted) plan.tail = 0
    else if (plan.tail < 0) plan.lead++
    else plan.tail++
  }
  for (const { account, ids, lingers } of takes) {
    const plan = planOf(account)
    for (const id of ids) plan.taken.push(id)
    plan.lingers ||= lingers
  }
  return [...plans]
    .sort(([a], [b]) => a - b)
    .map(([account, { count, lead, tail, taken, lingers }]) => ({
      account,
      count,
      lead,
      tail,
      taken: taken.length === 0 ? NO_RANGES : rangesOf(taken),
      lingers,
    }))
}

function planEntries(entries: readonly NewEntry[], logs: readonly PlannedLog[]) {
  const left = new Map(logs.map(({ account, count }) => [account, count]))
  const kept: PlannedEntry[] = []
  const retractions: PlannedRetraction[] = []
  const payloads: Uint8Array[] = []
  let start = 0
  for (const entry of entries) {
    const { account, direction, archived, wanted, peer, messageId, at, payload } = entry
    const back = (left.get(account) ?? 0) - 1
    left.set(account, back)
    if (entry.retracts !== undefined) retractions.push({ account, back, wish: wishOf(entry, entry.retracts) })
    if (!isKept(entry)) continue
    const contact = contactKey(bareOf(peer as Jid))
    kept.push({
      account,
      back,
      contact,
      message: messageKey(messageId),
      direction,
      archived,
      wanted,
      peer,
      at,
      start,
      size: payload.length,
    })
    payloads.push(payload)
    start += payload.length
  }
  // A buffer of its own, not a slice of Node's pool: it crosses to SQLite's thread alone.
  const joined = new Uint8Array(start)
  for (const [i, payload] of payloads.entries()) joined.set(payload, kept[i]?.start ?? 0)
  return { entries: kept, payloads: joined, retractions }
}
function wishOf({ peer, direction }: NewEntry, retraction: Retraction): string {
  const kept: Omit<KeptRetraction, 'id'> = { contact: bareOf(peer as Jid), direction, retraction }
  return JSON.stringify(kept)
}

function planMarks(entries: readonly NewEntry[]): readonly PlannedMark[] {
  const covered = new Map<string, Range[]>()
  for (const { stream, number, floor } of entries) {
    if (stream === undefined) continue
    const key = Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength).toString('hex')
    const ranges = covered.get(key) ?? []
    ranges.push([0, floor], [number, number])
    covered.set(key, ranges)
  }
  return [...covered]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([stream, ranges]) => ({ stream, covered: join(ranges) }))
}
