import { LRUCache } from 'lru-cache'
import { ARCHIVE_ALL } from '../account/archiving.ts'
import type { AccountView, Views } from '../contract/account-view.ts'
import type { RosterItem, RosterStore } from '../roster/store.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'

const NO_ROSTER: ReadonlyMap<BareJid, RosterItem> = new Map()
const NOBODY: ReadonlySet<Jid> = new Set()
const MAX_VIEWS = 20_000
/** Views of accounts in use that did not fit any more, before it is looked which of them are still in use. */
const FIRST_SWEEP = 1_000

/** Of one query: whether the account has changed since it began. */
interface Token {
  isStale: boolean
}
interface Known {
  readonly view: AccountView
  /** The account has changed since. */
  isStale: boolean
}

/** Views of local accounts in memory, loaded by one query each and read again when anything of them has changed on any node. */
export class ViewCache implements Views {
  readonly #known = new LRUCache<BareJid, Known>({
    max: MAX_VIEWS,
    dispose: (known, account, reason) => {
      if (reason === 'evict') this.#evicted(account, known)
    },
  })
  /** Not among the most recent ones, but of accounts in use. */
  readonly #kept = new Map<BareJid, Known>()
  #sweepAt = FIRST_SWEEP
  readonly #loading = new Map<BareJid, { readonly promise: Promise<AccountView>; readonly token: Token }>()
  readonly #store: RosterStore
  readonly #tell: (account: BareJid) => void
  #isInUse: (account: BareJid) => boolean = () => false

  /** `tell` announces a change to the other nodes. */
  constructor(store: RosterStore, tell: (account: BareJid) => void) {
    this.#store = store
    this.#tell = tell
  }
  /** From now on the views of these accounts stay, and follow each change at once: `latest` has them. */
  keepWhile(isInUse: (account: BareJid) => boolean): void {
    this.#isInUse = isInUse
  }
  peek(account: BareJid): AccountView | undefined {
    const known = this.#find(account)
    return known === undefined || known.isStale ? undefined : known.view
  }
  latest(account: BareJid): AccountView | undefined {
    const known = this.#find(account)
    if (known?.isStale === true) this.#refresh(account)
    return known?.view
  }
  load(account: BareJid): Promise<AccountView> {
    const view = this.peek(account)
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
    const known = this.#find(account)
    if (known !== undefined) known.isStale = true
    const loading = this.#loading.get(account)
    if (loading) loading.token.isStale = true
    if (known !== undefined && this.#isInUse(account)) this.#refresh(account)
  }

  #find(account: BareJid): Known | undefined {
    return this.#known.get(account) ?? this.#kept.get(account)
  }
  /** Where the store does not answer, whoever wants the view next asks again. */
  #refresh(account: BareJid): void {
    this.load(account).catch(() => undefined)
  }
  async #load(jid: BareJid, token: Token): Promise<AccountView> {
    try {
      const found = await this.#store.load(jid)
      if (token.isStale) return await this.load(jid)
      const view: AccountView =
        found === undefined
          ? { jid, account: undefined, roster: NO_ROSTER, archiving: ARCHIVE_ALL, blocked: NOBODY }
          : {
              jid,
              account: found.account,
              roster: rosterOf(found.items),
              archiving: found.archiving,
              blocked: blockedOf(found.blocked),
            }
      this.#kept.delete(jid)
      this.#known.set(jid, { view, isStale: false })
      return view
    } finally {
      if (this.#loading.get(jid)?.token === token) this.#loading.delete(jid)
    }
  }
  #evicted(account: BareJid, known: Known): void {
    if (!this.#isInUse(account)) return
    this.#kept.set(account, known)
    if (this.#kept.size < this.#sweepAt) return
    for (const kept of this.#kept.keys()) if (!this.#isInUse(kept)) this.#kept.delete(kept)
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#kept.size)
  }
}
function rosterOf(items: readonly RosterItem[]): ReadonlyMap<BareJid, RosterItem> {
  return items.length === 0 ? NO_ROSTER : new Map(items.map((i) => [i.contact, i]))
}
function blockedOf(jids: readonly Jid[]): ReadonlySet<Jid> {
  return jids.length === 0 ? NOBODY : new Set(jids)
}
