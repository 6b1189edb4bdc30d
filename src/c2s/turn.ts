import { isServed, POLICIES, type Policy } from '../inbox/policy.ts'
import { isBehind, type RegisteredSession } from '../presence/registry.ts'
import { whenKnown } from '../util/awaitable.ts'
import type { BareJid, FullJid } from '../xmpp/jid.ts'
import type { LogReader } from './log-reader.ts'
import type { SessionParts } from './parts.ts'

/** What the turn needs of its session. */
export interface TurnPort {
  readonly jid: FullJid
  readonly account: BareJid
  readonly accountId: number
  /** Available with a priority that messages are for, and connected. */
  readonly isServable: boolean
  /** The id of the oldest entry that was sent and is not confirmed. */
  readonly oldestEntry: number | undefined
  /** Writes what the session is to the registry. */
  register(): void
}

/** When and from where a session reads its account's log, by the account's policy (inbox/policy.ts). */
export class LogTurn {
  readonly #parts: SessionParts
  readonly #port: TurnPort
  readonly #log: LogReader
  /** What the policy `every-device` knows this device by; undefined: it is no known one. */
  readonly #device: string | undefined
  /** As it was known last; known anew before a turn begins. */
  #policy: Policy = POLICIES['first-come']
  #queuedAt: number | undefined
  #skipsWaiting = false
  /** While it is being found out how much is skipped, nothing is read. */
  #skipping: Promise<void> | undefined

  constructor(parts: SessionParts, port: TurnPort, log: LogReader, device: string | undefined) {
    this.#parts = parts
    this.#port = port
    this.#log = log
    this.#device = device
  }
  get policy(): Policy {
    return this.#policy
  }
  /** See `RegisteredSession`. */
  get queuedAt(): number | undefined {
    return this.#queuedAt
  }

  /** See Session; the first time counts. */
  async skipWaiting(): Promise<void> {
    if (this.#queuedAt === undefined && !this.#skipsWaiting) {
      this.#skipsWaiting = true
      this.#skipping = this.#log.skipArchived().finally(() => {
        this.#skipping = undefined
      })
    }
    await this.#skipping
  }
  /** The session has become servable, or is it no longer: takes its place in the order, or leaves it. */
  queue(): void {
    const had = this.#queuedAt
    if (!this.#port.isServable) this.#fixCursor()
    this.#queuedAt = this.#port.isServable ? (had ?? Date.now()) : undefined
    this.#port.register()
    if (this.#queuedAt === had) return
    // Before the first look the policy is not known for sure.
    void whenKnown(this.#parts.policyOf(this.#port.account), (policy) => {
      this.#policy = policy
      if (policy.serves === 'one') this.#parts.line.turned(this.#port.account)
      else this.look()
    })
  }
  /** The session lost its stream and may be resumed. */
  pause(): void {
    this.#log.pause(this.#policy.serves === 'one')
    this.queue()
  }
  /** The order may have changed, or the policy. */
  look(): void {
    if (this.#queuedAt === undefined) return
    const { account } = this.#port
    void whenKnown(this.#skipping, () =>
      whenKnown(this.#parts.policyOf(account), (policy) => {
        this.#policy = policy
        return whenKnown(this.#parts.registry.of(account), (sessions) => this.#take(sessions))
      }),
    )
  }
  #take(sessions: readonly RegisteredSession[]): void {
    if (this.#queuedAt === undefined) return
    if (!isServed(this.#policy, sessions, this.#port.jid)) this.#log.stop()
    else this.#log.start(this.#policy.begins === 'device' ? this.#device : undefined)
  }
  /** Who does not take what is offered makes room for the next, if there is one (`exclusive_timeout`). */
  pass(): void {
    const { account, jid } = this.#port
    const sessions = this.#parts.registry.of(account)
    if (sessions instanceof Promise || !sessions.some((s) => s.jid !== jid && s.queuedAt !== undefined)) return
    this.#parts.log.debug({ session: this.#parts.tagOf(jid) }, 'turn passed on')
    this.#log.stop()
    this.#queuedAt = Date.now()
    this.#port.register()
    this.#parts.line.turned(account)
  }
  /** The session is over. */
  end(): void {
    this.#fixCursor()
    this.#queuedAt = undefined
  }
  /** What this device has taken is saved, soon. */
  saveCursor(): void {
    if (this.#isKnown) this.#parts.inbox.deviceTook(this.#port.accountId, this.#device ?? '', () => this.#cursor)
  }
  /** The same for the last time, before the session forgets its place. */
  #fixCursor(): void {
    const cursor = this.#cursor
    if (this.#isKnown) this.#parts.inbox.deviceTook(this.#port.accountId, this.#device ?? '', () => cursor)
  }
  get #isKnown(): boolean {
    return this.#policy.begins === 'device' && this.#device !== undefined && this.#queuedAt !== undefined
  }
  get #cursor(): number | undefined {
    const { position } = this.#log
    return position === undefined
      ? undefined
      : Math.min((this.#port.oldestEntry ?? Number.POSITIVE_INFINITY) - 1, position)
  }

  /** True when what this session takes is still to be read: by one of the account's that is behind, or by a device that may come. */
  isStillRead(): boolean {
    if (this.#policy.begins === 'device') return true
    if (this.#policy.serves === 'one') return false
    const sessions = this.#parts.registry.of(this.#port.account)
    return sessions instanceof Promise || sessions.some((s) => s.jid !== this.#port.jid && isBehind(s))
  }
  /** What was kept for those who had still to read it goes when all have: here, and on the nodes of the others. */
  lookWhatLingers(): void {
    if (this.passed()) this.#parts.line.passed(this.#port.account)
  }
  /** The same here alone; false when somebody has still to read. */
  passed(): boolean {
    const sessions = this.#parts.registry.of(this.#port.account)
    if (sessions instanceof Promise || sessions.some(isBehind)) return false
    this.#parts.inbox.passed(this.#port.accountId)
    return true
  }
}
