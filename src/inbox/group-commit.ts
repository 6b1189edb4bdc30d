import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { Batch, InboxStore, NewEntry, Placed, Takes } from './store.ts'

/** Messages of one batch at most; 16–64 is where a commit costs least per row, larger ones only under load. */
const MAX_BATCH = 128
/** Messages and their bytes waiting for a batch above which new ones are refused: the database is away or far too slow. */
const MAX_WAITING = 20_000
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** Takes wait at most this long for an entry of their account, whose log is written anyway. */
const TAKES_MS = 200
const RETRY_MS = [50, 100, 250, 500, 1_000, 2_000]

/** A message on its way to the store: one entry, or one in each of two logs, which are committed together or not at all. */
export interface Committing {
  readonly entries: readonly NewEntry[]
  /** Of their payloads. */
  readonly bytes: number
  /** The floor is asked for when the batch is made up, so that it is as high as it can truly be. */
  readonly floor: () => number
  kept(places: readonly Placed[]): void
  /** The store said no to this very message. */
  refused(cause: unknown): void
}
interface OpenTakes {
  readonly ids: number[]
  from: number | undefined
  lingers: boolean
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
  /** Half of each batch's id; the other counts. */
  readonly #name = randomBytes(8)
  #named = 0
  #waiting: Committing[] = []
  #waitingBytes = 0
  /** Batches begun so far, and who waits for the end of which. */
  #begun = 0
  #barriers: { readonly batch: number; readonly resolve: () => void }[] = []
  #takes = new Map<number, OpenTakes>()
  /** Takes in the batch that is under way. */
  #saving: ReadonlyMap<number, OpenTakes> = new Map()
  #running: Promise<void> | undefined
  #takesTimer: NodeJS.Timeout | undefined
  /** All of them go with the next batch. */
  #areTakesDue = false
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
    this.#waitingBytes += committing.bytes
    this.#start()
    return true
  }
  /**
   * Notes that a device took a kept entry; saved with the account's next entry, or soon. `prev`: the wanted entry before it, where
   * that is known. See `Takes.lingers`.
   */
  take(account: number, id: number, lingers: boolean, prev?: number): void {
    const takes = this.#takes.get(account)
    if (takes === undefined) {
      this.#takes.set(account, { ids: [id], from: prev ?? id - 1, lingers })
    } else {
      if (prev !== takes.ids.at(-1)) takes.from = undefined
      takes.ids.push(id)
      takes.lingers ||= lingers
    }
    this.#takesTimer ??= setTimeout(() => {
      this.#takesTimer = undefined
      if (this.#takes.size > 0) this.#saveTakes()
    }, TAKES_MS)
  }
  /** Settles once all entries and takes noted so far are committed; at once (undefined) when there is none. */
  flushed(): Promise<void> | undefined {
    if (this.#takes.size > 0) this.#saveTakes()
    else if (this.#waiting.length > 0) this.#start()
    if (this.#running === undefined) return undefined
    const more = Math.max(Math.ceil(this.#waiting.length / MAX_BATCH), this.#takes.size > 0 ? 1 : 0)
    const batch = this.#begun + more
    return new Promise((resolve) => this.#barriers.push({ batch, resolve }))
  }
  /** True when takes of this account are not yet saved. */
  hasTakes(account: number): boolean {
    return this.#takes.has(account) || this.#saving.has(account)
  }

  #saveTakes(): void {
    this.#areTakesDue = true
    this.#start()
  }
  #start(): void {
    this.#running ??= this.#run()
  }
  async #run(): Promise<void> {
    // A turn of the event loop collects what arrives together with the first entry.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0 || this.#areTakesDue) {
      const members = this.#waiting.length <= MAX_BATCH ? this.#waiting : this.#waiting.slice(0, MAX_BATCH)
      this.#waiting = members === this.#waiting ? [] : this.#waiting.slice(MAX_BATCH)
      for (const { bytes } of members) this.#waitingBytes -= bytes
      this.#saving = this.#takesWith(members)
      this.#begun++
      const takes = Array.from(this.#saving, ([account, open]): Takes => ({ account, ...open }))
      await this.#commit(members, takes)
      this.#saving = new Map()
      this.#passed(this.#begun)
    }
    this.#running = undefined
    this.#passed(Number.POSITIVE_INFINITY)
  }
  /** The takes to be saved beside these messages: those of the same accounts, or all when some have waited long enough. */
  #takesWith(members: readonly Committing[]): ReadonlyMap<number, OpenTakes> {
    const all = this.#takes
    if (this.#areTakesDue) {
      this.#takes = new Map()
      this.#areTakesDue = false
      clearTimeout(this.#takesTimer)
      this.#takesTimer = undefined
      return all
    }
    const some = new Map<number, OpenTakes>()
    if (all.size === 0) return some
    for (const { entries } of members)
      for (const { account } of entries) {
        const takes = all.get(account)
        if (takes === undefined) continue
        all.delete(account)
        some.set(account, takes)
      }
    return some
  }
  #nextId(): Uint8Array {
    const id = Buffer.alloc(16)
    this.#name.copy(id)
    id.writeBigUInt64BE(BigInt(this.#named++), 8)
    return id
  }
  #passed(batch: number): void {
    const open = this.#barriers
    this.#barriers = open.filter((b) => b.batch > batch)
    for (const b of open) if (b.batch <= batch) b.resolve()
  }
  async #commit(members: readonly Committing[], takes: Batch['takes']): Promise<void> {
    const entries = entriesOf(members)
    const batch: Batch = { id: this.#nextId(), entries, takes, takesRefused: this.#takesRefused }
    let places: readonly Placed[]
    for (let attempt = 0; ; attempt++) {
      try {
        places = await this.#store.commit(batch)
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
    let at = 0
    for (const member of members) {
      const own = places.slice(at, at + member.entries.length)
      at += own.length
      this.#tell(() => member.kept(own))
    }
  }
  readonly #takesRefused = (error: unknown): void => this.#log.error({ err: error }, 'takes refused')
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
      this.#takesRefused(error)
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

function entriesOf(members: readonly Committing[]): readonly NewEntry[] {
  const all: NewEntry[] = []
  for (const { entries, floor } of members)
    for (const entry of entries) {
      // Only the entry that bears the stream's name has a floor.
      if (entry.stream !== undefined) entry.floor = floor()
      all.push(entry)
    }
  return all
}
