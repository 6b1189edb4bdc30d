/** Numbers of a stream's stanzas that are not settled yet, in order; tells how far everything is (DESIGN.md section 3). */
export class SettledPrefix {
  #received: number
  #open: number[] = []
  #head = 0
  #ahead: Set<number> | undefined

  /** `received`: where the numbers begin. */
  constructor(received = 0) {
    this.#received = received
  }
  /** Number of the next stanza, from 1; it does not wrap. */
  next(): number {
    return ++this.#received
  }
  get received(): number {
    return this.#received
  }
  /** The stanza just numbered will be settled later. */
  pending(number: number): void {
    // It may have been settled already, while it was on its way.
    if (this.#ahead?.delete(number) === true) return
    this.#open.push(number)
  }
  get open(): number {
    return this.#open.length - this.#head
  }
  /** All stanzas up to this number are settled. */
  get settledTo(): number {
    return this.#head < this.#open.length ? (this.#open[this.#head] as number) - 1 : this.#received
  }
  /** True when it moved the prefix. */
  settle(number: number): boolean {
    const head = this.#open[this.#head]
    if (head !== number) {
      if (number < (head ?? this.#received)) return false
      this.#ahead ??= new Set()
      this.#ahead.add(number)
      return false
    }
    this.#head++
    while (this.#ahead !== undefined && this.#ahead.size > 0 && this.#ahead.delete(this.#open[this.#head] as number))
      this.#head++
    if (this.#head === this.#open.length) {
      this.#open.length = 0
      this.#head = 0
    } else if (this.#head > 512) {
      this.#open = this.#open.slice(this.#head)
      this.#head = 0
    }
    return true
  }
}
