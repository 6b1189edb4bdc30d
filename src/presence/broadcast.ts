import { type Blocker, isBlocked } from '../roster/blocking.ts'
import type { RosterItem } from '../roster/store.ts'
import { isSeen, seesUs } from '../roster/subscription.ts'
import type { BareJid, FullJid, Jid } from '../xmpp/jid.ts'
import { bareOf } from '../xmpp/jid.ts'
import type { RegisteredSession } from './registry.ts'

/** Whose contacts are meant; an `AccountView` is one. */
interface Owner extends Blocker {
  readonly roster: ReadonlyMap<BareJid, RosterItem>
}
/** An available resource (RFC 6121 §4.2): it has a priority and the presence it last sent. */
export type AvailableSession = RegisteredSession & {
  readonly priority: number
  readonly presence: NonNullable<RegisteredSession['presence']>
}

/** Contacts that are told the account's presence (RFC 6121 §4.2.2): `from` and `both`. Neither its own devices nor who is blocked. */
export function watchers(owner: Owner): BareJid[] {
  return chosen(owner, seesUs)
}
/** Contacts whose presence is asked for at initial presence (RFC 6121 §4.3.1): `to` and `both`. */
export function watched(owner: Owner): BareJid[] {
  return chosen(owner, isSeen)
}
function chosen(owner: Owner, test: (item: RosterItem) => boolean): BareJid[] {
  const contacts: BareJid[] = []
  for (const item of owner.roster.values()) {
    const { contact } = item
    if (contact !== owner.jid && test(item) && !isBlocked(owner, contact)) contacts.push(contact)
  }
  return contacts
}
/** Unanswered requests, due to every resource that becomes available (RFC 6121 §3.1.3). */
export function requests(owner: Owner): { readonly contact: BareJid; readonly kept: Uint8Array }[] {
  const found: { contact: BareJid; kept: Uint8Array }[] = []
  for (const { contact, pendingIn } of owner.roster.values()) {
    if (pendingIn !== undefined && !isBlocked(owner, contact)) found.push({ contact, kept: pendingIn })
  }
  return found
}
/** True when the account's presence may be told to whoever asks (RFC 6121 §4.3.2): a subscriber who is not blocked, or the account itself. */
export function maySee(asker: Jid, owner: Owner): boolean {
  const bare = bareOf(asker)
  return bare === owner.jid || (seesUs(owner.roster.get(bare)) && !isBlocked(owner, asker))
}

/** The available ones, of one resource only when `address` is a full JID. */
export function available(sessions: readonly RegisteredSession[], address?: Jid): AvailableSession[] {
  return sessions.filter(
    (s): s is AvailableSession => isAvailable(s) && (address === undefined || covers(address, s.jid)),
  )
}
function isAvailable(s: RegisteredSession): boolean {
  return s.priority !== undefined && s.presence !== undefined
}
/** True when a presence to `address` reaches `resource`. */
export function covers(address: Jid, resource: FullJid): boolean {
  return address === resource || address === (bareOf(resource) as Jid)
}

/** RFC 6121 §4.7.2.3: an integer from -128 to 127; an empty one is 0. Undefined when it is neither. */
export function parsePriority(text: string): number | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return 0
  if (!/^[+-]?\d{1,3}$/.test(trimmed)) return undefined
  const value = Number(trimmed)
  return value >= -128 && value <= 127 ? value : undefined
}
