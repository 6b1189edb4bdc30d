import { LRUCache } from 'lru-cache'
import type { AccountView, Views } from '../contract/account-view.ts'
import type { RosterItem, RosterStore } from '../roster/store.ts'
import type { BareJid } from '../xmpp/jid.ts'

const NO_ROSTER: ReadonlyMap<BareJid, RosterItem> = new Map()
const MAX_VIEWS = 20_000

/** Views of local accounts in memory, loaded by one query each and dropped when anything of them changes on any node. */
export class ViewCache implements Views {
  readonly #views = new LRUCache<BareJid, AccountView>({ max: MAX_VIEWS })
  readonly #loading = new Map<BareJid, { readonly promise: Promise<AccountView>; isStale: boolean }>()
  readonly #store: RosterStore
  readonly #tell: (account: BareJid) => void

  /** `tell` announces a change to the other nodes. */
  constructor(store: RosterStore, tell: (account: BareJid) => void) {
    this.#store = store
    this.#tell = tell
  }
  peek(account: BareJid): AccountView | undefined {
    return this.#views.get(account)
  }
  load(account: BareJid): Promise<AccountView> {
    const view = this.#views.get(account)
    if (view !== undefined) return Promise.resolve(view)
    const loading = this.#loading.get(account)
    if (loading !== undefined && !loading.isStale) return loading.promise
    const started = { promise: this.#load(account), isStale: false }
    this.#loading.set(account, started)
    return started.promise
  }
  changed(account: BareJid): void {
    this.drop(account)
    this.#tell(account)
  }
  /** A change on another node. */
  drop(account: BareJid): void {
    this.#views.delete(account)
    const loading = this.#loading.get(account)
    if (loading) loading.isStale = true
  }

  async #load(jid: BareJid): Promise<AccountView> {
    // The entry of #loading is set by the caller before the first turn of the event loop ends.
    try {
      const found = await this.#store.load(jid)
      const view: AccountView =
        found === undefined
          ? { jid, account: undefined, roster: NO_ROSTER }
          : {
              jid,
              account: found.account,
              roster: found.items.length === 0 ? NO_ROSTER : new Map(found.items.map((i) => [i.contact, i])),
            }
      const loading = this.#loading.get(jid)
      this.#loading.delete(jid)
      if (loading?.isStale) return await this.load(jid)
      this.#views.set(jid, view)
      return view
    } catch (error) {
      this.#loading.delete(jid)
      throw error
    }
  }
}
