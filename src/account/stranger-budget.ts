import { LRUCache } from 'lru-cache'
import { type BareJid, type Domain, domainOf } from '../xmpp/jid.ts'

const DAY_MS = 86_400_000
/** Addresses remembered, of all askers together; over it those who have not asked for longest begin anew. */
const MAX_REMEMBERED = 500_000

interface Asked {
  /** Ms. */
  readonly until: number
  readonly targets: Set<BareJid>
}

/**
 * How many addresses that do not know him one asker may ask about in a day, whether they exist or not, so that nobody finds out by
 * trying who has an account. An address that was asked about costs nothing for the rest of that day. Each node counts for itself.
 */
export class StrangerBudget {
  readonly #asked: LRUCache<BareJid, Asked>
  readonly #domains: ReadonlySet<Domain>
  readonly #local: number
  readonly #remote: number
  readonly #now: () => number

  constructor(parts: {
    /** Served ones. */
    readonly domains: ReadonlySet<Domain>
    readonly local: number
    readonly remote: number
    readonly now?: () => number
    readonly remembered?: number
  }) {
    this.#domains = parts.domains
    this.#local = parts.local
    this.#remote = parts.remote
    this.#now = parts.now ?? (() => performance.now())
    this.#asked = new LRUCache({ maxSize: parts.remembered ?? MAX_REMEMBERED })
  }

  /** False when the asker has asked about too many already; then nothing is spent. */
  spend(asker: BareJid, target: BareJid): boolean {
    const now = this.#now()
    const known = this.#asked.get(asker)
    const asked =
      known !== undefined && known.until > now ? known : { until: now + DAY_MS, targets: new Set<BareJid>() }
    if (asked.targets.has(target)) return true
    if (asked.targets.size >= (this.#domains.has(domainOf(asker)) ? this.#local : this.#remote)) return false
    asked.targets.add(target)
    // Another object: the cache weighs one that it has no second time.
    this.#asked.set(asker, { ...asked }, { size: asked.targets.size })
    return true
  }
}
