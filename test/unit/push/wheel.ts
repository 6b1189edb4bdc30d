import type { Timed } from '../../../src/util/wheel.ts'

/** A wheel that is turned by the test. */
export class HandWheel {
  #now = 0
  readonly #timed = new Set<Timed>()
  now(): number {
    return this.#now
  }
  schedule(target: Timed, due: number): void {
    target.due = due
    this.#timed.add(target)
  }
  get waiting(): number {
    return this.#timed.size
  }
  /** Lets so many ms pass, in the order of what is due, and what comes of it settle. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      const [next] = [...this.#timed].filter(({ due }) => due <= until).sort((a, b) => a.due - b.due)
      if (next === undefined) break
      this.#timed.delete(next)
      this.#now = Math.max(this.#now, next.due)
      next.elapsed(this.#now)
      await settled()
    }
    this.#now = until
  }
}
/** All that is under way without a clock or a socket is over. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
