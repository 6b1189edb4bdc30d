import { LRUCache } from 'lru-cache'
import type { BareJid } from '../xmpp/jid.ts'
import { TimeWriter } from './time-writer.ts'

/** Table `last_active`. Times are ms since the epoch. */
export interface ActivityStore {
  /** By account; a time before the one that is known changes nothing, and an account that is gone is passed over. */
  put(times: ReadonlyMap<number, number>): Promise<void>
  /** Accounts that nobody has used, nor made, since `before`, the longest unused first; without those that the operator has shut. */
  unused(
    before: number,
    limit: number,
    skip: number,
  ): Promise<readonly { readonly id: number; readonly jid: BareJid }[]>
  /** Whether a lease of that name was to be had: until it ends, nobody else gets it. */
  lease(name: string, now: number, until: number): Promise<boolean>
}

const EVERY_MS = 60 * 60_000
const MAX_KNOWN = 100_000

/**
 * That accounts are in use: asked for when a device logs in, when it leaves, and now and then between, and noted once an hour, which
 * is as exact as rules that count days need.
 */
export class Activity {
  readonly #writer: TimeWriter
  readonly #known = new LRUCache<number, number>({ max: MAX_KNOWN })
  readonly #now: () => number

  constructor(store: Pick<ActivityStore, 'put'>, failed: (error: unknown) => void, now: () => number = Date.now) {
    this.#writer = new TimeWriter((times) => store.put(times), failed)
    this.#now = now
  }

  /** A device of the account is here. Costs nothing when that was noted within the last hour. */
  seen(account: number): void {
    const now = this.#now()
    const known = this.#known.get(account)
    if (known !== undefined && known > now - EVERY_MS) return
    this.#known.set(account, now)
    this.#writer.note(account, now)
  }
  close(): Promise<void> {
    return this.#writer.close()
  }
}
