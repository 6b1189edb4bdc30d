/** What can be told in full this soon is not told in part before: each <a/> wakes a phone's radio, and costs a write. */
const FULL_MS = 100

/**
 * What a client's <r/> is owed (XEP-0198 §4): <a/> once all it asked about is settled. What takes longer is told in part, and again
 * each time that it grows. Numbers are those of `SettledPrefix`, times those of the wheel's clock.
 */
export class OwedAnswer {
  /** The stanza it asked at; -1: nothing is owed. */
  #to = -1
  #since = 0
  #told = -1

  get isOpen(): boolean {
    return this.#to >= 0
  }
  ask(received: number, now: number): void {
    if (!this.isOpen) this.#since = now
    this.#to = received
    this.#told = -1
  }
  /** How long the answer can wait when so much is settled, in ms; Infinity: there is nothing new to tell. */
  waitMs(settledTo: number, now: number): number {
    if (!this.isOpen || settledTo === this.#told) return Number.POSITIVE_INFINITY
    return settledTo >= this.#to ? 0 : Math.max(0, this.#since + FULL_MS - now)
  }
  told(settledTo: number): void {
    this.#told = settledTo
    if (settledTo >= this.#to) this.#to = -1
  }
  /** The stream it was asked on is gone. */
  forget(): void {
    this.#to = -1
  }
}
