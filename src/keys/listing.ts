import { createHash } from 'node:crypto'
import type { Lookups } from '../account/lookups.ts'
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

/** Keys that their owners let anybody fetch, within the budget of each address of the net. */
export class KeyListing {
  readonly #store: KeyListingStore
  readonly #keys: Keys
  readonly #lookups: Pick<Lookups, 'spend'>

  constructor(parts: {
    readonly store: KeyListingStore
    readonly keys: Keys
    readonly lookups: Pick<Lookups, 'spend'>
  }) {
    this.#store = parts.store
    this.#keys = parts.keys
    this.#lookups = parts.lookups
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
   * over the budget of the address. @throws StoreError
   */
  async find(address: string, search: KeySearch): Promise<ShownKey | undefined> {
    const target = 'hash' in search ? `${search.hash}@${search.domain}` : search.keyId
    if (!(await this.#lookups.spend({ address }, target))) return undefined
    const account = await this.#account(search)
    return account === undefined ? undefined : await this.#keys.shown(account)
  }
  async #account(search: KeySearch): Promise<Account | undefined> {
    if ('hash' in search) return await this.#store.byHash(search.domain, search.hash)
    const found = await this.#store.byKeyId(search.keyId.slice(-16))
    // The name of such an account is as good as its number: whoever knows but the key does not get it.
    return found.find(({ fingerprint, isNumber }) => !isNumber && fingerprint?.endsWith(search.keyId) === true)
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
