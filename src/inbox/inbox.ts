import type { Logger } from 'pino'
import type { Timed, Wheel } from '../util/wheel.ts'
import { bareOf } from '../xmpp/jid.ts'
import type { Stanza } from '../xmpp/stanza.ts'
import { Entry, type NewMessage, type SentCopy, type Taker } from './entry.ts'
import { GroupCommit, type IsUnavailable } from './group-commit.ts'
import type { Quota } from './quota.ts'
import type { DeviceCursor, InboxStore, NewEntry, Placed, StoredEntry } from './store.ts'

/** An entry that nobody has taken is committed after this long; with the wheel's tick and the commit it stays under a second. */
const HOLD_MS = 600

/** Cursors of devices are collected so long. */
const DEVICES_MS = 250
/** Devices known of one account (DESIGN.md section 5). */
const MAX_DEVICES = 16

/** What the inbox tells the line. */
export interface InboxEvents {
  /** Committed: all sessions of the account are told. */
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
  readonly #log: Logger
  readonly #devices = new Map<number, Map<string, () => number | undefined>>()
  #devicesTimer: NodeJS.Timeout | undefined
  #savingDevices = Promise.resolve()
  /** Accounts of which entries linger by what was taken here. */
  readonly #lingering = new Set<number>()
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
    this.#log = log
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
  hold(message: NewMessage, takers: Taker[]): Entry {
    const entry = new Entry(message, Date.now(), takers)
    entry.state = 'held'
    entry.heldAt = this.#wheel.now()
    const lane = this.#lane(message.account)
    lane.held.add(entry)
    lane.takers = takers
    this.#oldest.push(entry)
    if (this.due === Infinity) this.#wheel.schedule(this, this.#wheel.now() + HOLD_MS)
    return entry
  }
  /** A message that is committed first; `events.kept` follows. Undefined when the store is so far behind that it must be refused. */
  keep(message: NewMessage): Entry | undefined {
    const entry = new Entry(message, Date.now(), [])
    const lane = this.#lane(message.account)
    this.#commitHeld(lane)
    if (!this.#add(entry, lane, false)) {
      this.#sweepLane(message.account, lane)
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

  /** A device has it for good. `lingers`: another session of the account has still to read it. */
  taken(entry: Entry, lingers: boolean): void {
    const was = entry.state
    if (was === 'taken' || was === 'refused') return
    entry.state = 'taken'
    entry.lingers = lingers && !entry.isArchived
    if (was === 'held') {
      const lane = this.#lanes.get(entry.account)
      if (lane) {
        lane.held.delete(entry)
        this.#sweepLane(entry.account, lane)
      }
    } else if (was === 'kept' && entry.id !== undefined) {
      this.#takenKept(entry.account, { id: entry.id, prev: entry.prev }, entry.lingers)
    }
    // While it is committing, `kept` comes and takes it there.
    if (was === 'kept') return
    entry.sender?.settled(entry.number)
    entry.becameSafe()
  }
  /** A stored entry that a session had read from the log was taken; `isResult`: from the archive, and perhaps not for the first time. */
  takenStored(account: number, id: number, lingers: boolean, isResult = false): void {
    this.#commit.take(account, id, lingers)
    if (!isResult) this.#quota.taken(account)
    if (lingers) this.#lingering.add(account)
  }
  #takenKept(account: number, { id, prev }: Placed, lingers: boolean): void {
    this.#commit.take(account, id, lingers, prev)
    this.#quota.taken(account)
    if (lingers) this.#lingering.add(account)
  }
  /** All sessions of the account have read what lingered: it goes. */
  passed(account: number): void {
    if (!this.#lingering.delete(account)) return
    this.flushed(account)
      .then(async () => {
        // What was taken meanwhile somebody may have still to read.
        if (!this.#lingering.has(account)) await this.#store.sweep(account)
      })
      .catch(() => this.#lingering.add(account))
  }
  /** How far a device has taken the account's log; undefined: it is not known. */
  async deviceCursor(account: number, device: string): Promise<number | undefined> {
    await this.#saveDevices()
    return await this.#store.deviceCursor(account, device)
  }
  /** A device has taken something; its cursor is asked for when it is saved, soon, and saved if it has one. */
  deviceTook(account: number, device: string, cursor: () => number | undefined): void {
    const devices = this.#devices.get(account) ?? new Map<string, () => number | undefined>()
    this.#devices.set(account, devices.set(device, cursor))
    this.#devicesTimer ??= setTimeout(() => void this.#saveDevices(), DEVICES_MS)
  }
  /** Settles when all that was told before is saved. */
  #saveDevices(): Promise<void> {
    this.#savingDevices = this.#savingDevices.then(() => this.#saveDevicesNow())
    return this.#savingDevices
  }
  async #saveDevicesNow(): Promise<void> {
    clearTimeout(this.#devicesTimer)
    this.#devicesTimer = undefined
    if (this.#devices.size === 0) return
    const cursors: DeviceCursor[] = []
    for (const [account, devices] of this.#devices)
      for (const [device, cursorOf] of devices) {
        const cursor = cursorOf()
        if (cursor !== undefined) cursors.push({ account, device, cursor })
      }
    this.#devices.clear()
    try {
      await this.#store.saveDevices(cursors, MAX_DEVICES)
    } catch (error) {
      // Entries come again under the same id.
      this.#log.warn({ err: error }, 'device cursors could not be saved')
    }
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

  /** See `InboxStore.read`, with all that this node knows of committed first. */
  async page(
    account: number,
    after: number,
    since: number | undefined,
    limit: number,
  ): Promise<{ entries: readonly StoredEntry[]; last: number }> {
    this.commitHeld(account)
    await this.flushed(account)
    const page = await this.#store.read(account, Math.min(after, Number.MAX_SAFE_INTEGER), since, limit)
    // It may have overtaken the answer to the commit that gave its entries their ids.
    if ((this.#lanes.get(account)?.committing ?? 0) > 0) await this.#commit.flushed()
    return page
  }
  /** Settles when all entries and takes of the account that this node knows of are in the store. */
  async flushed(account: number): Promise<void> {
    if (!this.isBusy(account)) return
    await this.#commit.flushed()
    await this.#saveDevices()
  }
  /** True while something of the account is only here. */
  isBusy(account: number): boolean {
    return this.#lanes.has(account) || this.#commit.hasTakes(account) || this.#devices.has(account)
  }
  /** Commits everything and settles when that is done. */
  async flush(): Promise<void> {
    for (const lane of this.#lanes.values()) this.#commitHeld(lane)
    await this.#commit.flushed()
    await this.#saveDevices()
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
  #sweepLane(account: number, lane: Lane): void {
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
    const { account, isArchived, retracts, sender, sent, stanza } = entry
    const payload = stanza.bytes
    const received: NewEntry = {
      account,
      direction: 'received',
      archived: isArchived,
      wanted: true,
      peer: stanza.from,
      payload,
      messageId: stanza.id,
      at: entry.at,
      stream: sender?.stream,
      number: sender?.counted(entry.number) ?? 0,
      floor: 0,
      retracts,
    }
    const entries = sent === undefined ? [received] : [received, sentEntry(received, sent, stanza)]
    const isAdded = this.#commit.add(
      {
        entries,
        bytes: payload.length * entries.length,
        floor: () => sender?.h ?? 0,
        kept: (places) => this.#kept(entry, places, lane),
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
    this.#quota.added(entry.account, stanza.content.length, this)
    lane.committing++
    lane.last = entry
    return true
  }
  #kept(entry: Entry, [place, sentPlace]: readonly Placed[], lane: Lane): void {
    if (place === undefined) throw new Error('a commit without a place')
    entry.id = place.id
    entry.prev = place.prev
    if (entry.sent !== undefined) entry.sent.id = sentPlace?.id
    const wasTaken = entry.state === 'taken'
    if (wasTaken) {
      this.#takenKept(entry.account, place, entry.lingers)
    } else {
      entry.state = 'kept'
      entry.sender?.settled(entry.number)
    }
    try {
      for (const taker of entry.takers) taker.entryKept(entry)
      this.#events.kept(entry)
      entry.becameSafe()
    } finally {
      this.#done(entry, lane)
    }
  }
  #refuse(entry: Entry): void {
    entry.state = 'refused'
    if (entry.sender) entry.sender.refused(entry.number, entry.stanza)
  }
  #done(entry: Entry, lane: Lane): void {
    lane.committing--
    if (lane.last === entry) lane.last = undefined
    this.#sweepLane(entry.account, lane)
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
function sentEntry(received: NewEntry, { account, isArchived }: SentCopy, stanza: Stanza): NewEntry {
  const peer = stanza.to ?? bareOf(stanza.from)
  return {
    ...received,
    account,
    direction: 'sent',
    archived: isArchived,
    wanted: false,
    peer,
    stream: undefined,
    number: 0,
  }
}
