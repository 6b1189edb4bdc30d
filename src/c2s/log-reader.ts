import { Follower, type FollowPort, type FollowState, PAGE } from '../inbox/follow.ts'
import type { StoredEntry } from '../inbox/store.ts'
import { type BareJid, bareOf, type Domain, domainOf, type FullJid, isFull, type Jid } from '../xmpp/jid.ts'
import type { Message, Stanza } from '../xmpp/stanza.ts'
import type { StoredSent } from './outbox.ts'
import type { SessionParts } from './parts.ts'
import { readStored } from './stored.ts'

/** Stanzas, and their bytes, that wait for a session to have read its log. */
const MAX_LATER = 5_000
const MAX_LATER_BYTES = 4 * 1024 * 1024
const RETRY_READ_MS = 1_000

/** What waits for older entries: those up to `after` were committed before it came. */
interface Later {
  readonly stanza: Stanza
  readonly after: number
}
interface Page {
  readonly entries: readonly StoredEntry[]
  readonly last: number
  readonly since: number | undefined
}

/** What the reader needs of its session. */
export interface ReaderPort {
  readonly jid: FullJid
  readonly account: BareJid
  readonly accountId: number
  /** It has a stream. */
  readonly isConnected: boolean
  /** It takes no more for now. */
  readonly isSlow: boolean
  /** How long entries still have to wait. */
  readonly entriesWaitMs: number
  /** True when the entry was sent and is not confirmed yet. */
  hasSent(id: number): boolean
  write(stanza: Stanza, stored: StoredSent | undefined): void
  /** A stanza cannot be given to this session any more. */
  lost(stanza: Stanza): void
  /** More has come while it had no stream than can be kept for its return. */
  overflowed(): void
  /** Its place in the log has changed so that others may care. */
  followed(state: FollowState): void
}

/** A session's reading of its account's log, and what has to wait for it. */
export class LogReader implements FollowPort {
  readonly #parts: SessionParts
  readonly #port: ReaderPort
  readonly #follower = new Follower(this)
  /** Known to the policy `every-device`. */
  #device: string | undefined
  /** An entry for this session alone came while it was slow. */
  #missed = false
  /** Of each fetch of its own entries that is under way, what was confirmed since it began. */
  readonly #fetching = new Set<Set<number>>()
  /** Archived entries up to it are none of this session's business: it reads the archive. */
  #archivedTo = 0
  /** What came from others while older entries were still to be read from the log. */
  #later: Later[] | undefined
  #laterBytes = 0
  /** The last entry of the log as far as this session was told; undefined: it was told of none. */
  #head: number | undefined
  /** It has no stream, or has one again and not begun to read what came meanwhile. */
  #isAway = false

  constructor(parts: SessionParts, port: ReaderPort) {
    this.#parts = parts
    this.#port = port
  }
  /** Its place in the log, 0 where that is empty; undefined before it was read. */
  get position(): number | undefined {
    return this.#follower.hasRead ? this.#follower.position : undefined
  }
  /** See Follower. */
  get unread(): number | undefined {
    return this.#follower.unread
  }
  get #domain(): Domain {
    return domainOf(this.#port.account)
  }

