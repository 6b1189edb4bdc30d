import type { Transferable } from 'node:worker_threads'
import type { PlannedBatch, PlannedEntry, PlannedLog, PlannedMark, PlannedRetraction } from '../batch-plan.ts'
import type { Range } from '../ranges.ts'

/**
 * A planned batch as it crosses to the database's thread: numbers in one array and bytes in another, both handed over, since to
 * clone some thousand small objects costs as much as to commit them.
 */
export interface PackedBatch {
  readonly id: Uint8Array
  readonly at: number
  readonly first: number
  readonly numbers: Float64Array<ArrayBuffer>
  readonly payloads: Uint8Array
  /** Peers of the entries, then streams of the marks, then wishes of the retractions. */
  readonly texts: readonly string[]
}

/** What of it is handed over and not copied. */
export const handedOver = ({ numbers, payloads }: PackedBatch): Transferable[] => [
  numbers.buffer,
  payloads.buffer as ArrayBuffer,
]

export function pack({ id, at, first, logs, entries, payloads, marks, retractions }: PlannedBatch): PackedBatch {
  const numbers: number[] = [logs.length, entries.length, marks.length, retractions.length]
  const texts: string[] = []
  for (const { account, count, lead, tail, from, to, taken, lingers } of logs) {
    numbers.push(account, count, lead, tail, from, to, lingers ? 1 : 0)
    packRanges(numbers, taken)
  }
  for (const e of entries) {
    const marks = (e.direction === 'received' ? 1 : 0) | (e.archived ? 2 : 0) | (e.wanted ? 4 : 0)
    numbers.push(e.account, e.back, e.contact, e.message ?? Number.NaN, e.at, marks, e.start, e.size)
    texts.push(e.peer)
  }
  for (const { stream, covered } of marks) {
    packRanges(numbers, covered)
    texts.push(stream)
  }
  for (const { account, back, wish } of retractions) {
    numbers.push(account, back)
    texts.push(wish)
  }
  return { id, at, first, numbers: Float64Array.from(numbers), payloads, texts }
}
function packRanges(numbers: number[], ranges: readonly Range[]): void {
  numbers.push(ranges.length)
  for (const [from, to] of ranges) numbers.push(from, to)
}

export function unpack({ id, at, first, numbers, payloads, texts }: PackedBatch): PlannedBatch {
  let next = 0
  let text = 0
  const number = (): number => numbers[next++] as number
  const ranges = (): Range[] => Array.from({ length: number() }, (): Range => [number(), number()])
  const [logCount, entryCount, markCount, retractionCount] = [number(), number(), number(), number()]
  const logs = Array.from({ length: logCount }, (): PlannedLog => {
    const [account, count, lead, tail] = [number(), number(), number(), number()]
    const [from, to, lingers] = [number(), number(), number()]
    return { account, count, lead, tail, from, to, lingers: lingers === 1, taken: ranges() }
  })
  const entries = Array.from({ length: entryCount }, (): PlannedEntry => {
    const [account, back, contact, message, at] = [number(), number(), number(), number(), number()]
    const [marks, start, size] = [number(), number(), number()]
    return {
      account,
      back,
      contact,
      message: Number.isNaN(message) ? null : message,
      at,
      direction: (marks & 1) === 0 ? 'sent' : 'received',
      archived: (marks & 2) !== 0,
      wanted: (marks & 4) !== 0,
      peer: texts[text++] as string,
      start,
      size,
    }
  })
  const marks = Array.from({ length: markCount }, (): PlannedMark => {
    const covered = ranges()
    return { stream: texts[text++] as string, covered }
  })
  const retractions = Array.from({ length: retractionCount }, (): PlannedRetraction => {
    const [account, back] = [number(), number()]
    return { account, back, wish: texts[text++] as string }
  })
  return { id, at, first, logs, entries, payloads, marks, retractions }
}
