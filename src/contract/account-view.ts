import type { ArchivingPreferences } from '../account/archiving.ts'
import type { Account } from '../account/store.ts'
import type { RosterItem } from '../roster/store.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'

/**
 * What the line needs to know of a local account, loaded in one query before the first hook and kept while the account is in
 * use. A change anywhere drops it from every node (`Views.changed`).
 */
export interface AccountView {
  readonly jid: BareJid
  /** Undefined when there is no such account. */
  readonly account: Account | undefined
  /** By contact, every item in any state, with pending requests. Empty for no account. */
  readonly roster: ReadonlyMap<BareJid, RosterItem>
  /** Which messages its owner wants archived (XEP-0441): see `isArchived`. */
  readonly archiving: ArchivingPreferences
  /** Addresses it has blocked (XEP-0191), prepared; asked by `isBlocked`. */
  readonly blocked: ReadonlySet<Jid>
}

/** Views of local accounts. */
export interface Views {
  /** The view when it is in memory. */
  peek(account: BareJid): AccountView | undefined
  /**
   * The view as last known, even while a change of it is being read: for those who cannot wait. Undefined only for an account that
   * has no session on this node.
   */
  latest(account: BareJid): AccountView | undefined
  /** The view, loaded when needed; never rejects with «no account»: see `AccountView.account`. */
  load(account: BareJid): Promise<AccountView>
  /** To be called after every committed change of the account or its roster; tells all nodes, settles when this node has dropped it. */
  changed(account: BareJid): void
}
