import { el } from '../xmpp/element.ts'
import { StreamError } from '../xmpp/stream-error.ts'

const WRAP = 2 ** 32
/** A count of stanzas as XEP-0198 §4 tells it: 2³²-1 is followed by 0. */
export const countOnWire = (count: number): number => count % WRAP
/** The same read; undefined: it is no unsigned 32-bit integer. */
export function readCount(h: string | undefined): number | undefined {
  return h === undefined || !/^\d{1,10}$/.test(h) || Number(h) >= WRAP ? undefined : Number(h)
}

/** What was sent on a stream and not acknowledged yet, in order (XEP-0198 §4); counts wrap at 2³². */
export class AckQueue<T> {
  /** What lies below the head is let go at once: a stream that always has something open would keep hundreds. */
  #items: (T | undefined)[] = []
  #head = 0
  #acked: number

  /** `acked`: where the count begins. */
  constructor(acked = 0) {
    this.#acked = acked
  }
  get length(): number {
    return this.#items.length - this.#head
  }
  /** All that were ever pushed, as the peer counts them. */
  get sent(): number {
    return countOnWire(this.#acked + this.length)
  }
  /** True when all up to that count, of `sent`, is acknowledged. */
  covers(count: number): boolean {
    return this.length <= countOnWire(this.sent - count + WRAP)
  }
  push(item: T): void {
    this.#items.push(item)
  }
  /** Calls `taken` with each item that `h` covers for the first time. @throws StreamError undefined-condition: more than was sent */
  acknowledge(h: number, taken: (item: T) => void): void {
    const count = countOnWire(h - this.#acked + WRAP)
    if (count > this.length) {
      const app = el('handled-count-too-high', 'urn:xmpp:sm:3', { h: String(h), 'send-count': String(this.sent) })
      throw new StreamError('undefined-condition', 'More was acknowledged than was sent.', { app })
    }
    this.#acked = countOnWire(this.#acked + count)
    for (let i = 0; i < count; i++) {
      const item = this.#items[this.#head] as T
      this.#items[this.#head++] = undefined
      taken(item)
    }
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    } else if (this.#head > 512) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
  }
  /** What is open, oldest first. */
  *[Symbol.iterator](): Generator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T
  }
  /** Takes out what is open and meets the test; as if it had never been sent. */
  drop(test: (item: T) => boolean): void {
    this.#items = this.#items.slice(this.#head).filter((item) => !test(item as T))
    this.#head = 0
  }
  /** Begins anew, at zero. */
  clear(): void {
    this.#acked = 0
    this.#items = []
    this.#head = 0
  }
}
