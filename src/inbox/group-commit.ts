import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { Batch, InboxStore, NewEntry } from './store.ts'

/** Entries of one batch at most; 16–64 is where a commit costs least per row, larger ones only under load. */
const MAX_BATCH = 128
/** Entries and their bytes waiting for a batch above which new ones are refused: the database is away or far too slow. */
const MAX_WAITING = 20_000
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** Takes wait this long for an entry's batch to travel with. */
const TAKES_MS = 50
const RETRY_MS = [50, 100, 250, 500, 1_000, 2_000]

/** An entry on its way to the store. */
export interface Committing {
  readonly entry: NewEntry
  /** The floor is asked for when the batch is made up, so that it is as high as it can truly be. */
  readonly floor: () => number
  kept(id: number): void
  /** The store said no to this very entry. */
  refused(cause: unknown): void
}

/** Says whether a failed commit may be retried as it is. */
export type IsUnavailable = (error: unknown) => boolean

/**
 * Group commit: while one batch is on its way the next collects, so an idle server adds one commit's delay and a busy one
 * commits dozens of entries at once. A batch without an answer is sent again under its id; a refused one is halved until only
 * the guilty entry is refused. One batch is under way at a time, which is what keeps every order.
 */
export class GroupCommit {
  readonly #store: InboxStore
  readonly #isUnavailable: IsUnavailable
  readonly #log: Logger
  #waiting: Committing[] = []
  #waitingBytes = 0
  /** Batches begun so far, and who waits for the end of which. */
  #begun = 0
  #barriers: { readonly batch: number; readonly resolve: () => void }[] = []
  #takes = new Map<number, Set<number>>()
  /** Takes in the batch that is under way. */
  #saving: ReadonlyMap<number, unknown> = new Map()
  #running: Promise<void> | undefined
  #takesTimer: NodeJS.Timeout | undefined
  #isAway = false

  constructor(store: InboxStore, isUnavailable: IsUnavailable, log: Logger) {
    this.#store = store
    this.#isUnavailable = isUnavailable
    this.#log = log
  }
  /** True while the store does not answer. */
  get isAway(): boolean {
    return this.#isAway
  }
  get waiting(): number {
    return this.#waiting.length
  }

  /** Joins the next batch; false when too many wait already, unless a device has the entry and nothing else will do (`always`). */
  add(committing: Committing, always = false): boolean {
    const isFull = this.#waiting.length >= MAX_WAITING || this.#waitingBytes >= MAX_WAITING_BYTES
    if (isFull && !always) return false
    this.#waiting.push(committing)
    this.#waitingBytes += committing.entry.payload.length
    this.#start()
    return true
  }
  /** Notes that a device took a kept entry; saved with the next batch, soon. */
  take(account: number, id: number): void {
    const ids = this.#takes.get(account)
    if (ids) ids.add(id)
    else this.#takes.set(account, new Set([id]))
    if (this.#running === undefined && this.#takesTimer === undefined) {
      this.#takesTimer = setTimeout(() => {
        this.#takesTimer = undefined
        this.#start()
      }, TAKES_MS)
    }
  }
  /** Settles once all entries and takes noted so far are committed; at once (undefined) when there is none. */
  flushed(): Promise<void> | undefined {
    if (this.#waiting.length > 0 || this.#takes.size > 0) this.#start()
    if (this.#running === undefined) return undefined
    const more = Math.max(Math.ceil(this.#waiting.length / MAX_BATCH), this.#takes.size > 0 ? 1 : 0)
    const batch = this.#begun + more
    return new Promise((resolve) => this.#barriers.push({ batch, resolve }))
  }
  /** True when takes of this account are not yet saved. */
  hasTakes(account: number): boolean {
    return this.#takes.has(account) || this.#saving.has(account)
  }

  #start(): void {
    if (this.#running !== undefined) return
    clearTimeout(this.#takesTimer)
    this.#takesTimer = undefined
    this.#running = this.#run()
  }
  async #run(): Promise<void> {
    // A turn of the event loop collects what arrives together with the first entry.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0 || this.#takes.size > 0) {
      const members = this.#waiting.length <= MAX_BATCH ? this.#waiting : this.#waiting.slice(0, MAX_BATCH)
      this.#waiting = members === this.#waiting ? [] : this.#waiting.slice(MAX_BATCH)
      const takes = [...this.#takes].map(([account, ids]) => ({ account, ids: [...ids] }))
      this.#saving = this.#takes
      this.#takes = new Map()
      for (const { entry } of members) this.#waitingBytes -= entry.payload.length
      this.#begun++
      await this.#commit(members, takes)
      this.#saving = new Map()
      this.#passed(this.#begun)
    }
    this.#running = undefined
    this.#passed(Number.POSITIVE_INFINITY)
  }
  #passed(batch: number): void {
    const open = this.#barriers
    this.#barriers = open.filter((b) => b.batch > batch)
    for (const b of open) if (b.batch <= batch) b.resolve()
  }
  async #commit(members: readonly Committing[], takes: Batch['takes']): Promise<void> {
    const entries = members.map((m) => ({ ...m.entry, floor: m.floor() }))
    const batch: Batch = { id: randomBytes(16), entries, takes }
    let ids: readonly number[]
    for (let attempt = 0; ; attempt++) {
      try {
        ids = await this.#store.commit(batch)
        if (this.#isAway) this.#log.info('store answers again')
        this.#isAway = false
        break
      } catch (error) {
        if (!this.#isUnavailable(error)) {
          await this.#halve(members, takes, error)
          return
        }
        if (!this.#isAway) this.#log.warn({ err: error }, 'store unavailable, batch is tried again')
        this.#isAway = true
        const ms = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] as number
        await new Promise((resolve) => setTimeout(resolve, ms))
      }
    }
    for (const [i, member] of members.entries()) this.#tell(() => member.kept(ids[i] as number))
  }
  /** What others do with the news must not stop the commits. */
  #tell(news: () => void): void {
    try {
      news()
    } catch (error) {
      this.#log.error({ err: error }, 'delivery after a commit failed')
    }
  }
  async #halve(members: readonly Committing[], takes: Batch['takes'], error: unknown): Promise<void> {
    if (members.length === 1 && takes.length > 0) {
      // Which of the two it was shows when they go apart.
      await this.#commit(members, [])
      await this.#commit([], takes)
      return
    }
    const [only] = members
    if (only === undefined) {
      this.#log.error({ err: error }, 'takes refused')
      return
    }
    if (members.length === 1) {
      this.#log.warn({ err: error }, 'entry refused')
      this.#tell(() => only.refused(error))
      return
    }
    const half = members.length >> 1
    await this.#commit(members.slice(0, half), takes)
    await this.#commit(members.slice(half), [])
  }
}
