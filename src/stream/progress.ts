/** Numbers of a stream's stanzas that are not settled yet, in order; tells how far everything is (DESIGN.md section 3). */
export class SettledPrefix {
  #received: number
  #open: number[] = []
  #head = 0
  #ahead: Set<number> | undefined
  /** Of stanzas in parts: each open part, by its number. */
  #parts: Map<number, { readonly whole: number; open: number }> | undefined
  #lastPart = 0

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
  /**
   * The stanza just numbered is settled when each of so many parts is; their numbers are below 0, so that they count for nothing
   * where a stanza's number would.
   */
  split(number: number, parts: number): readonly number[] {
    const whole = { whole: number, open: parts }
    const numbers = Array.from({ length: parts }, () => --this.#lastPart)
    this.#parts ??= new Map()
    for (const part of numbers) this.#parts.set(part, whole)
    return numbers
  }
  /** Parts count each. */
  get open(): number {
    return this.#open.length - this.#head + (this.#parts?.size ?? 0)
  }
  /** All stanzas up to this number are settled. */
  get settledTo(): number {
    return this.#head < this.#open.length ? (this.#open[this.#head] as number) - 1 : this.#received
  }
  /** True when it moved the prefix. */
  settle(number: number): boolean {
    if (number < 0) {
      const part = this.#parts?.get(number)
      if (part === undefined) return false
      this.#parts?.delete(number)
      return --part.open === 0 && this.settle(part.whole)
    }
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
