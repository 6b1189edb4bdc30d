import type { Account } from '../account/store.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { RosterError } from './roster-error.ts'
import type { RosterItem, RosterStore } from './store.ts'
import {
  type Cell,
  cellOf,
  isPendingIn,
  isPendingOut,
  type SubscriptionDirection,
  type SubscriptionType,
  stateOf,
  subscriptionOf,
} from './subscription.ts'

/** Whose roster is meant, as far as known; an `AccountView` is one. */
export interface RosterOwner {
  readonly jid: BareJid
  readonly account: Account | undefined
  readonly roster: ReadonlyMap<BareJid, RosterItem>
}
/** The listed items (RFC 6121 §2.1.4 shows no others) and a version that no earlier account of that name had. */
export interface Roster {
  readonly items: readonly RosterItem[]
  readonly version: string
}
/** What became of one contact since a version, for a roster push; `item` is undefined where it is on the roster no more. */
export interface RosterNews {
  readonly contact: BareJid
  readonly item: RosterItem | undefined
  readonly version: string
}
export interface RosterChange {
  readonly contact: BareJid
  readonly before: RosterItem | undefined
  readonly after: RosterItem | undefined
  readonly version: string
}
export interface Transition extends RosterChange {
  /** Routed to the contact when outbound, delivered to the account when inbound. */
  readonly pass: boolean
  /** The server is to answer `subscribed` for the account. */
  readonly reply: boolean
  /** The item as clients see it changed: a roster push is due. */
  readonly push: boolean
  readonly changed: boolean
}

/** Requests of people who are not on the roster may take one part in this many of it. */
const REQUEST_SHARE = 4

/** Who knows whom: reads and changes rosters. The caller tells views and devices. */
export class Rosters {
  readonly #store: RosterStore
  readonly #maxItems: number
  readonly #maxGroups: number
  /** One change of a roster at a time: a client's stanzas act in the order it sent them, however many connections the store has. */
  readonly #queue = new KeyedQueue<number>()
  /** `maxItems` counts requests too, `maxGroups` is for one item. */
  constructor(options: { readonly store: RosterStore; readonly maxItems: number; readonly maxGroups: number }) {
    this.#store = options.store
    this.#maxItems = options.maxItems
    this.#maxGroups = options.maxGroups
  }

  /** @throws RosterError no-account */
  async get(jid: BareJid): Promise<Roster> {
    const loaded = await this.#store.load(jid)
    if (loaded === undefined) throw new RosterError('no-account')
    return { items: loaded.items.filter((i) => i.listed), version: versionOf(loaded.account.id, loaded.version) }
  }

  /**
   * In the order of the changes (RFC 6121 §2.6.3). Undefined when the version is unknown, such as one of an earlier account of that
   * name: send the whole roster.
   */
  async since(owner: RosterOwner, version: string): Promise<readonly RosterNews[] | undefined> {
    const { id } = accountOf(owner)
    const known = numberOf(id, version)
    const delta = known === undefined ? undefined : await this.#store.since(id, known)
    return delta?.changes.map(({ contact, item, version: changed }) => ({
      contact,
      // A contact that was removed and has asked again since is an unlisted item now: to a client it is still removed.
      item: item?.listed === true ? item : undefined,
      version: versionOf(id, changed),
    }))
  }

