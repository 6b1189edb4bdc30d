import type { StoredEntry } from './store.ts'

/** Entries read from the log at a time. */
export const PAGE = 100

/** What a follower needs of its session. */
export interface FollowPort {
  /** Reads the open entries above `after`; `page` is called with them, with the same `reading`. */
  read(after: number, reading: number): void
  /** Sends a stored entry, unless this session has it already; false when the out-queue is full and it was not sent. */
  giveStored(entry: StoredEntry): boolean
  /** The session has met the head of the log and is now pushed to. */
  caughtUp(): void
}

/**
 * A session's place in its account's log (DESIGN.md section 5): `idle` while not available, `reading` the log from its position,
 * `stalled` while its out-queue is full, `following` once it has met the head. No entry is skipped and none given twice, however
 * pushes and pages interleave: what is pushed while not following only raises `known`, and a page ends the reading only when it
 * was read at or after `known`.
 */
export class Follower {
  #state: 'idle' | 'reading' | 'stalled' | 'following' = 'idle'
  /** All entries at or below it were given to this session, or were not open when it read past them. */
  #position = 0
  #known = 0
  /** Head of the log when it was read last: a page has dealt with all up to it. */
  #readTo = 0
  #reading = 0
  readonly #port: FollowPort

  constructor(port: FollowPort) {
    this.#port = port
  }
  get state(): 'idle' | 'reading' | 'stalled' | 'following' {
    return this.#state
  }
  get position(): number {
    return this.#position
  }

  /** idle → reading */
  start(): void {
    if (this.#state === 'idle') this.#read()
  }
  /** any → idle */
  stop(): void {
    this.#leave()
    this.#state = 'idle'
    this.#reading++
  }
  /** following → stalled: the out-queue is full. */
  full(): void {
    if (this.#state !== 'following') return
    this.#leave()
    this.#state = 'stalled'
  }
  /** stalled → reading */
  drained(): void {
    if (this.#state === 'stalled') this.#read()
  }
  /** Entries above `position` may be open again that this session has passed: any but idle → reading. */
  rewind(position: number): void {
    this.#leave()
    if (position < this.#position) this.#position = position
    if (this.#state === 'reading' || this.#state === 'following') this.#read()
  }
  /** Following: an entry was just committed; true when it is to be sent to this session now. */
  pushed(id: number): boolean {
    if (this.#state === 'following') {
      // Each entry is pushed once. One of another node may come after a later one of this node; a sender's own keep their order.
      if (id <= this.#readTo) return false
      if (id > this.#position) this.#position = id
      return true
    }
    if (id > this.#known) this.#known = id
    return false
  }
  /** An entry that the session already has got its id. */
  passed(id: number): void {
    if (this.#state === 'following' && id > this.#position) this.#position = id
    else if (id > this.#known) this.#known = id
  }
  /** The answer to `read`. */
  page(reading: number, entries: readonly StoredEntry[], head: number): void {
    if (this.#state !== 'reading' || reading !== this.#reading) return
    for (const entry of entries) {
      if (!this.#port.giveStored(entry)) {
        this.#state = 'stalled'
        return
      }
      this.#position = entry.id
    }
    if (entries.length >= PAGE || this.#known > head) {
      if (entries.length < PAGE && head > this.#position) this.#position = head
      this.#read()
      return
    }
    if (head > this.#position) this.#position = head
    this.#readTo = head
    this.#state = 'following'
    this.#port.caughtUp()
  }
  /** The log could not be read now; the session asks again. */
  failed(reading: number): boolean {
    return this.#state === 'reading' && reading === this.#reading
  }
  retry(reading: number): void {
    if (this.failed(reading)) this.#read()
  }

  /** Pushes of other nodes may be missing below the last of ours: what comes next is read from where reading ended. */
  #leave(): void {
    if (this.#state === 'following' && this.#readTo < this.#position) this.#position = this.#readTo
  }
  #read(): void {
    this.#state = 'reading'
    this.#reading++
    this.#port.read(this.#position, this.#reading)
  }
}
