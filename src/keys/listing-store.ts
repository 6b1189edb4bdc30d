import type { Account } from '../account/store.ts'
import type { Domain } from '../xmpp/jid.ts'

/** Table `key_listing`. What is found are accounts that are listed and not disabled. */
export interface KeyListingStore {
  has(account: number): Promise<boolean>
  /** Idempotent, both. */
  add(account: number, domain: Domain, hash: string): Promise<void>
  remove(account: number): Promise<void>
  byHash(domain: Domain, hash: string): Promise<Account | undefined>
  /** @param keyId 16 upper-case hex digits; few accounts, if more than one */
  byKeyId(keyId: string): Promise<readonly Account[]>
}
