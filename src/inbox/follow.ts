import type { StoredEntry } from './store.ts'

/** Entries read from the log at a time. */
export const PAGE = 100

/** What a follower needs of its session. */
export interface FollowPort {
  /**
   * Reads the log above `after`, see `InboxStore.read`; `page` is called with what was found and the same `reading`.
   */
  read(after: number, since: number | undefined, reading: number): void
  /** Sends a stored entry, unless this session has it already or it is not for it; false when the out-queue is full and it was not sent. */
  giveStored(entry: StoredEntry): boolean
  /** The state has changed. */
  moved(state: FollowState): void
}
export type FollowState = 'idle' | 'reading' | 'stalled' | 'following'

/**
 * A session's place in its account's log (DESIGN.md section 5): `idle` while not available, `reading` the log from its position,
 * `stalled` while its out-queue is full, `following` once it has met the last entry.
 *
 * Every entry tells which one was before it, so a follower sees that it missed one (another node's, a lost doorbell) and reads
 * the log again from where it was. What was committed while the session was there reaches it also when a sibling took it
 * meanwhile; what is older only while it is open.
 */
export class Follower {
  #state: FollowState = 'idle'
  /** All wanted entries up to it were dealt with. */
  #position = 0
  /** Entries up to it concern the session only while they are open; undefined until the log was read for the first time. */
  #since: number | undefined
  /** The entry before the first one that came while the log had not been read: from there on nothing may be missed. */
  #floor = Number.POSITIVE_INFINITY
  /** The newest entry told while not following: reading ends only beyond it. */
  #known = 0
  #reading = 0
  /** It was started and not stopped. */
  #isBegun = false
  /** Entries above the position that the session has had: ahead of their commit, or before a rewind. */
  readonly #had = new Set<number>()
  readonly #port: FollowPort

  constructor(port: FollowPort) {
    this.#port = port
  }
  get state(): FollowState {
    return this.#state
  }
  get position(): number {
    return this.#position
  }
  /** True when the log was read, so that the position says something. */
  get hasRead(): boolean {
    return this.#since !== undefined
  }
  /** Above it is what a session that ends leaves unread; undefined: it was not at the log. */
  get unread(): number | undefined {
    return this.#isBegun ? this.#position : undefined
  }

  /** idle → reading */
  start(): void {
    if (this.#state === 'idle') this.#read()
  }
  /** any → idle; the position is kept: the session may come back. */
  pause(): void {
    this.#reading++
    this.#move('idle')
  }
  /** any → idle: the next start is a new beginning. */
  stop(): void {
    this.pause()
    this.#position = 0
    this.#since = undefined
    this.#floor = Number.POSITIVE_INFINITY
    this.#known = 0
    this.#isBegun = false
    this.#had.clear()
  }
  /** following → stalled: the out-queue is full. */
  full(): void {
    if (this.#state === 'following') this.#move('stalled')
  }
  /** stalled → reading */
  drained(): void {
    if (this.#state === 'stalled') this.#read()
  }
  /** Entries above `position` may be open again that this session has passed: any but idle → reading. */
  rewind(position: number): void {
    if (position >= this.#position) return
    if (this.#since !== undefined && this.#since < this.#position) this.#since = this.#position
    this.#position = position
    if (this.#state === 'reading' || this.#state === 'following') this.#read()
  }
  /** An entry was committed, `prev` was the one before; true when it is to be sent to this session now. */
  pushed(id: number, prev: number): boolean {
    if (this.#state === 'following') {
      if (id <= this.#position) return false
      if (prev <= this.#position) {
        this.#position = id
        return true
      }
      this.#known = id
      this.#read()
      return false
    }
    if (this.#isBegun && this.#since === undefined && prev < this.#floor) this.#floor = prev
    if (id > this.#known) this.#known = id
    return false
  }
  /** The same for an entry that the session was given ahead of its commit: it is not to come again. */
  had(id: number, prev: number): void {
    if (!this.#isBegun) return
    if (this.#since !== undefined && id > this.#position && prev <= this.#position) {
      this.#position = id
      return
    }
    if (id > this.#position) this.#had.add(id)
    this.pushed(id, prev)
  }
  /** The device confirmed an entry: a page that is on its way may still show it as open. */
  took(id: number): void {
    if (this.#state === 'reading' && id > this.#position) this.#had.add(id)
  }
  /** The log's last entry as another source tells it: whoever is behind reads. */
  told(last: number): void {
    if (last <= this.#position) return
    if (last > this.#known) this.#known = last
    if (this.#state === 'following') this.#read()
  }
  /** The answer to `read`: entries in order, and the log's last one; `since`: where the reading began if it was the first one. */
  page(reading: number, entries: readonly StoredEntry[], last: number, since: number = last): void {
    if (this.#state !== 'reading' || reading !== this.#reading) return
    // A first page lacks what siblings took since the session came: above the floor it is read again.
    const end = this.#since === undefined ? Math.min(last, this.#floor) : last
    this.#since ??= Math.min(since, end)
    for (const entry of entries) {
      // It got its id while the page was on its way.
      if (entry.id <= this.#position) continue
      if (entry.id > end) break
      if (!this.#had.delete(entry.id) && !this.#port.giveStored(entry)) {
        this.#move('stalled')
        return
      }
      // It may have been given away meanwhile, by what giving led to.
      if (reading !== this.#reading) return
      this.#position = entry.id
    }
    const isWhole = entries.length < PAGE || (entries.at(-1)?.id ?? 0) > end
    if (isWhole && end > this.#position) this.#position = end
    for (const id of this.#had) if (id <= this.#position) this.#had.delete(id)
    if (isWhole && this.#known <= end) this.#move('following')
    else this.#read()
  }
  /** The log could not be read; the session asks again after a while. */
  retry(reading: number): void {
    if (this.#state === 'reading' && reading === this.#reading) this.#read()
  }

  #read(): void {
    this.#isBegun = true
    this.#move('reading')
    this.#port.read(this.#position, this.#since, ++this.#reading)
  }
  #move(state: FollowState): void {
    if (state === this.#state) return
    this.#state = state
    this.#port.moved(state)
  }
}