  /** Adds the contact or gives it another name and groups (RFC 6121 §2.3, §2.4). @throws RosterError full, too-many-groups, no-account */
  async set(
    owner: RosterOwner,
    contact: BareJid,
    shown: { readonly name: string | undefined; readonly groups: readonly string[] },
  ): Promise<RosterChange> {
    if (shown.groups.length > this.#maxGroups) throw new RosterError('too-many-groups')
    return this.#change(owner, contact, (item) => ({ ...(item ?? newItem(contact)), ...shown, listed: true }))
  }

  /** Takes the contact off the roster with every subscription and request; `before` tells what is to be cancelled (§2.5.2). @throws RosterError unknown-contact, no-account */
  async remove(owner: RosterOwner, contact: BareJid): Promise<RosterChange & { readonly before: RosterItem }> {
    const change = await this.#change(owner, contact, (item) => (item?.listed === true ? undefined : item))
    if (change.before?.listed !== true) throw new RosterError('unknown-contact')
    return { ...change, before: change.before }
  }

  /**
   * Lets one subscription stanza act on the contact's state (RFC 6121 Appendix A). `request` is an inbound `subscribe`, kept
   * until it is answered. @throws RosterError full, no-account
   */
  async apply(
    owner: RosterOwner,
    contact: BareJid,
    direction: SubscriptionDirection,
    type: SubscriptionType,
    request: Uint8Array = new Uint8Array(),
  ): Promise<Transition> {
    if (direction === 'inbound' && type === 'subscribe') this.#checkRequests(owner, contact)
    let cell: Cell | undefined
    const change = await this.#change(owner, contact, (item) => {
      cell = cellOf(direction, type, stateOf(item), item?.approved ?? false)
      return applied(item, contact, cell, request)
    })
    if (cell === undefined) throw new Error('the roster store did not ask for the change')
    const { before, after } = change
    return { ...change, pass: cell.pass, reply: cell.reply, push: !looksSame(before, after), changed: before !== after }
  }

  async #change(
    owner: RosterOwner,
    contact: BareJid,
    decide: (item: RosterItem | undefined) => RosterItem | undefined,
  ): Promise<RosterChange> {
    const { id } = accountOf(owner)
    const change = await this.#queue.run(id, () => this.#store.change(id, contact, decide, this.#maxItems))
    return { contact, before: change.before, after: change.after, version: versionOf(id, change.version) }
  }
  /** Strangers may fill a part of a roster only. Counts what the view knows; the store's bound holds where it is stale. */
  #checkRequests(owner: RosterOwner, contact: BareJid): void {
    const most = Math.max(1, Math.floor(this.#maxItems / REQUEST_SHARE))
    if (owner.roster.has(contact) || owner.roster.size < most) return
    let requests = 0
    for (const item of owner.roster.values()) if (!item.listed) requests++
    if (requests >= most) throw new RosterError('full')
  }
}

function applied(
  item: RosterItem | undefined,
  contact: BareJid,
  cell: Cell,
  request: Uint8Array,
): RosterItem | undefined {
  const { next } = cell
  const subscription = subscriptionOf(next)
  const pendingOut = isPendingOut(next)
  const approved = cell.approved ?? item?.approved ?? false
  // The first request is kept: whoever repeats it a thousand times costs no write.
  const pendingIn = isPendingIn(next) ? (item?.pendingIn ?? request) : undefined
  const old = item ?? newItem(contact)
  if (
    old.subscription === subscription &&
    old.pendingOut === pendingOut &&
    old.approved === approved &&
    old.pendingIn === pendingIn
  ) {
    return item
  }
  const listed = old.listed || pendingOut || approved || subscription !== 'none'
  if (!listed && pendingIn === undefined) return undefined
  return { ...old, subscription, pendingOut, pendingIn, approved, listed }
}
function looksSame(before: RosterItem | undefined, after: RosterItem | undefined): boolean {
  const a = before?.listed === true ? before : undefined
  const b = after?.listed === true ? after : undefined
  if (a === undefined || b === undefined) return a === b
  return a.subscription === b.subscription && a.pendingOut === b.pendingOut && a.approved === b.approved
}
/** Whether the owner has the address on its roster by its own doing: a mere request of the other's does not count. */
export const hasContact = ({ roster }: Pick<RosterOwner, 'roster'>, other: BareJid): boolean =>
  roster.get(other)?.listed === true
/** A contact who was no contact before. */
export function newItem(contact: BareJid): RosterItem {
  return {
    contact,
    name: undefined,
    groups: [],
    subscription: 'none',
    pendingOut: false,
    pendingIn: undefined,
    approved: false,
    listed: false,
    version: 0,
  }
}
function accountOf(owner: RosterOwner): Account {
  if (owner.account === undefined) throw new RosterError('no-account')
  return owner.account
}
/** The account's id is part of it: who registers a name again must not find his predecessor's cached roster current. */
const versionOf = (account: number, version: number): string => `${account}-${version}`
function numberOf(account: number, version: string): number | undefined {
  const parts = /^(\d{1,15})-(\d{1,15})$/.exec(version)
  return parts !== null && Number(parts[1]) === account ? Number(parts[2]) : undefined
}
