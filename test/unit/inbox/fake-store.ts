import type { Batch, InboxStore, NewEntry } from '../../../src/inbox/store.ts'
import { StoreError } from '../../../src/storage/sql.ts'

export const unavailable = (): StoreError => new StoreError('unavailable', new Error('no answer'))
export const refused = (): StoreError => new StoreError('refused', new Error('bad entry'))
export const isUnavailable = (error: unknown): boolean => error instanceof StoreError && error.fault === 'unavailable'
/** The event loop has turned once: what was waiting for nothing has gone on. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** One commit that waits for its answer. */
export interface Call {
  readonly batch: Batch
  /** Answers with the next ids. */
  done(): void
  fail(error: unknown): void
}

/** A store whose commits the test answers, one by one. */
export class FakeStore implements InboxStore {
  readonly #calls: Call[] = []
  readonly #awaited: ((call: Call) => void)[] = []
  #last = 0
  counted: { readonly entries: number; readonly bytes: number } = { entries: 0, bytes: 0 }
  readonly opened: (readonly [number, number, number])[] = []

  /** The oldest commit not seen yet, as soon as there is one. */
  next(): Promise<Call> {
    const call = this.#calls.shift()
    return call === undefined ? new Promise((resolve) => this.#awaited.push(resolve)) : Promise.resolve(call)
  }
  /** Commits that nobody asked for with `next`. */
  get unseen(): number {
    return this.#calls.length
  }
  commit(batch: Batch): Promise<readonly number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>()
    const call: Call = { batch, done: () => resolve(batch.entries.map(() => ++this.#last)), fail: reject }
    const awaited = this.#awaited.shift()
    if (awaited === undefined) this.#calls.push(call)
    else awaited(call)
    return promise
  }
  open(account: number, after: number, limit: number): ReturnType<InboxStore['open']> {
    this.opened.push([account, after, limit])
    return Promise.resolve({ entries: [], head: this.#last })
  }
  heads(): Promise<ReadonlyMap<number, number>> {
    return Promise.resolve(new Map())
  }
  waiting(): Promise<{ readonly entries: number; readonly bytes: number }> {
    return Promise.resolve(this.counted)
  }
  lastSettled(): Promise<number | undefined> {
    return Promise.resolve(undefined)
  }
  expire(): Promise<number> {
    return Promise.resolve(0)
  }
}

export const newEntry = (account: number, body: string): NewEntry => ({
  account,
  direction: 'received',
  archived: false,
  wanted: true,
  peer: 'romeo@example.org/phone',
  payload: Buffer.from(body),
  at: 0,
  stream: undefined,
  number: 0,
  floor: 0,
})
export const bodies = (batch: Batch): string[] => batch.entries.map((e) => Buffer.from(e.payload).toString())
