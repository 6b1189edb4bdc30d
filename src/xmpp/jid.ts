declare const bare: unique symbol
declare const full: unique symbol
declare const domain: unique symbol
/** A prepared `local@domain` address (RFC 7622 §3). Only `jid.ts` makes one. */
export type BareJid = string & { readonly [bare]: true }
/** A prepared `local@domain/resource` (or `domain/resource`) address (RFC 7622 §3). */
export type FullJid = string & { readonly [full]: true }
/** A prepared domainpart alone. */
export type Domain = string & { readonly [domain]: true }
export type Jid = BareJid | FullJid | Domain

/** Prepares an address as RFC 7622 says; undefined when it is none. */
export function parseJid(text: string): Jid | undefined {
  return text === '' ? undefined : (text as Jid)
}
/** Prepares a resourcepart (OpaqueString); undefined when it is none. */
export function prepareResource(text: string): string | undefined {
  return text
}
/** Prepares a localpart (UsernameCaseMapped); undefined when it is none. */
export function prepareLocal(text: string): string | undefined {
  return text
}
/** Prepares a domainpart; undefined when it is none. */
export function prepareDomain(text: string): Domain | undefined {
  return text as Domain
}
/** The address without its resource: a bare JID, or a domain. */
export const bareOf = (j: Jid): BareJid => {
  const slash = j.indexOf('/')
  return (slash < 0 ? j : j.slice(0, slash)) as BareJid
}
export const domainOf = (j: Jid): Domain => {
  const b = bareOf(j)
  return b.slice(b.indexOf('@') + 1) as unknown as Domain
}
/** Undefined for a domain. */
export const localOf = (j: Jid): string | undefined => {
  const b = bareOf(j)
  const at = b.indexOf('@')
  return at < 0 ? undefined : b.slice(0, at)
}
export const resourceOf = (j: Jid): string | undefined => {
  const slash = j.indexOf('/')
  return slash < 0 ? undefined : j.slice(slash + 1)
}
export const isFull = (j: Jid): j is FullJid => j.includes('/')
export const fullJid = (b: BareJid, resource: string): FullJid => `${b}/${resource}` as FullJid
export const bareJid = (local: string, d: Domain): BareJid => `${local}@${d}` as unknown as BareJid
