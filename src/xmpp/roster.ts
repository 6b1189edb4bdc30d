import { type Element, el } from './element.ts'
import { type BareJid, localOf } from './jid.ts'
import { NS_ROSTER } from './ns.ts'

/** A contact as clients are shown it (RFC 6121 §2.1.2). */
export interface ShownContact {
  readonly contact: BareJid
  readonly name: string | undefined
  readonly groups: readonly string[]
  readonly subscription: 'none' | 'to' | 'from' | 'both'
  /** Our `subscribe` is unanswered. */
  readonly pendingOut: boolean
  readonly approved: boolean
}

/** COMPAT(Kontalk Android): every item has a name, its localpart when it was given none; a roster with a nameless item never loads there. */
export function contactElement(item: ShownContact): Element {
  const attrs: Record<string, string> = {
    jid: item.contact,
    name: item.name ?? localOf(item.contact) ?? item.contact,
    subscription: item.subscription,
  }
  if (item.pendingOut) attrs.ask = 'subscribe'
  if (item.approved) attrs.approved = 'true'
  return el('item', NS_ROSTER, attrs, ...item.groups.map((group) => el('group', NS_ROSTER, {}, group)))
}
export function removedElement(contact: BareJid): Element {
  return el('item', NS_ROSTER, { jid: contact, subscription: 'remove' })
}
/** `version` is left out for clients that keep no roster (§2.6.2). */
export function rosterElement(items: readonly Element[], version?: string): Element {
  return el('query', NS_ROSTER, version === undefined ? {} : { ver: version }, ...items)
}
