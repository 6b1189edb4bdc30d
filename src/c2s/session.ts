import { randomBytes } from 'node:crypto'
import type { NonzaHandler } from '../contract/handler.ts'
import type { SessionFlag } from '../contract/session.ts'
import type { Entry, Taker } from '../inbox/entry.ts'
import type { FollowState } from '../inbox/follow.ts'
import type { RegisteredSession } from '../presence/registry.ts'
import type { LocalSession, Pushed } from '../router/local.ts'
import { countOnWire, readCount } from '../stream/ack-queue.ts'
import type { BoundSession } from '../stream/parts.ts'
import { SettledPrefix } from '../stream/progress.ts'
import type { Stream, StreamHandler } from '../stream/stream.ts'
import { type Attributes, type Element, el } from '../xmpp/element.ts'
import { type BareJid, bareOf, type Domain, domainOf, type FullJid } from '../xmpp/jid.ts'
import { NS_CLIENT, NS_SM, NS_STANZA_ERRORS } from '../xmpp/ns.ts'
import { errorReply, type Iq, type Message, type Presence, type Stanza } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { type StreamCondition, StreamError } from '../xmpp/stream-error.ts'
import type { RawElement } from '../xmpp/tokenizer.ts'
import { LogReader, type ReaderPort } from './log-reader.ts'
import { isOwn, Outbox, type Sent, type StoredSent } from './outbox.ts'
import { OwedAnswer } from './owed-answer.ts'
import type { SessionParts } from './parts.ts'
import { LogTurn, type TurnPort } from './turn.ts'

/** Stanzas of a client that may be unsettled before its socket is read no further. */
const MAX_PENDING = 1_024
/** The client is told at most this much later than it could be, when it closes while something is unsettled. */
const LEAVE_MS = 3_000
const NO_FLAGS: ReadonlySet<SessionFlag> = new Set()

export interface SessionOptions {
  /** What the policy `every-device` knows the device by; undefined: it is no known one. */
  readonly device?: string | undefined
  /** Bound by Bind 2: what waits in the log is not for this session. */
  readonly skipWaiting?: boolean | undefined
}

/**
 * A bound resource (RFC 6120 §7): counts, acknowledges and resumes (XEP-0198), takes entries of its account's inbox and tells
 * the inbox when the device has them. It lives on one stream after the other; between two it is detached.
 */
export class ClientSession implements LocalSession, BoundSession, ReaderPort, TurnPort {
  readonly jid: FullJid
  readonly account: BareJid
  readonly accountId: number
  readonly node: string
  readonly ip: string
  priority: number | undefined
  flags: ReadonlySet<SessionFlag> = NO_FLAGS
  /** XEP-0198: names the counted stream; also its resumption id. */
  stream: Uint8Array | undefined
  readonly #parts: SessionParts
  readonly #log: LogReader
  readonly #outbox: Outbox
  readonly #turn: LogTurn
  readonly #progress = new SettledPrefix()
  #wire: Stream | undefined
  #presence: Presence | undefined
  /** Who waits until all is settled. */
  #resting: (() => void)[] | undefined
  #base = 0
  #resumable = false
  readonly #owed = new OwedAnswer()
  #wakeAt = Number.POSITIVE_INFINITY
  #isHeard = true
  #listensSince: number
  #isHeld = false
  /** Of the connection, when the session was woken last. */
  #takenBytes = 0
  #leaving: { readonly until: number } | undefined
  #isOver = false

  constructor(parts: SessionParts, wire: Stream, jid: FullJid, accountId: number, options: SessionOptions = {}) {
    this.#parts = parts
    this.#wire = wire
    this.jid = jid
    this.account = bareOf(jid)
    this.accountId = accountId
    this.node = parts.node
    this.ip = wire.ip
    this.#log = new LogReader(parts, this)
    this.#turn = new LogTurn(parts, this, this.#log, options.device)
    if (options.skipWaiting === true) void this.#turn.skipWaiting()
    this.#outbox = new Outbox(
      jid,
      () => wire.now(),
      (sent) => this.#take(sent),
    )
    this.#listensSince = wire.now()
    this.#watch(wire, parts.limits.idleMs)
    parts.registry.put(this.#registered)
  }
  get domain(): Domain {
    return domainOf(this.account)
  }
  /** True until it has ended, or is about to because its client closed the stream. */
  get isResumable(): boolean {
    return this.#resumable
  }
  get isDetached(): boolean {
    return this.#wire === undefined
  }

