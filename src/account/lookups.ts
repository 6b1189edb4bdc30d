import { createHmac } from 'node:crypto'
import type { BareJid } from '../xmpp/jid.ts'
import type { LookupStore } from './lookup-store.ts'

const DAY_MS = 86_400_000
const MARK_BYTES = 16

/** Who asks: an account of ours. */
export interface Asker {
  readonly id: number
  readonly jid: BareJid
}
export interface Found {
  /** Accounts of which the asker may be told that they exist, in the order asked. */
  readonly found: readonly BareJid[]
  /** How many were not looked at, because they were new and the budget is spent; to the asker they are like those that do not exist. */
  readonly withheld: number
}

/**
 * Whether addresses have accounts, told within a daily budget of *new* targets of each asker (DESIGN.md section 6: no oracle).
 * Account names are hashes of phone numbers, of which there are few enough to try them all.
 */
export class Lookups {
  readonly #store: LookupStore
  readonly #key: Uint8Array
  readonly #newPerDay: number
  readonly #keptMs: number
  readonly #now: () => number

  /** `key`: 32 bytes of the root secret, of their own. `keptMs`: how long a target is not new again. */
  constructor(parts: {
    readonly store: LookupStore
    readonly key: Uint8Array
    readonly newPerDay: number
    readonly keptMs: number
    readonly now?: () => number
  }) {
    this.#store = parts.store
    this.#key = parts.key
    this.#newPerDay = parts.newPerDay
    this.#keptMs = parts.keptMs
    this.#now = parts.now ?? Date.now
  }

  /**
   * One query when none of the targets is new. `isFree`: those the asker knows to exist anyway, which cost nothing.
   * @throws StoreError
   */
  async find(asker: Asker, targets: Iterable<BareJid>, isFree: (target: BareJid) => boolean): Promise<Found> {
    const asked = [...new Set(targets)].map((jid) => ({ jid, mark: this.#mark(asker, jid) }))
    if (asked.length === 0) return { found: [], withheld: 0 }
    const looked = await this.#store.look(asker.id, asker.jid, asked)
    const fresh = looked.filter(({ jid, isKnown }) => !isKnown && !isFree(jid)).map(({ mark }) => mark)
    const budget = { count: this.#newPerDay, windowMs: DAY_MS }
    const bought = fresh.length === 0 ? fresh : await this.#store.spend(asker.id, fresh, budget, this.#now())
    const refused = new Set(fresh)
    for (const mark of bought) refused.delete(mark)
    const found = looked.filter(({ mark, isFound }) => isFound && !refused.has(mark)).map(({ jid }) => jid)
    return { found, withheld: refused.size }
  }

  /** Forgets targets that have been known for long; what counts for the budget stays. */
  purge(): Promise<number> {
    return this.#store.purge(this.#now() - Math.max(this.#keptMs, DAY_MS))
  }

  #mark({ id }: Asker, target: BareJid): string {
    const hash = createHmac('sha256', this.#key).update(`${id}\0${target}`).digest()
    return hash.subarray(0, MARK_BYTES).toString('base64url')
  }
}
