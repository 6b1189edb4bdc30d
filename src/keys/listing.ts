import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Account } from '../account/store.ts'
import { zBase32 } from '../util/z-base-32.ts'
import { type BareJid, type Domain, domainOf, localOf, parseJid } from '../xmpp/jid.ts'
import type { Keys, ShownKey } from './directory.ts'
import type { KeyListingStore } from './listing-store.ts'

/** By what a key is looked for. */
export type KeySearch =
  /** As the Web Key Directory does (draft-koch-openpgp-webkey-service §3.1): 32 characters of z-base-32. */
  | { readonly domain: Domain; readonly hash: string }
  /** Fingerprint or key ID, 40 or 16 upper-case hex digits. */
  | { readonly keyId: string }

const DAY_MS = 86_400_000
/** Questions remembered, of all networks together; over it those that have not asked for longest begin anew. */
const MAX_REMEMBERED = 500_000

/** Keys that their owners let anybody fetch, and how many things one network may ask for in a day. */
export class KeyListing {
  readonly #store: KeyListingStore
  readonly #keys: Keys
  readonly #perDay: number
  readonly #now: () => number
  readonly #asked: LRUCache<string, { readonly until: number; readonly targets: Set<string> }>

  constructor(parts: {
    readonly store: KeyListingStore
    readonly keys: Keys
    /** Different keys that one network may ask for, there or not. */
    readonly perDay: number
    readonly now?: () => number
  }) {
    this.#store = parts.store
    this.#keys = parts.keys
    this.#perDay = parts.perDay
    this.#now = parts.now ?? Date.now
    this.#asked = new LRUCache({ maxSize: MAX_REMEMBERED })
  }

  isListed({ id }: Account): Promise<boolean> {
    return this.#store.has(id)
  }
  /** Idempotent. @throws StoreError */
  list(account: Account, isListed: boolean): Promise<void> {
    return setListed(this.#store, account, isListed)
  }

  /**
   * The key, as others get it; undefined for no account, one that is not listed, one without a key that is certified and valid, and
   * over the network's budget. What was asked for once costs nothing for the rest of a day. @throws StoreError
   */
  async find(network: string, search: KeySearch): Promise<ShownKey | undefined> {
    const target = 'hash' in search ? `${search.hash}@${search.domain}` : search.keyId
    if (!this.#spend(network, target)) return undefined
    const account = await this.#account(search)
    return account === undefined ? undefined : await this.#keys.shown(account)
  }
  async #account(search: KeySearch): Promise<Account | undefined> {
    if ('hash' in search) return await this.#store.byHash(search.domain, search.hash)
    const found = await this.#store.byKeyId(search.keyId.slice(-16))
    // The name of such an account is as good as its number: whoever knows but the key does not get it.
    return found.find(({ fingerprint, isNumber }) => !isNumber && fingerprint?.endsWith(search.keyId) === true)
  }
  #spend(network: string, target: string): boolean {
    const now = this.#now()
    const known = this.#asked.get(network)
    const asked = known !== undefined && known.until > now ? known : { until: now + DAY_MS, targets: new Set<string>() }
    if (asked.targets.has(target)) return true
    if (asked.targets.size >= this.#perDay) return false
    asked.targets.add(target)
    // Another object: the cache weighs one that it has no second time.
    this.#asked.set(network, { ...asked }, { size: asked.targets.size })
    return true
  }
}

/** Says whether anybody may fetch the account's key. Idempotent. @throws StoreError */
export async function setListed(store: KeyListingStore, { id, jid }: Account, isListed: boolean): Promise<void> {
  if (isListed) await store.add(id, domainOf(jid), wkdHash(jid))
  else await store.remove(id)
}

/** What stands for the localpart: it is in lower case already, as the draft wants it. */
export function wkdHash(jid: BareJid): string {
  return zBase32(
    createHash('sha1')
      .update(localOf(jid) ?? '')
      .digest(),
  )
}

/** What HKP's `search` looks for: `0x` and a fingerprint or key ID, or a whole address; undefined for all else. */
export function hkpSearch(text: string): KeySearch | undefined {
  const [, hex] = /^0x([0-9a-f]{40}|[0-9a-f]{16})$/i.exec(text) ?? []
  if (hex !== undefined) return { keyId: hex.toUpperCase() }
  const jid = text.length > 1_024 ? undefined : parseJid(text.replace(/^=?<?([^<>]*)>?$/, '$1'))
  if (jid === undefined || localOf(jid) === undefined || jid.includes('/')) return undefined
  return { domain: domainOf(jid), hash: wkdHash(jid as BareJid) }
}
