import { LRUCache } from 'lru-cache'
import type { InboxStore } from './store.ts'

interface Amount {
  entries: number
  bytes: number
}
/** What waits for one account, as far as this node knows. */
interface Count extends Amount {
  /** What there was room for when the store was asked last, and what came since it is asked. */
  readonly room: Amount
  readonly since: Amount
  isKnown: boolean
  isAsked: boolean
  askedAt: number
}
const RECOUNT_MS = 10_000

/** What of an account this node alone knows. */
export interface Flushing {
  /** Settles when that is in the store. */
  flushed(account: number): Promise<void>
}

/**
 * How many open entries each account has, counted by the store when first needed and then kept up here. What other nodes add and
 * take, and what is taken in pages of the archive, is not seen until the next count: when half of the room is used up, and, where an
 * inbox is full, every ten seconds. So the bound is soft by what arrives in that time.
 */
export class Quota {
  readonly #counts = new LRUCache<number, Count>({ max: 10_000 })
  readonly #store: InboxStore
  readonly #max: Amount

  constructor(store: InboxStore, maxEntries: number, maxBytes: number) {
    this.#store = store
    this.#max = { entries: maxEntries, bytes: maxBytes }
  }
  /** False when the account's inbox is full. */
  hasRoom(account: number): boolean {
    const count = this.#counts.get(account)
    if (count === undefined || (count.entries < this.#max.entries && count.bytes < this.#max.bytes)) return true
    if (Date.now() - count.askedAt > RECOUNT_MS) this.#recount(account, count)
    return false
  }
  /** `inbox`: has it in the store before that is asked. */
  added(account: number, bytes: number, inbox: Flushing): void {
    const count = this.#counts.get(account)
    if (count === undefined) {
      this.#recount(account, {
        entries: 1,
        bytes,
        room: { ...this.#max },
        since: { entries: 0, bytes: 0 },
        isKnown: false,
        isAsked: false,
        askedAt: 0,
      })
      return
    }
    const { since, room } = count
    count.entries++
    count.bytes += bytes
    since.entries++
    since.bytes += bytes
    if (!count.isAsked && (since.entries * 2 >= room.entries || since.bytes * 2 >= room.bytes))
      this.#recount(account, count, inbox)
  }
  /** An entry of average size. */
  taken(account: number): void {
    const count = this.#counts.get(account)
    if (count === undefined || count.entries === 0) return
    count.bytes -= count.bytes / count.entries
    count.entries--
  }
  #recount(account: number, count: Count, inbox?: Flushing): void {
    count.askedAt = Date.now()
    count.isAsked = true
    count.since.entries = 0
    count.since.bytes = 0
    this.#counts.set(account, count)
    this.#waiting(account, inbox).then(
      (found) => {
        for (const what of ['entries', 'bytes'] as const) {
          // What came meanwhile may have been counted or not.
          const most = found[what] + count.since[what]
          count[what] = Math.max(found[what], count.isKnown ? Math.min(count[what], most) : count[what])
          count.room[what] = Math.max(0, this.#max[what] - found[what])
        }
        count.isKnown = true
        count.isAsked = false
      },
      // Unknown for now: the commit itself will tell whether the store is there.
      () => this.#counts.delete(account),
    )
  }
  async #waiting(account: number, inbox: Flushing | undefined): Promise<Readonly<Amount>> {
    if (inbox !== undefined) await inbox.flushed(account)
    return await this.#store.waiting(account)
  }
}
