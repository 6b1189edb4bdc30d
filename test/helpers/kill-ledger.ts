/** What each message of a kill test went through, and what is wrong with it. Message ids are `<sender>-<receiver>-<number>`. */
export class Ledger {
  readonly #sent = new Map<string, number>()
  readonly #acknowledged = new Set<string>()
  readonly #arrivals = new Map<string, number>()
  readonly #fresh = new Map<string, number>()
  /** Per message, the ids it was seen under in the stores between two lives. */
  readonly #logIds = new Map<string, Set<number>>()
  readonly #last = new Map<string, number>()
  readonly faults: string[] = []
  #changed: (() => void)[] = []

  get acknowledged(): number {
    return this.#acknowledged.size
  }
  get sent(): number {
    return this.#sent.size
  }
  get resent(): number {
    return [...this.#sent.values()].filter((times) => times > 1).length
  }
  /** Messages that came again after a crash, under the id they had. */
  get again(): number {
    return [...this.#arrivals.values()].filter((times) => times > 1).length
  }
  /** Everything that was sent, acknowledged or received so far: what kills are timed by. */
  events = 0

  sends(id: string): void {
    this.#sent.set(id, (this.#sent.get(id) ?? 0) + 1)
    this.#happened()
  }
  acknowledges(id: string): void {
    this.#acknowledged.add(id)
    this.#happened()
  }
  /** `delayed`: it came out of the store, so a device may have had it before the crash and its take was lost. */
  arrives(id: string, delayed: boolean): void {
    const [sender = '', receiver = '', number = ''] = id.split('-')
    if (!this.#sent.has(id)) this.faults.push(`${id} was never sent`)
    if (!this.#arrivals.has(id)) {
      const pair = `${sender}-${receiver}`
      const last = this.#last.get(pair) ?? -1
      if (Number(number) < last) this.faults.push(`${id} came for the first time after ${pair}-${last}`)
      this.#last.set(pair, Math.max(last, Number(number)))
    }
    this.#arrivals.set(id, (this.#arrivals.get(id) ?? 0) + 1)
    if (!delayed) {
      this.#fresh.set(id, (this.#fresh.get(id) ?? 0) + 1)
      if ((this.#fresh.get(id) ?? 0) > (this.#sent.get(id) ?? 0))
        this.faults.push(`${id} came anew more often than it was sent`)
    }
    this.#happened()
  }
  /** An open entry as the store holds it while no server runs. */
  isStored(id: string, logId: number): void {
    const ids = this.#logIds.get(id) ?? new Set()
    this.#logIds.set(id, ids.add(logId))
    if (ids.size > (this.#sent.get(id) ?? 0))
      this.faults.push(`${id} was sent ${this.#sent.get(id) ?? 0} times and kept under ${[...ids].join(', ')}`)
  }

  /** Acknowledged messages that did not arrive. */
  get lost(): string[] {
    return [...this.#acknowledged].filter((id) => !this.#arrivals.has(id))
  }
  /** Settles when it holds; looked at after each event. @throws Error after `withinMs` */
  until(holds: () => boolean, withinMs: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (holds()) return resolve()
      const timer = setTimeout(() => {
        this.#changed = this.#changed.filter((check) => check !== look)
        reject(new Error(`${what}: not within ${withinMs} ms; ${this.sent} sent, ${this.acknowledged} acknowledged`))
      }, withinMs)
      const look = (): void => {
        if (!holds()) return
        clearTimeout(timer)
        this.#changed = this.#changed.filter((check) => check !== look)
        resolve()
      }
      this.#changed.push(look)
    })
  }
  #happened(): void {
    this.events++
    for (const look of this.#changed) look()
  }
}
