import type { BareJid, FullJid } from '../xmpp/jid.ts'

/** Table `last_seen`. Times are ms since the epoch. */
export interface LastSeenStore {
  /** By account; a time before the one that is known changes nothing, and an account that is gone is passed over. */
  put(ends: ReadonlyMap<number, number>): Promise<void>
  find(account: number): Promise<number | undefined>
  /** Of those of the contacts, local accounts, that let the asker see their presence and have not blocked it. */
  ofContacts(asker: FullJid, contacts: readonly BareJid[]): Promise<ReadonlyMap<BareJid, number>>
}
