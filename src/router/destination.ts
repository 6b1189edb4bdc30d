import { type BareJid, bareOf, type Domain, domainOf, type Jid } from '../xmpp/jid.ts'
import type { Iq, Stanza } from '../xmpp/stanza.ts'

/** Where a stanza goes; a pure function of it and of what we serve (RFC 6120 §10, RFC 6121 §8). */
export type Destination =
  | { readonly to: 'answer'; readonly iq: Iq }
  | { readonly to: 'account'; readonly account: BareJid }
  | { readonly to: 'service'; readonly address: Jid }
  | { readonly to: 'remote'; readonly domain: Domain }

/** What this server answers for. */
export interface Served {
  readonly domains: ReadonlySet<Domain>
  /** Addresses that are no accounts: multicast@…, components. */
  readonly services: ReadonlySet<Jid>
}

/** A stanza without `to` is for the sender's own account (RFC 6120 §10.3). */
export function destinationOf(stanza: Stanza, served: Served): Destination {
  const to: Jid = stanza.to ?? bareOf(stanza.from)
  const domain = domainOf(to)
  if (!served.domains.has(domain)) return { to: 'remote', domain }
  const bare = bareOf(to)
  const isOurs = (bare as Jid) === domain || served.services.has(bare)
  if (isRequest(stanza) && (isOurs || to === bare)) return { to: 'answer', iq: stanza }
  return isOurs ? { to: 'service', address: to } : { to: 'account', account: bare }
}
export function isRequest(stanza: Stanza): stanza is Iq {
  return stanza.kind === 'iq' && (stanza.type === 'get' || stanza.type === 'set')
}
