import type { AvailableSession } from '../presence/broadcast.ts'
import type { SubscriptionType } from '../roster/subscription.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { type Element, el } from '../xmpp/element.ts'
import { type BareJid, domainOf, type FullJid, type Jid } from '../xmpp/jid.ts'
import { NS_DELAY } from '../xmpp/ns.ts'
import { type Presence, readOwn, Stanza } from '../xmpp/stanza.ts'

/** What the resource last sent, as the registry keeps it. */
export function presenceOf(session: AvailableSession, to: Jid): Presence {
  const { content, lang, id } = session.presence
  const fields = { kind: 'presence', type: '', id, from: session.jid, to, lang } as const
  return Stanza.stored(fields, bufferOf(content), [])
}
/** That a resource is there, and no more (RFC 6121 §4.3.2, §4.6.6). */
export function bareAvailable(from: FullJid, to: Jid): Presence {
  return Stanza.of({ kind: 'presence', type: '', from, to })
}
export function unavailable(from: BareJid | FullJid, to: Jid | undefined): Presence {
  return Stanza.of({ kind: 'presence', type: 'unavailable', from, to })
}
/** A kept request, complete (RFC 6121 §3.1.3); one that was imported has its content only. */
export function requestOf(contact: BareJid, account: BareJid, kept: Uint8Array): Presence {
  const bytes = bufferOf(kept)
  if (bytes.subarray(0, OPENING.length).equals(OPENING))
    return Stanza.received('presence', readOwn(bytes), contact, account)
  const fields = {
    kind: 'presence',
    type: 'subscribe',
    id: undefined,
    from: contact,
    to: account,
    lang: undefined,
  } as const
  return Stanza.stored(fields, bytes, [])
}
const OPENING = Buffer.from('<presence ')
/** Since when somebody is away, as his server knows it (XEP-0203). */
export function delayElement(contact: BareJid, at: number): Element {
  return el('delay', NS_DELAY, { from: domainOf(contact), stamp: formatDateTime(new Date(at)) })
}
export function subscriptionStanza(type: SubscriptionType, from: BareJid, to: BareJid): Presence {
  return Stanza.of({ kind: 'presence', type, from, to })
}
/** §4.3: subscriptions are those of bare addresses. */
export function probe(from: BareJid, to: BareJid): Presence {
  return Stanza.of({ kind: 'presence', type: 'probe', from, to })
}
const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
