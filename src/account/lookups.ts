import { createHmac } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { KeyedQueue } from '../util/keyed-queue.ts'
import { networkOf } from '../util/network.ts'
import { type BareJid, bareOf, type Domain, domainOf, type Jid } from '../xmpp/jid.ts'
import type { LookupStore, Spender } from './lookup-store.ts'

const DAY_MS = 86_400_000
const MARK_BYTES = 16
/** Targets paid for, of all askers together; one that is forgotten costs a query. */
const MAX_REMEMBERED = 50_000

/**
 * Who asks. Of other servers it is the whole domain, since whoever runs one makes as many addresses as he likes; of somebody who
 * shows no XMPP address it is the one of the net (IPv6: its /64).
 */
export type Asker = { readonly account: BareJid } | { readonly domain: Domain } | { readonly address: string }
export interface Found {
  /** Accounts of which the asker may be told that they exist, in the order asked. */
  readonly found: readonly BareJid[]
  /** How many were not looked at, because they were new and the budget is spent; to the asker they are like those that do not exist. */
  readonly withheld: number
}

/**
 * The one budget of *new* targets that each asker has a day, whatever he asks of them and whether they exist or not (DESIGN.md
 * section 6: no oracle): keys, contact discovery, last activity, and what the web is told of accounts. Account names are hashes of
 * phone numbers, of which there are few enough to try them all. What was asked before costs nothing.
 */
export class Lookups {
  readonly #store: LookupStore
  readonly #key: Uint8Array
  readonly #domains: ReadonlySet<Domain>
  readonly #newPerDay: number
  readonly #remoteNewPerDay: number
  readonly #webNewPerDay: number
  readonly #keptMs: number
  readonly #now: () => number
  readonly #paid: LRUCache<string, number>
  readonly #queue = new KeyedQueue<string>()
  /** What is bought next for an asker, while the one before is on its way: many ask in parallel. */
  readonly #collecting = new Map<
    string,
    { readonly marks: Set<string>; readonly bought: Promise<ReadonlySet<string>> }
  >()

  /** `domains`: served ones. `key`: 32 bytes of the root secret, of their own. `keptMs`: how long a target is not new again. */
  constructor(parts: {
    readonly store: LookupStore
    readonly key: Uint8Array
    readonly domains: ReadonlySet<Domain>
    readonly newPerDay: number
    /** Of a server elsewhere. */
    readonly remoteNewPerDay: number
    /** Of an address. */
    readonly webNewPerDay: number
    readonly keptMs: number
    readonly now?: () => number
    readonly remembered?: number
  }) {
    this.#store = parts.store
    this.#key = parts.key
    this.#domains = parts.domains
    this.#newPerDay = parts.newPerDay
    this.#remoteNewPerDay = parts.remoteNewPerDay
    this.#webNewPerDay = parts.webNewPerDay
    this.#keptMs = parts.keptMs
    this.#now = parts.now ?? Date.now
    this.#paid = new LRUCache({ max: parts.remembered ?? MAX_REMEMBERED })
  }

  askerOf(from: Jid): Asker {
    const domain = domainOf(from)
    return this.#domains.has(domain) ? { account: bareOf(from) } : { domain }
  }

  /**
   * Whether the asker may be told of the target: it is not new to him, or his budget pays for it. The answer to «no» must be that
   * to a target that does not exist. `target`: a bare JID, or by what else an asker of this kind names somebody. @throws StoreError
   */
  async spend(asker: Asker, target: string): Promise<boolean> {
    const name = nameOf(asker)
    const mark = this.#mark(name, target)
    return (await this.#buy(asker, name, [mark])).has(mark)
  }

  /**
   * Who of many has an account. One query when none of the targets is new. `isFree`: those the asker knows to exist anyway, which
   * cost nothing. @throws StoreError
   */
  async find(account: BareJid, targets: Iterable<BareJid>, isFree: (target: BareJid) => boolean): Promise<Found> {
    const name = nameOf({ account })
    const asked = [...new Set(targets)].map((jid) => ({ jid, mark: this.#mark(name, jid) }))
    if (asked.length === 0) return { found: [], withheld: 0 }
    const looked = await this.#store.look(account, asked)
    const fresh = looked.filter(({ jid, isKnown }) => !isKnown && !isFree(jid)).map(({ mark }) => mark)
    const refused = new Set(fresh)
    for (const mark of await this.#buy({ account }, name, fresh)) refused.delete(mark)
    const found = looked.filter(({ mark, isFound }) => isFound && !refused.has(mark)).map(({ jid }) => jid)
    return { found, withheld: refused.size }
  }

  /** Forgets targets that have been known for long; what counts for the budgets stays. */
  purge(): Promise<number> {
    const now = this.#now()
    return this.#store.purge(now - Math.max(this.#keptMs, DAY_MS), now - DAY_MS)
  }

  /** Those of the marks that are paid for. No query when all are known to be. */
  async #buy(asker: Asker, name: string, marks: readonly string[]): Promise<ReadonlySet<string>> {
    const now = this.#now()
    const paid = new Set(marks.filter((mark) => (this.#paid.get(mark) ?? 0) > now))
    const unpaid = marks.filter((mark) => !paid.has(mark))
    if (unpaid.length === 0) return paid
    const bought = await this.#collect(asker, this.#hash(name), unpaid)
    for (const mark of unpaid) {
      if (!bought.has(mark)) continue
      // A day at most; the store knows for longer.
      this.#paid.set(mark, now + DAY_MS)
      paid.add(mark)
    }
    return paid
  }

  #collect(asker: Asker, who: string, marks: readonly string[]): Promise<ReadonlySet<string>> {
    const open = this.#collecting.get(who)
    if (open !== undefined) {
      for (const mark of marks) open.marks.add(mark)
      return open.bought
    }
    const collected = new Set(marks)
    const isOurs = 'account' in asker
    const spender: Spender = isOurs ? { account: asker.account } : { mark: who }
    const remote = 'domain' in asker ? this.#remoteNewPerDay : this.#webNewPerDay
    const budget = { count: isOurs ? this.#newPerDay : remote, windowMs: DAY_MS }
    const buy = async (): Promise<ReadonlySet<string>> => {
      // What comes in the same turn goes along.
      await Promise.resolve()
      this.#collecting.delete(who)
      return this.#store.spend(spender, [...collected], budget, this.#now())
    }
    const bought = Promise.resolve(this.#queue.run(who, buy))
    this.#collecting.set(who, { marks: collected, bought })
    return bought
  }

  #mark(name: string, target: string): string {
    return this.#hash(`${name}\0${target}`)
  }
  #hash(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest().subarray(0, MARK_BYTES).toString('base64url')
  }
}

const nameOf = (asker: Asker): string =>
  'account' in asker
    ? `account\0${asker.account}`
    : 'domain' in asker
      ? `domain\0${asker.domain}`
      : `address\0${networkOf(asker.address)}`