  // What features and the line see.

  send(stanza: Stanza): void {
    if (this.#isOver) return
    this.#bound()
    if (!this.#log.hasToWait(stanza)) this.write(stanza, undefined)
  }
  sendArchived(stanza: Stanza, id: number | undefined): void {
    if (this.#isOver) return
    this.#bound()
    this.write(stanza, id === undefined ? undefined : { id, isArchived: true, isResult: true })
  }
  /** Messages wait in the log for whoever is slow; all else has no place but memory. */
  #bound(): void {
    const connection = this.#wire?.connection
    if (connection?.isOverfull === true) connection.destroy()
  }
  skipWaiting(): Promise<void> {
    return this.#turn.skipWaiting()
  }
  flag(name: SessionFlag, on: boolean): void {
    if (this.flags.has(name) === on) return
    const flags = new Set(this.flags)
    if (on) flags.add(name)
    else flags.delete(name)
    this.flags = flags
    this.register()
  }
  available(priority: number | undefined, presence: Presence | undefined): void {
    this.priority = priority
    this.#presence = presence
    this.#turn.queue()
    if (this.#turn.queuedAt === undefined) this.#log.stop()
  }
  get isServable(): boolean {
    return this.priority !== undefined && this.priority >= 0 && this.#wire !== undefined && !this.#isOver
  }
  lookAtTurn(): void {
    this.#turn.look()
  }
  end(condition: StreamCondition, text: string): void {
    this.#resumable = false
    if (this.#wire === undefined) this.#finish()
    else this.#wire.close(new StreamError(condition, text))
  }

  accepts(message: Message): boolean {
    return !this.#isOver && this.#log.accepts(message)
  }
  give(entry: Entry, message: Message): void {
    this.write(message, entry)
  }
  push(pushed: Pushed, isFor: boolean): void {
    const { id, prev, message, entry, isArchived } = pushed
    // Whoever was given it ahead of its commit is told by `entryKept`.
    if (this.#isOver || entry?.takers.includes(this)) return
    if (this.#log.pushed(id, prev, message, isFor)) this.write(message, entry ?? { id, isArchived })
  }
  entryKept({ id, prev }: Entry): void {
    this.#log.had(id as number, prev)
  }
  rewind(position: number): void {
    this.#log.rewind(position)
  }

  // What the inbox asks of the session as a sender.

  get h(): number {
    return Math.max(0, this.#progress.settledTo - this.#base)
  }
  counted(number: number): number {
    return Math.max(0, number - this.#base)
  }
  split(number: number, parts: number): readonly number[] {
    return this.#progress.split(number, parts)
  }
  settled(number: number): void {
    if (!this.#progress.settle(number)) return
    if (this.isSettled) for (const resolve of this.#resting?.splice(0) ?? []) resolve()
    if (this.#isHeld && this.#progress.open < MAX_PENDING / 2) {
      this.#isHeld = false
      this.#wire?.connection.release()
    }
    if (this.#owed.isOpen || this.#leaving !== undefined) this.#wire?.connection.touch()
  }
  refused(number: number, stanza: Stanza): void {
    this.send(errorReply(stanza, new StanzaError('service-unavailable')))
    this.settled(number)
  }

  // What comes in.

  opened(): void {
    throw new StreamError('not-authorized', 'A bound stream is not restarted.')
  }
  element(raw: RawElement): void {
    this.#isHeard = true
    if (raw.ns === NS_SM) {
      this.#acknowledgement(raw)
    } else if (raw.ns !== NS_CLIENT) {
      const handler: NonzaHandler | undefined = this.#parts.nonzas.get(`${raw.name} ${raw.ns}`)
      if (handler === undefined) throw new StreamError('unsupported-stanza-type')
      handler.handle(raw.element, this)
    } else {
      this.#stanza(raw)
    }
  }
  #stanza(raw: RawElement): void {
    const number = this.#progress.next()
    if (this.#outbox.answers(raw)) {
      this.#answered()
      return
    }
    if (this.#parts.line.fromClient(raw, this, number) === 'pending') {
      this.#progress.pending(number)
      if (this.#progress.open >= MAX_PENDING && !this.#isHeld) {
        this.#isHeld = true
        this.#wire?.connection.hold()
      }
    }
  }
  #acknowledgement(raw: RawElement): void {
    if (raw.name === 'r' && this.stream !== undefined) {
      this.#owed.ask(this.#progress.received, this.#wire?.now() ?? 0)
      this.#wire?.connection.touch()
    } else if (raw.name === 'a' && this.stream !== undefined) {
      const h = readCount(raw.attribute('h'))
      if (h === undefined) throw new StreamError('invalid-xml', 'h must be a number.')
      this.#outbox.acknowledge(h)
      this.#answered()
    } else if (raw.name === 'enable') {
      this.#wire?.sendElement(this.enable(raw.element.attrs))
    } else if (raw.name === 'resume') {
      throw new StreamError('policy-violation', 'A bound stream cannot resume another.')
    } else {
      throw new StreamError('unsupported-stanza-type')
    }
  }
  /** XEP-0198 §3. */
  enable({ resume, max }: Attributes): Element {
    if (this.stream !== undefined) return el('failed', NS_SM, {}, el('unexpected-request', NS_STANZA_ERRORS))
    this.stream = randomBytes(16)
    this.#base = this.#progress.received
    this.#resumable = resume === 'true' || resume === '1'
    this.#outbox.count(this.#wire?.now() ?? 0)
    const attrs: Record<string, string> = {}
    if (this.#resumable) {
      const asked = max === undefined || !/^\d{1,9}$/.test(max) ? undefined : Number(max)
      this.resumeMs = Math.min((asked ?? Number.POSITIVE_INFINITY) * 1000, this.#parts.limits.resumeMs)
      attrs.resume = 'true'
      attrs.id = Buffer.from(this.stream).toString('base64url')
      attrs.max = String(Math.floor(this.resumeMs / 1000))
      this.#parts.sessions.addResumable(attrs.id, this)
    }
    return el('enabled', NS_SM, attrs)
  }
  resumeMs = 0

  // What goes out.

  write(stanza: Stanza, entry: Entry | StoredSent | undefined): void {
    if (this.#isOver) return
    const outbox = this.#outbox
    outbox.add(stanza, entry)
    if (entry !== undefined && this.#turn.policy.serves === 'one' && this.#wire !== undefined)
      this.#watch(this.#wire, this.#parts.limits.exclusiveMs)
    const { unacknowledged, unacknowledgedBytes } = this.#parts.limits
    // Entries stop at half of that; who confirms nothing of the rest either is ended.
    if (outbox.length > unacknowledged * 2 || outbox.bytes > unacknowledgedBytes * 2) {
      this.overflowed()
      return
    }
    this.#wire?.send(stanza.bytes)
  }
  overflowed(): void {
    this.end('resource-constraint', 'Too much is unacknowledged.')
  }
  get isConnected(): boolean {
    return this.#wire !== undefined
  }
  get isSlow(): boolean {
    const { unacknowledged, unacknowledgedBytes } = this.#parts.limits
    const outbox = this.#outbox
    return (
      this.#wire?.connection.isSlow === true || outbox.length >= unacknowledged || outbox.bytes >= unacknowledgedBytes
    )
  }
  get entriesWaitMs(): number {
    return this.#wire === undefined ? 0 : this.#outbox.entriesWaitMs(this.#wire.now())
  }
  hasSent(id: number): boolean {
    return this.#outbox.has(id)
  }
  turn(): void {
    const wire = this.#wire
    if (wire === undefined) return
    if (this.#owed.isOpen) this.#tell(wire)
    this.#outbox.ask(wire, this.#parts.limits.answerMs, (ms) => this.#watch(wire, ms))
    if (this.#leaving !== undefined && (this.#progress.open === 0 || wire.now() >= this.#leaving.until))
      this.#leave(wire)
  }
  #tell(wire: Stream): void {
    const { settledTo } = this.#progress
    const wait = this.#owed.waitMs(settledTo, wire.now())
    if (wait > 0) {
      this.#watch(wire, wait)
      return
    }
    this.#owed.told(settledTo)
    wire.send(`<a xmlns='${NS_SM}' h='${countOnWire(this.h)}'/>`)
  }
  /** Sees to it that `elapsed` is called in `ms` at the latest. */
  #watch(wire: Stream, ms: number): void {
    const at = wire.now() + ms
    if (at >= this.#wakeAt) return
    this.#wakeAt = at
    wire.wake(ms)
  }
  #answered(): void {
    if (this.#outbox.wantsAnswer) this.#wire?.connection.touch()
    this.drained()
  }
  #take({ entry }: Sent): void {
    if (entry === undefined) return
    if (entry.id !== undefined) this.#log.took(entry.id)
    const { inbox } = this.#parts
    const lingers = !entry.isArchived && this.#turn.isStillRead()
    if (isOwn(entry)) inbox.taken(entry, lingers)
    else inbox.takenStored(this.accountId, entry.id, lingers, entry.isResult)
    this.#turn.saveCursor()
  }
  get oldestEntry(): number | undefined {
    return this.#outbox.oldestId
  }
  followed(state: FollowState): void {
    this.flag('following', state === 'following')
    if (state !== 'following') return
    this.#turn.lookWhatLingers()
    this.#turn.saveCursor()
  }
  passed(): boolean {
    return this.#turn.passed()
  }
  drained(): void {
    if (!this.isSlow) this.#log.drained()
  }
  elapsed(now: number): void {
    const wire = this.#wire
    if (wire === undefined) return
    const { answerMs, idleMs } = this.#parts.limits
    this.#wakeAt = Number.POSITIVE_INFINITY
    // What it may have answered is not read while its stanzas wait for the store, nor while it is slow to take what it was sent.
    const { isSlow, takenBytes } = wire.connection
    if (this.#isHeld || (isSlow && takenBytes !== this.#takenBytes)) this.#outbox.excuse(now)
    this.#takenBytes = takenBytes
    const { askedAt } = this.#outbox
    if (askedAt !== 0 && now - askedAt >= answerMs) {
      wire.close(new StreamError('connection-timeout', 'We asked whether somebody is there, and nobody answered.'))
      return
    }
    const waits = this.#outbox.entryWaitsMs(now)
    if (this.#turn.policy.serves === 'one' && waits > 0) {
      if (waits >= this.#parts.limits.exclusiveMs) this.#turn.pass()
      else this.#watch(wire, this.#parts.limits.exclusiveMs - waits)
    }
    // Silence is asked about as if something had been sent.
    if (now - this.#listensSince >= idleMs) {
      if (!this.#isHeard) this.#outbox.wonder()
      this.#isHeard = false
      this.#listensSince = now
    }
    if (this.#leaving !== undefined || this.#owed.isOpen || this.#outbox.wantsAnswer) wire.connection.touch()
    this.#watch(wire, askedAt === 0 ? idleMs : askedAt + answerMs - now)
  }

  // Its end, and its return.

  footer(): void {
    this.#resumable = false
    const wire = this.#wire
    if (wire === undefined) return
    this.#leaving = { until: wire.now() + LEAVE_MS }
    this.#watch(wire, LEAVE_MS)
    wire.connection.touch()
  }
  #leave(wire: Stream): void {
    if (this.stream !== undefined) wire.send(`<a xmlns='${NS_SM}' h='${countOnWire(this.h)}'/>`)
    wire.close()
  }
  ended(_reason: string): void {
    this.#wire = undefined
    if (!this.#resumable || this.#isOver) {
      this.#finish()
      return
    }
    this.#detach()
    this.#parts.sessions.detached(this)
  }
  #detach(): void {
    this.#wire = undefined
    this.#turn.pause()
    this.#untaken(this.#outbox.detach(), undefined)
    // What only memory holds of it must not wait for a device that may never come back.
    this.#parts.inbox.commitHeld(this.accountId)
  }
  /** The server stops: what is settled is told. */
  stop(): void {
    const wire = this.#wire
    this.#resumable = false
    if (wire === undefined) {
      this.#finish()
      return
    }
    if (this.stream !== undefined) wire.send(`<a xmlns='${NS_SM}' h='${countOnWire(this.h)}'/>`)
    wire.close(new StreamError('system-shutdown', 'The server stops.'))
  }
  /** The resumption time has passed. */
  expire(): void {
    this.#resumable = false
    if (this.#wire === undefined) this.#finish()
  }
  /**
   * Goes on with this session on a new stream (XEP-0198 §5); `tell` sends <resumed/>. @throws StreamError when `h` cannot be
   */
  resume(wire: Stream, h: number, tell: (resumed: Element) => void): void {
    this.#outbox.resume(h)
    const old = this.#wire
    if (old !== undefined) {
      old.handler = GONE
      old.close(new StreamError('conflict', 'The session was resumed on another stream.'))
      this.#detach()
    }
    this.#wire = wire
    wire.handler = this
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#watch(wire, this.#parts.limits.idleMs)
    this.#isHeard = true
    this.#listensSince = wire.now()
    this.#isHeld = false
    this.#owed.forget()
    const previd = Buffer.from(this.stream ?? []).toString('base64url')
    tell(el('resumed', NS_SM, { previd, h: String(countOnWire(this.h)) }))
    // While it was away others were offered them.
    if (this.#turn.policy.serves === 'one') for (const entry of this.#outbox.dropEntries()) this.#neverHad(entry)
    this.#outbox.resend(wire)
    for (const resumed of this.#parts.resumed) resumed(this)
    wire.connection.touch()
    this.#turn.queue()
    if (!this.isServable) this.#log.fetchOwn()
  }
  /** Once it is committed it may come again. */
  #neverHad(entry: Entry | StoredSent): void {
    if (isOwn(entry) && entry.takers.includes(this)) entry.takers[entry.takers.indexOf(this)] = NOBODY
  }
  /**
   * Settles when all is that was read of the stream it is on, and reads no more of that: its client has gone on to another stream and
   * will send there what `h` does not cover, so that whatever still came from here would come twice.
   */
  rests(): Promise<void> | undefined {
    this.#wire?.connection.ignoreInput()
    if (this.isSettled) return undefined
    return new Promise((resolve) => {
      this.#resting ??= []
      this.#resting.push(resolve)
    })
  }
  /** True when nothing that the client has sent is open. */
  get isSettled(): boolean {
    return this.#progress.open === 0
  }

  register(): void {
    this.#parts.registry.update(this.#registered)
  }
  get #registered(): RegisteredSession {
    const { jid, node, priority, flags } = this
    const { queuedAt } = this.#turn
    const said = this.#presence
    const presence = said === undefined ? undefined : { content: said.content, lang: said.lang, id: said.id }
    return { jid, node, priority, flags, queuedAt, presence }
  }
  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#parts.sessions.remove(this)
    const wasAvailable = this.priority !== undefined
    void this.#parts.presence.sessionEnded(this)
    this.priority = undefined
    this.#turn.end()
    this.#untaken(this.#outbox, this.#log.unread)
    this.#log.end()
    this.#unregister()
    this.#turn.lookWhatLingers()
    if (this.#turn.policy.serves === 'one') this.#parts.line.turned(this.account)
    this.#parts.log.info({ session: this.#parts.tagOf(this.jid), wasAvailable }, 'session ended')
  }
  /** Others ask this node about the account only as long as it is registered here, so what it has taken is saved first. */
  #unregister(): void {
    const { inbox, registry, sessions } = this.#parts
    this.#presence = undefined
    if (!inbox.isBusy(this.accountId)) {
      registry.remove(this.jid, this.node)
      return
    }
    this.register()
    void inbox.flushed(this.accountId).then(() => {
      // The resource may have been bound again meanwhile.
      if (sessions.get(this.jid) === undefined) registry.remove(this.jid, this.node)
    })
  }
  /** Entries that were sent and not taken, or are `unread`, are for the others, or for whoever comes next. */
  #untaken(open: Iterable<Sent>, unread: number | undefined): void {
    let position = unread === undefined ? Number.POSITIVE_INFINITY : unread + 1
    let isHeld = false
    for (const { stanza, entry } of open) {
      if (entry === undefined) {
        if (this.#isOver) this.lost(stanza)
      } else if (isOwn(entry) && entry.state === 'held') {
        isHeld = true
      } else if (entry.id !== undefined && entry.id < position && !(isOwn(entry) && entry.state === 'taken')) {
        position = entry.id
      }
    }
    if (isHeld) this.#parts.inbox.commitHeld(this.accountId)
    if (position !== Number.POSITIVE_INFINITY) this.#parts.line.rewind(this.account, position - 1)
  }
  /** RFC 6121 §8.5.3.2: whoever asked a resource that is gone is told. */
  lost(stanza: Stanza): void {
    if (stanza.kind !== 'iq' || (stanza.type !== 'get' && stanza.type !== 'set') || stanza.from === this.domain) return
    this.#parts.line.submit(errorReply(stanza as Iq, new StanzaError('service-unavailable'), this.jid))
  }
}

/** In the place of a session that has not got the entry after all. */
const NOBODY: Taker = { entryKept: () => undefined }
/** The handler of a stream whose session went on elsewhere. */
const GONE: StreamHandler = {
  opened: () => undefined,
  element: () => undefined,
  footer: () => undefined,
  turn: () => undefined,
  drained: () => undefined,
  ended: () => undefined,
  elapsed: () => undefined,
}