  /** The session is available and gets entries. `device`: where that device has ended before is where a first reading begins. */
  start(device: string | undefined): void {
    this.#device = device
    this.#follower.start()
  }
  /** What is archived by now is not given to this session. Never rejects: what cannot be looked up is given. */
  async skipArchived(): Promise<void> {
    try {
      const { last } = await this.#page(Number.POSITIVE_INFINITY, undefined, undefined)
      this.#archivedTo = last
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'inbox could not be read')
    }
  }
  /** The session lost its stream and may come back: to where it was, or, `anew`, to what is open then. Until it reads on, all waits. */
  pause(anew: boolean): void {
    this.#isAway = true
    if (anew) this.#follower.stop()
    else this.#follower.pause()
  }
  /** The session is not available any more. */
  stop(): void {
    const hasUnread = this.unread !== undefined && this.#follower.state !== 'following'
    this.#follower.stop()
    this.#isBack()
    if (hasUnread && this.#port.isConnected) this.fetchOwn()
  }
  /** The session is over: what waited is lost. */
  end(): void {
    this.#follower.stop()
    for (const { stanza } of this.#later ?? []) this.#port.lost(stanza)
    this.#later = undefined
  }

  /** True when it waits for older entries; it then comes after them. */
  hasToWait(stanza: Stanza): boolean {
    const { state } = this.#follower
    if (!this.#isAway && state !== 'reading' && state !== 'stalled') return false
    // Answers of the account and of the server say nothing about what is in the log.
    if (stanza.kind === 'iq' && (bareOf(stanza.from) === this.#port.account || stanza.from === this.#domain))
      return false
    this.#later ??= []
    if (this.#later.length < MAX_LATER && this.#laterBytes < MAX_LATER_BYTES) {
      this.#later.push({ stanza, after: this.#head ?? Number.POSITIVE_INFINITY })
      this.#laterBytes += stanza.content.length
    } else {
      this.#port.lost(stanza)
      if (!this.#port.isConnected) this.#port.overflowed()
    }
    return true
  }
  /** True when the message may be given at once, ahead of its commit: the session follows, or it is for this session alone. */
  accepts(message: Message): boolean {
    if (!this.#port.isConnected || this.#isStalled(message)) return false
    const { state } = this.#follower
    return state === 'following' || (state === 'idle' && message.to === this.#port.jid)
  }
  /** An entry was committed; true when it is to be sent to this session now. `isFor`: it is among the recipients. */
  pushed(id: number, prev: number, message: Message, isFor: boolean): boolean {
    const { jid, isConnected } = this.#port
    this.#saw(id)
    const isStalled = this.#isStalled(isFor ? message : undefined)
    const isNext = this.#follower.pushed(id, prev)
    if (this.#follower.state === 'idle') return isFor && isConnected && !isStalled && message.to === jid
    return isNext && isFor
  }
  /** An entry that this session was given ahead of its commit has got its id. */
  had(id: number, prev: number): void {
    this.#saw(id)
    this.#follower.had(id, prev)
  }
  #saw(id: number): void {
    this.#head = Math.max(this.#head ?? 0, id)
  }
  /** The device has confirmed an entry. */
  took(id: number): void {
    this.#follower.took(id)
    for (const fetching of this.#fetching) fetching.add(id)
  }
  #isStalled(message: Message | undefined): boolean {
    if (!this.#port.isSlow && !this.#isAway) return false
    this.#follower.full()
    if (message?.to === this.#port.jid) this.#missed = true
    return true
  }
  rewind(position: number): void {
    this.#follower.rewind(position)
  }
  told(last: number): void {
    this.#saw(last)
    this.#follower.told(last)
  }
  /** The session takes more again. */
  drained(): void {
    this.#follower.drained()
    const hasMissed = this.#missed
    this.#missed = false
    if (hasMissed && this.#follower.state === 'idle') this.fetchOwn()
  }
  /** A session that does not follow the log still gets what is for it alone: here, what came while it could not be given it. */
  fetchOwn(): void {
    const taken = new Set<number>()
    this.#fetching.add(taken)
    this.#ownAfter(0, taken)
      .catch((error: unknown) => this.#parts.log.warn({ err: error }, 'inbox could not be read'))
      .finally(() => {
        this.#fetching.delete(taken)
        if (this.#isAway && this.#port.isConnected && this.#follower.state === 'idle') this.#fetchedOwn()
      })
  }
  #fetchedOwn(): void {
    if (!this.#missed) this.#isBack()
    else if (!this.#port.isSlow) this.drained()
  }
  #isBack(): void {
    this.#isAway = false
    this.#flushLater()
  }
  /** `taken`: what the device confirmed meanwhile. */
  async #ownAfter(after: number, taken: ReadonlySet<number>): Promise<void> {
    const { entries } = await this.#page(after, undefined, undefined)
    for (const entry of entries) {
      if (!this.#port.isConnected || this.#follower.state !== 'idle') return
      if (taken.has(entry.id) || !this.#isOwn(entry)) continue
      if (!this.giveStored(entry)) {
        this.#missed = true
        return
      }
    }
    const last = entries.at(-1)
    if (last !== undefined && entries.length === PAGE) await this.#ownAfter(last.id, taken)
  }
  #isOwn(entry: StoredEntry): boolean {
    try {
      return readStored(entry, this.#port.account).to === this.#port.jid
    } catch {
      // `giveStored` says so, to whoever follows the log.
      return false
    }
  }

  // What the follower asks for.

  read(after: number, since: number | undefined, reading: number): void {
    this.#page(after, since, this.#device)
      .then((page) => this.#follower.page(reading, page.entries, page.last, page.since))
      .catch((error: unknown) => {
        this.#parts.log.warn({ err: error }, 'inbox could not be read')
        setTimeout(() => this.#follower.retry(reading), RETRY_READ_MS).unref()
      })
  }
  async #page(after: number, since: number | undefined, device: string | undefined): Promise<Page> {
    const { account, accountId } = this.#port
    const { line, inbox } = this.#parts
    await line.settled(account, accountId)
    const isFirst = since === undefined && Number.isFinite(after)
    const cursor = isFirst && device !== undefined ? await inbox.deviceCursor(accountId, device) : undefined
    const begin = cursor ?? since
    const page = await inbox.page(accountId, cursor ?? after, begin, PAGE)
    this.#saw(page.last)
    const wait = this.#port.entriesWaitMs
    if (wait > 0 && page.entries.length > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    return { ...page, since: begin }
  }
  giveStored(entry: StoredEntry): boolean {
    const port = this.#port
    this.#flushLater(entry.id)
    if (entry.archived && entry.id <= this.#archivedTo) return true
    // XEP-0191 §3.3: nothing more of theirs, whenever it was sent. It stays open, for when they are blocked no longer.
    if (this.#parts.isBlocked(port.account, entry.peer as Jid)) return true
    if (port.isSlow) return false
    if (port.hasSent(entry.id)) return true
    let message: Message
    try {
      message = readStored(entry, port.account)
    } catch (error) {
      this.#parts.log.error({ err: error, id: entry.id }, 'stored entry cannot be read')
      return true
    }
    // For another resource that is there to take it.
    const { to } = message
    if (to !== undefined && isFull(to) && to !== port.jid && this.#isConnected(to)) return true
    port.write(message, { id: entry.id, isArchived: entry.archived })
    return true
  }
  #isConnected(jid: FullJid): boolean {
    const sessions = this.#parts.registry.of(this.#port.account)
    if (sessions instanceof Promise) return this.#parts.sessions.get(jid) !== undefined
    return sessions.some((s) => s.jid === jid)
  }
  moved(state: FollowState): void {
    if (state === 'following') this.#isBack()
    this.#port.followed(state)
  }
  /** What came before the entry was committed. */
  #flushLater(entry = Number.POSITIVE_INFINITY): void {
    const later = this.#later
    if (later === undefined) return
    const rest = entry === Number.POSITIVE_INFINITY ? -1 : later.findIndex(({ after }) => after >= entry)
    const ready = rest < 0 ? later : later.splice(0, rest)
    if (rest < 0) this.#later = undefined
    for (const { stanza } of ready) {
      this.#laterBytes -= stanza.content.length
      if (this.#parts.isBlocked(this.#port.account, stanza.from)) this.#port.lost(stanza)
      else this.#port.write(stanza, undefined)
    }
  }
}
