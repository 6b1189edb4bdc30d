import { newItem } from '../roster/roster.ts'
import type { RosterItem, Subscription } from '../roster/store.ts'
import type { Element } from '../xmpp/element.ts'
import { type BareJid, bareOf, parseJid } from '../xmpp/jid.ts'
import { NS_PUBKEY } from '../xmpp/ns.ts'
import type { Stanza } from '../xmpp/stanza.ts'

/** Bytes of a contact's name or group, as of one that a client brings. */
const MAX_NAME_BYTES = 1_023
const isShort = (name: string): boolean => Buffer.byteLength(name) <= MAX_NAME_BYTES

type Wish = Pick<RosterItem, 'subscription' | 'pendingOut' | 'approved'> & { readonly pendingIn: boolean }
const wish = (subscription: Subscription, ...more: readonly ('out' | 'in' | 'approved')[]): Wish => ({
  subscription,
  pendingOut: more.includes('out'),
  pendingIn: more.includes('in'),
  approved: more.includes('approved'),
})
const SUBSCRIPTIONS: Readonly<Record<string, Wish>> = {
  none: wish('none'),
  none_pending_out: wish('none', 'out'),
  none_pending_in: wish('none', 'in'),
  none_pending_out_in: wish('none', 'out', 'in'),
  to: wish('to'),
  to_pending_in: wish('to', 'in'),
  from: wish('from'),
  from_pending_out: wish('from', 'out'),
  both: wish('both'),
  none_pre_approved: wish('none', 'approved'),
  none_pending_out_pre_approved: wish('none', 'out', 'approved'),
  to_pre_approved: wish('to', 'approved'),
}

/** A change of one contact's item in a roster. */
export interface ContactChange {
  readonly contact: BareJid
  readonly change: (before: RosterItem | undefined) => RosterItem | undefined
}

/** A contact as the other server keeps it; `isCut`: its name or a group is too long and left away. Undefined: it is none. */
export function contactOf(
  { attrs }: Element,
  owner: BareJid,
  maxGroups: number,
): (ContactChange & { readonly isCut: boolean }) | undefined {
  const jid = parseJid(attrs.jid ?? '')
  const subs = attrs.subs ?? 'none'
  const state = Object.hasOwn(SUBSCRIPTIONS, subs) ? SUBSCRIPTIONS[subs] : undefined
  if (jid === undefined || state === undefined || bareOf(jid) === owner) return undefined
  const contact = bareOf(jid)
  const all = new Set((attrs.groups ?? '').split(',').filter((group) => group !== ''))
  const groups = [...all].filter(isShort)
  const name = attrs.name === '' || !isShort(attrs.name ?? '') ? undefined : attrs.name
  const { pendingIn, ...rest } = state
  return {
    contact,
    change: (before) => ({
      contact,
      name,
      groups: groups.slice(0, maxGroups),
      ...rest,
      // A request that waited came with its stanza, if it still waits.
      pendingIn: before?.pendingIn ?? (pendingIn ? Buffer.alloc(0) : undefined),
      listed: subs !== 'none_pending_in',
      version: 0,
    }),
    isCut: groups.length < all.size || (name === undefined && Boolean(attrs.name)),
  }
}

/** A request for subscription that waits is part of the roster. */
export function requestOf(presence: Stanza<'presence'>): ContactChange {
  const contact = bareOf(presence.from)
  const content = presence.without(NS_PUBKEY).content
  return {
    contact,
    change: (before) =>
      before?.subscription === 'from' || before?.subscription === 'both'
        ? before
        : { ...(before ?? newItem(contact)), pendingIn: content },
  }
}
