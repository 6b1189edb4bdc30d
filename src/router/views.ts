import { LRUCache } from 'lru-cache'
import { ARCHIVE_ALL } from '../account/archiving.ts'
import type { AccountView, Views } from '../contract/account-view.ts'
import type { RosterItem, RosterStore } from '../roster/store.ts'
import type { BareJid } from '../xmpp/jid.ts'

const NO_ROSTER: ReadonlyMap<BareJid, RosterItem> = new Map()
const MAX_VIEWS = 20_000

/** Of one query: whether the account has changed since it began. */
interface Token {
  isStale: boolean
}

/** Views of local accounts in memory, loaded by one query each and dropped when anything of them changes on any node. */
export class ViewCache implements Views {
  readonly #views = new LRUCache<BareJid, AccountView>({ max: MAX_VIEWS })
  readonly #loading = new Map<BareJid, { readonly promise: Promise<AccountView>; readonly token: Token }>()
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
    if (loading !== undefined && !loading.token.isStale) return loading.promise
    const token = { isStale: false }
    const promise = this.#load(account, token)
    this.#loading.set(account, { promise, token })
    return promise
  }
  changed(account: BareJid): void {
    this.drop(account)
    this.#tell(account)
  }
  /** A change on another node. */
  drop(account: BareJid): void {
    this.#views.delete(account)
    const loading = this.#loading.get(account)
    if (loading) loading.token.isStale = true
  }

  async #load(jid: BareJid, token: Token): Promise<AccountView> {
    try {
      const found = await this.#store.load(jid)
      if (token.isStale) return await this.load(jid)
      const view: AccountView =
        found === undefined
          ? { jid, account: undefined, roster: NO_ROSTER, archiving: ARCHIVE_ALL }
          : { jid, account: found.account, roster: rosterOf(found.items), archiving: found.archiving }
      this.#views.set(jid, view)
      return view
    } finally {
      if (this.#loading.get(jid)?.token === token) this.#loading.delete(jid)
    }
  }
}
function rosterOf(items: readonly RosterItem[]): ReadonlyMap<BareJid, RosterItem> {
  return items.length === 0 ? NO_ROSTER : new Map(items.map((i) => [i.contact, i]))
}
