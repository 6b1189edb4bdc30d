/** Something that wants to be called when its time has come. `due` may be moved later at no cost; the wheel looks again then. */
export interface Timed {
  /** Ms on the wheel's clock; Infinity: never. */
  due: number
  elapsed(now: number): void
}

/**
 * One timer for all sessions: slots of `tickMs`, each a set of those due in it. Nothing ticks while nothing is scheduled, and a
 * `due` moved later costs nothing until the old slot comes up.
 */
export class Wheel {
  readonly #slots = new Map<number, Set<Timed>>()
  readonly #slotOf = new WeakMap<Timed, number>()
  readonly #tickMs: number
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined
  #next = 0

  constructor(tickMs: number, now: () => number = () => performance.now()) {
    this.#tickMs = tickMs
    this.#now = now
  }
  now(): number {
    return this.#now()
  }

  /** Sees to it that `target.elapsed` is called soon after `due`. Needed again only when `due` moves earlier, or after it elapsed. */
  schedule(target: Timed, due: number): void {
    target.due = due
    if (due === Infinity) return
    const slot = Math.ceil(due / this.#tickMs)
    const old = this.#slotOf.get(target)
    if (old !== undefined) {
      if (old <= slot) return
      this.#slots.get(old)?.delete(target)
    }
    this.#place(target, slot)
  }

  cancel(target: Timed): void {
    target.due = Infinity
    const old = this.#slotOf.get(target)
    if (old === undefined) return
    this.#slots.get(old)?.delete(target)
    this.#slotOf.delete(target)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#slots.clear()
  }

  #place(target: Timed, slot: number): void {
    if (this.#timer === undefined) this.#next = Math.max(this.#next, Math.floor(this.#now() / this.#tickMs))
    const at = Math.max(slot, this.#next)
    this.#slotOf.set(target, at)
    const set = this.#slots.get(at)
    if (set) set.add(target)
    else this.#slots.set(at, new Set([target]))
    this.#timer ??= setTimeout(this.#tick, this.#tickMs)
  }

  readonly #tick = (): void => {
    this.#timer = undefined
    const now = this.#now()
    const until = Math.floor(now / this.#tickMs)
    const ready: Timed[] = []
    if (this.#slots.size < until - this.#next) {
      for (const [slot, set] of this.#slots) if (slot <= until) this.#collect(slot, set, ready)
    } else {
      for (let slot = this.#next; slot <= until; slot++) {
        const set = this.#slots.get(slot)
        if (set) this.#collect(slot, set, ready)
      }
    }
    this.#next = until + 1
    for (const target of ready) {
      if (target.due <= now) target.elapsed(now)
      else if (target.due !== Infinity && !this.#slotOf.has(target))
        this.#place(target, Math.ceil(target.due / this.#tickMs))
    }
    if (this.#slots.size > 0 && this.#timer === undefined) this.#timer = setTimeout(this.#tick, this.#tickMs)
  }
  #collect(slot: number, set: Set<Timed>, into: Timed[]): void {
    this.#slots.delete(slot)
    for (const target of set) {
      this.#slotOf.delete(target)
      into.push(target)
    }
  }
}
