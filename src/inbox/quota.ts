import { LRUCache } from 'lru-cache'
import type { InboxStore } from './store.ts'

interface Count {
  entries: number
  bytes: number
  isKnown: boolean
  askedAt: number
}
const RECOUNT_MS = 10_000

/**
 * How many open entries each account has, counted by the store when first needed and then kept up here. Other nodes' entries
 * are not seen until the next count, so the bound is soft by what arrives in ten seconds.
 */
export class Quota {
  readonly #counts = new LRUCache<number, Count>({ max: 10_000 })
  readonly #store: InboxStore
  readonly #maxEntries: number
  readonly #maxBytes: number

  constructor(store: InboxStore, maxEntries: number, maxBytes: number) {
    this.#store = store
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
  }
  /** False when the account's inbox is full. */
  hasRoom(account: number): boolean {
    const count = this.#counts.get(account)
    if (count === undefined || (count.entries < this.#maxEntries && count.bytes < this.#maxBytes)) return true
    if (Date.now() - count.askedAt > RECOUNT_MS) this.#recount(account, count)
    return false
  }
  added(account: number, bytes: number): void {
    const count = this.#counts.get(account)
    if (count === undefined) {
      this.#recount(account, { entries: 1, bytes, isKnown: false, askedAt: 0 })
      return
    }
    count.entries++
    count.bytes += bytes
  }
  /** An entry of average size. */
  taken(account: number): void {
    const count = this.#counts.get(account)
    if (count === undefined || count.entries === 0) return
    count.bytes -= count.bytes / count.entries
    count.entries--
  }
  #recount(account: number, count: Count): void {
    count.askedAt = Date.now()
    this.#counts.set(account, count)
    this.#store.waiting(account).then(
      ({ entries, bytes }) => {
        count.entries = count.isKnown ? entries : Math.max(entries, count.entries)
        count.bytes = count.isKnown ? bytes : Math.max(bytes, count.bytes)
        count.isKnown = true
      },
      // Unknown for now: the commit itself will tell whether the store is there.
      () => this.#counts.delete(account),
    )
  }
}
