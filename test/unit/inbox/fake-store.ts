import type { Batch, InboxStore, NewEntry, Placed, StoredEntry } from '../../../src/inbox/store.ts'
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
  /** Ids are one row of numbers for all accounts; the last wanted one of each. */
  readonly #lasts = new Map<number, number>()
  #last = 0
  counted: { readonly entries: number; readonly bytes: number } = { entries: 0, bytes: 0 }
  /** `account, after, since, limit` of each page asked for. */
  readonly pages: (readonly [number, number, number | undefined, number])[] = []
  /** Accounts, in the order in which they were swept. */
  readonly swept: number[] = []
  /** What the next sweep answers. */
  sweeping: () => Promise<void> = () => Promise.resolve()

  /** The oldest commit not seen yet, as soon as there is one. */
  next(): Promise<Call> {
    const call = this.#calls.shift()
    return call === undefined ? new Promise((resolve) => this.#awaited.push(resolve)) : Promise.resolve(call)
  }
  /** Commits that nobody asked for with `next`. */
  get unseen(): number {
    return this.#calls.length
  }
  commit(batch: Batch): Promise<readonly Placed[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Placed[]>()
    const call: Call = { batch, done: () => resolve(batch.entries.map((entry) => this.#place(entry))), fail: reject }
    const awaited = this.#awaited.shift()
    if (awaited === undefined) this.#calls.push(call)
    else awaited(call)
    return promise
  }
  #place({ account, wanted }: NewEntry): Placed {
    const id = ++this.#last
    const prev = this.#lasts.get(account) ?? 0
    if (wanted) this.#lasts.set(account, id)
    return { id, prev }
  }
  read(account: number, after: number, since: number | undefined, limit: number): ReturnType<InboxStore['read']> {
    this.pages.push([account, after, since, limit])
    return Promise.resolve({ entries: [], last: this.#lasts.get(account) ?? 0 })
  }
  lasts(): Promise<ReadonlyMap<number, number>> {
    return Promise.resolve(this.#lasts)
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
  lingering(): ReturnType<InboxStore['lingering']> {
    return Promise.resolve([])
  }
  sweep(account: number): Promise<void> {
    this.swept.push(account)
    return this.sweeping()
  }
  clear(): Promise<boolean> {
    return Promise.resolve(false)
  }
  deviceCursor(): Promise<number | undefined> {
    return Promise.resolve(undefined)
  }
  saveDevices(): Promise<void> {
    return Promise.resolve()
  }
}

export const newEntry = (account: number, body: string): NewEntry => ({
  account,
  direction: 'received',
  archived: false,
  wanted: true,
  peer: 'romeo@example.org/phone',
  payload: Buffer.from(body),
  messageId: undefined,
  at: 0,
  stream: undefined,
  number: 0,
  floor: 0,
})
/** An entry as it comes from the log. */
export const stored = (id: number): StoredEntry => ({
  id,
  account: 1,
  direction: 'received',
  archived: false,
  wanted: true,
  peer: 'romeo@example.org/phone',
  payload: Buffer.from(`${id}`),
  at: 0,
})
export const bodies = (batch: Batch): string[] => batch.entries.map((e) => Buffer.from(e.payload).toString())
