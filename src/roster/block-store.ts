import type { Jid } from '../xmpp/jid.ts'

/** Table `block`: who may not write to an account, and whom it may not write to. The lists themselves come with the roster (`RosterStore.load`). */
export interface BlockStore {
  /** Puts addresses on the account's list; what is there already stays. All or none. @throws RosterError full, no-account */
  add(account: number, jids: readonly Jid[], maxItems: number): Promise<void>
  /** Takes addresses off the list, or all. */
  remove(account: number, jids: readonly Jid[] | 'all'): Promise<void>
}
