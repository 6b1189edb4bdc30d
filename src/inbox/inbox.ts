import type { Logger } from 'pino'
import type { Timed, Wheel } from '../util/wheel.ts'
import type { Stanza } from '../xmpp/stanza.ts'
import { Entry, type Sender, type Taker } from './entry.ts'
import { GroupCommit, type IsUnavailable } from './group-commit.ts'
import type { Quota } from './quota.ts'
import type { InboxStore, StoredEntry } from './store.ts'

/** An entry that nobody has taken is committed after this long; with the wheel's tick and the commit it stays under a second. */
const HOLD_MS = 600

/** What the inbox tells the line. */
export interface InboxEvents {
  /** Committed and still open: to be pushed to every following session that has not got it. */
  kept(entry: Entry): void
}

/** What is under way for one account on this node. */
interface Lane {
  /** Given at once and in memory only, in order. */
  readonly held: Set<Entry>
  /** The sessions that `held` entries were given to. */
  takers: readonly Taker[]
  committing: number
  last: Entry | undefined
}

/**
 * The inboxes of the accounts this node has to do with (DESIGN.md sections 3 and 5): decides whether a message may go to its
 * devices before it is committed, commits what nobody takes in time, and keeps the order of all that is addressed to an account.
 */
export class Inbox implements Timed {
  readonly #store: InboxStore
  readonly #commit: GroupCommit
  readonly #wheel: Wheel
  readonly #events: InboxEvents
  readonly #quota: Quota
  readonly #lanes = new Map<number, Lane>()
  /** Held entries by age; those taken meanwhile are passed over. */
  #oldest: Entry[] = []
  #oldestIndex = 0
  due = Infinity

  constructor(
    store: InboxStore,
    quota: Quota,
    isUnavailable: IsUnavailable,
    wheel: Wheel,
    log: Logger,
    events: InboxEvents,
  ) {
    this.#quota = quota
    this.#store = store
    this.#wheel = wheel
    this.#events = events
    this.#commit = new GroupCommit(store, isUnavailable, log)
  }
  /** True while the store does not answer. */
  get isAway(): boolean {
    return this.#commit.isAway
  }

  /** True when a message for the account may be given to exactly these sessions at once, ahead of its commit. */
  mayHold(account: number, takers: readonly Taker[]): boolean {
    const lane = this.#lanes.get(account)
    if (lane === undefined) return true
    if (lane.committing > 0) return false
    return lane.held.size === 0 || isSame(lane.takers, takers)
  }
  /** A message that its takers are given at once. */
  hold(account: number, stanza: Stanza, sender: Sender | undefined, number: number, takers: Taker[]): Entry {
    const entry = new Entry(account, stanza, sender, number, Date.now(), takers)
    entry.state = 'held'
    entry.heldAt = this.#wheel.now()
    const lane = this.#lane(account)
    lane.held.add(entry)
    lane.takers = takers
    this.#oldest.push(entry)
    if (this.due === Infinity) this.#wheel.schedule(this, this.#wheel.now() + HOLD_MS)
    return entry
  }
  /** A message that is committed first; `events.kept` follows. Undefined when the store is so far behind that it must be refused. */
  keep(account: number, stanza: Stanza, sender: Sender | undefined, number: number): Entry | undefined {
    const entry = new Entry(account, stanza, sender, number, Date.now(), [])
    const lane = this.#lane(account)
    this.#commitHeld(lane)
    if (!this.#add(entry, lane, false)) {
      this.#sweep(account, lane)
      return undefined
    }
    return entry
  }
  /** Runs `then` when nothing that was addressed to the account before is still waiting for its commit; true where it ran at once. */
  after(account: number, then: () => void): boolean {
    const last = this.#lanes.get(account)?.last
    if (last === undefined) {
      then()
      return true
    }
    if (last.followers === undefined) last.followers = [then]
    else last.followers.push(then)
    return false
  }

