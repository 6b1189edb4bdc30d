/** One sending of a message, by its id `<sending device>-<number>`. What a client sends again on a new stream is another one. */
interface Sending {
  readonly to: string
  readonly device: string
  readonly number: number
  isAcknowledged: boolean
  /** Ids in the recipient's log under which it was seen, at devices, in the archive or in the store. */
  readonly ids: Set<string>
  /** Devices that had it, and on which of their streams. */
  readonly had: Map<string, Set<object>>
  /** Devices that had it without a time of its own: not out of the log. */
  readonly fresh: Set<string>
  /** Times it lies in the archives of its recipient and of its sender. */
  received: number
  sent: number
}

export type Policy = 'first-come' | 'every-device' | 'exclusive'

/** The devices of one account, `<account>-<number>`. */
export interface Known {
  readonly policy: Policy
  readonly devices: readonly string[]
}

/**
 * What every message of a fault test went through, and what is wrong with it:
 *
 * - lost: acknowledged, and no device had it (`every-device`: not each of them), or the archive has not got it;
 * - doubled: one sending under two ids of a log, or twice in an archive, or twice on one stream, or twice anew at one device;
 * - out of order: the sendings of one device to one account, at a device (when they come first), and in the archives.
 */
export class FaultLedger {
  readonly #accounts: ReadonlyMap<string, Known>
  readonly #sendings = new Map<string, Sending>()
  readonly #numbers = new Map<string, number>()
  readonly #last = new Map<string, number>()
  readonly #looking = new Set<() => void>()
  readonly faults: string[] = []
  /** Everything that was sent, acknowledged or received: what disturbances are timed by. */
  events = 0
  acknowledged = 0
  resumed = 0
  lostStreams = 0

  constructor(accounts: ReadonlyMap<string, Known>) {
    this.#accounts = accounts
  }
  get sent(): number {
    return this.#sendings.size
  }
  /** Sendings that reached somebody or the log, but were sent again because no `h` had covered them. */
  get uncovered(): number {
    let count = 0
    for (const s of this.#sendings.values()) if (!s.isAcknowledged && (s.had.size > 0 || s.ids.size > 0)) count++
    return count
  }

  /** @returns the id to send it under */
  sends(device: string, to: string): string {
    const number = (this.#numbers.get(device) ?? 0) + 1
    this.#numbers.set(device, number)
    const id = `${device}-${number}`
    const isAcknowledged = false
    const sending = {
      to,
      device,
      number,
      isAcknowledged,
      ids: new Set<string>(),
      had: new Map(),
      fresh: new Set<string>(),
    }
    this.#sendings.set(id, { ...sending, received: 0, sent: 0 })
    this.happened()
    return id
  }
  acknowledges(id: string): void {
    const sending = this.#of(id)
    if (sending === undefined || sending.isAcknowledged) return
    sending.isAcknowledged = true
    this.acknowledged++
    this.happened()
  }
  /** `stream`: the device's counted stream, the same after a resumption; `logId`: its `<stanza-id/>`, if any; `delayed`: it came out of the log. */
  arrives(at: string, stream: object, id: string, logId: string | undefined, delayed: boolean): void {
    const sending = this.#of(id)
    if (sending === undefined) return
    if (logId !== undefined) this.#hasId(id, sending, logId)
    const had = sending.had.get(at)
    if (had === undefined) {
      sending.had.set(at, new Set([stream]))
      this.#isNext(`at ${at} from ${sending.device}`, sending)
    } else if (had.has(stream)) this.faults.push(`${id} came twice to ${at} on one stream`)
    else had.add(stream)
    if (!delayed && sending.fresh.has(at)) this.faults.push(`${id} came twice to ${at} as a new one`)
    if (!delayed) sending.fresh.add(at)
    this.happened()
  }
  /** The archive of an account, read in its order. */
  isArchived(account: string, direction: 'sent' | 'received', id: string, logId: string): void {
    const sending = this.#of(id)
    if (sending === undefined) return
    sending[direction]++
    if (sending[direction] > 1) this.faults.push(`${id} is twice in the archive of ${account} (${direction})`)
    if (direction === 'received') this.#hasId(id, sending, logId)
    this.#isNext(`${direction} in the archive of ${account} from ${sending.device} to ${sending.to}`, sending)
  }
  /** What the store holds for its recipient. */
  isStored(id: string, logId: string): void {
    const sending = this.#of(id)
    if (sending !== undefined) this.#hasId(id, sending, logId)
  }

  /** Acknowledged messages that somebody should have and has not, with what is missing. */
  *missing(): Generator<string> {
    for (const [id, sending] of this.#sendings) {
      if (!sending.isAcknowledged) continue
      const { policy, devices } = this.#accounts.get(sending.to) as Known
      const without = devices.filter((device) => !sending.had.has(device))
      if (policy === 'every-device' && without.length > 0) yield `${id} to ${sending.to}: not at ${without.join(', ')}`
      else if (sending.had.size === 0) yield `${id} to ${sending.to}: at no device`
    }
  }
  /** Acknowledged messages that are not in the archives. */
  *unarchived(): Generator<string> {
    for (const [id, { to, isAcknowledged, received, sent }] of this.#sendings)
      if (isAcknowledged && (received === 0 || sent === 0))
        yield `${id} to ${to}: ${received} times in the archive of its recipient, ${sent} in its sender's`
  }
  get isWhole(): boolean {
    return this.missing().next().done === true
  }

  /** Settles when it holds; looked at after each event. @throws Error after `withinMs` */
  until(holds: () => boolean, withinMs: number, what: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (holds()) {
        resolve()
        return
      }
      const end = (): void => {
        clearTimeout(timer)
        this.#looking.delete(look)
      }
      const timer = setTimeout(() => {
        end()
        reject(new Error(`not within ${withinMs} ms: ${what()}`))
      }, withinMs)
      const look = (): void => {
        if (!holds()) return
        end()
        resolve()
      }
      this.#looking.add(look)
    })
  }
  happened(): void {
    this.events++
    for (const look of [...this.#looking]) look()
  }

  #of(id: string): Sending | undefined {
    const sending = this.#sendings.get(id)
    if (sending === undefined) this.faults.push(`${id} was never sent`)
    return sending
  }
  #hasId(id: string, sending: Sending, logId: string): void {
    sending.ids.add(logId)
    if (sending.ids.size === 2) this.faults.push(`${id} has two ids: ${[...sending.ids].join(', ')}`)
  }
  #isNext(where: string, { number }: Sending): void {
    const last = this.#last.get(where) ?? 0
    if (number < last) this.faults.push(`${where}: number ${number} after ${last}`)
    this.#last.set(where, Math.max(number, last))
  }
}