  /** A device has it for good. */
  taken(entry: Entry): void {
    const was = entry.state
    if (was === 'taken' || was === 'refused') return
    entry.state = 'taken'
    if (was === 'held') {
      const lane = this.#lanes.get(entry.account)
      if (lane) {
        lane.held.delete(entry)
        this.#sweep(entry.account, lane)
      }
    } else if (was === 'kept' && entry.id !== undefined) {
      this.#take(entry.account, entry.id)
    }
    // While it is committing, `kept` comes and takes it there.
    if (was !== 'kept') entry.sender?.settled(entry.number)
  }
  /** A stored entry that a session had read from the log was taken. */
  takenStored(account: number, id: number): void {
    this.#take(account, id)
  }
  #take(account: number, id: number): void {
    this.#commit.take(account, id)
    this.#quota.taken(account)
  }
  /** False when the account's inbox is full. */
  hasRoom(account: number): boolean {
    return this.#quota.hasRoom(account)
  }
  /** Whoever had it is gone, or somebody else of the account is about to read the log: what is only in memory is committed now. */
  commitHeld(account: number): void {
    const lane = this.#lanes.get(account)
    if (lane !== undefined) this.#commitHeld(lane)
  }

  /** Open entries above `after`, with all that this node knows of committed first. */
  async page(
    account: number,
    after: number,
    limit: number,
  ): Promise<{ entries: readonly StoredEntry[]; head: number }> {
    this.commitHeld(account)
    await this.flushed(account)
    return await this.#store.open(account, after, limit)
  }
  /** Settles when all entries and takes of the account that this node knows of are in the store. */
  async flushed(account: number): Promise<void> {
    if (this.isBusy(account)) await this.#commit.flushed()
  }
  /** True while something of the account is only here. */
  isBusy(account: number): boolean {
    return this.#lanes.has(account) || this.#commit.hasTakes(account)
  }
  /** Commits everything and settles when that is done. */
  async flush(): Promise<void> {
    for (const lane of this.#lanes.values()) this.#commitHeld(lane)
    await this.#commit.flushed()
  }
  waiting(account: number): Promise<{ readonly entries: number; readonly bytes: number }> {
    return this.#store.waiting(account)
  }
  lastSettled(stream: Uint8Array): Promise<number | undefined> {
    return this.#store.lastSettled(stream)
  }

  elapsed(now: number): void {
    const before = now - HOLD_MS
    const queue = this.#oldest
    let index = this.#oldestIndex
    for (; index < queue.length; index++) {
      const entry = queue[index] as Entry
      if (entry.state !== 'held') continue
      if (entry.heldAt > before) break
      this.commitHeld(entry.account)
    }
    this.#oldestIndex = index
    if (index === queue.length) {
      this.#oldest = []
      this.#oldestIndex = 0
      this.due = Infinity
      return
    }
    if (index > 1024) {
      this.#oldest = queue.slice(index)
      this.#oldestIndex = 0
    }
    this.#wheel.schedule(this, now + HOLD_MS / 4)
  }

  #lane(account: number): Lane {
    const found = this.#lanes.get(account)
    if (found !== undefined) return found
    const lane: Lane = { held: new Set(), takers: [], committing: 0, last: undefined }
    this.#lanes.set(account, lane)
    return lane
  }
  #sweep(account: number, lane: Lane): void {
    if (lane.committing === 0 && lane.held.size === 0) this.#lanes.delete(account)
  }
  #commitHeld(lane: Lane): void {
    if (lane.held.size === 0) return
    const held = [...lane.held]
    lane.held.clear()
    for (const entry of held) {
      entry.state = 'committing'
      this.#add(entry, lane, true)
    }
  }
  #add(entry: Entry, lane: Lane, always: boolean): boolean {
    const { sender, stanza } = entry
    const isAdded = this.#commit.add(
      {
        entry: {
          account: entry.account,
          direction: 'received',
          archived: false,
          wanted: true,
          peer: stanza.from,
          payload: stanza.bytes,
          at: entry.at,
          stream: sender?.stream,
          number: sender?.counted(entry.number) ?? 0,
          floor: 0,
        },
        floor: () => sender?.h ?? 0,
        kept: (id) => {
          entry.id = id
          const wasTaken = entry.state === 'taken'
          if (wasTaken) {
            this.#take(entry.account, id)
          } else {
            entry.state = 'kept'
            sender?.settled(entry.number)
          }
          try {
            for (const taker of entry.takers) taker.entryKept(entry)
            if (!wasTaken) this.#events.kept(entry)
          } finally {
            this.#done(entry, lane)
          }
        },
        refused: () => {
          try {
            if (entry.state !== 'taken') this.#refuse(entry)
          } finally {
            this.#done(entry, lane)
          }
        },
      },
      always,
    )
    if (!isAdded) return false
    this.#quota.added(entry.account, stanza.content.length)
    lane.committing++
    lane.last = entry
    return true
  }
  #refuse(entry: Entry): void {
    entry.state = 'refused'
    if (entry.sender) entry.sender.refused(entry.number, entry.stanza)
  }
  #done(entry: Entry, lane: Lane): void {
    lane.committing--
    if (lane.last === entry) lane.last = undefined
    this.#sweep(entry.account, lane)
    const followers = entry.followers
    entry.followers = undefined
    if (followers) for (const then of followers) then()
  }
}

function isSame(a: readonly Taker[], b: readonly Taker[]): boolean {
  if (a.length !== b.length) return false
  for (const [i, taker] of a.entries()) if (taker !== b[i]) return false
  return true
}
