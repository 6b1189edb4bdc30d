import { prepareDomainpart } from './domainpart.ts'
import { opaqueString, usernameCaseMapped } from './precis.ts'

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

/** Octets of one part (RFC 7622 §3.2–3.4). */
const MAX_PART = 1023
const MAX_LABEL = 63
const MAX_DOMAIN = 253

// What an ASCII character may be in an address that needs no preparing.
const IN_LOCAL = 1
const IN_LABEL = 2
const LETTER = 4
const AT = 0x40
const SLASH = 0x2f
const DOT = 0x2e
const HYPHEN = 0x2d
const CLASS = classes()
function classes(): Uint8Array {
  const table = new Uint8Array(128)
  for (let c = 0x20; c < 0x7f; c++) {
    const letter = c >= 0x61 && c <= 0x7a
    const upper = c >= 0x41 && c <= 0x5a
    const digit = c >= 0x30 && c <= 0x39
    let bits = 0
    if (!upper && !isForbiddenInLocal(c)) bits |= IN_LOCAL
    if (letter || digit || c === 0x2d) bits |= IN_LABEL
    if (letter) bits |= LETTER
    table[c] = bits
  }
  return table
}
/** RFC 7622 §3.3.1: `"&'/:<>@`, and the space, which the profile excludes. */
function isForbiddenInLocal(c: number): boolean {
  return (
    c === 0x20 ||
    c === 0x22 ||
    c === 0x26 ||
    c === 0x27 ||
    c === 0x2f ||
    c === 0x3a ||
    c === 0x3c ||
    c === 0x3e ||
    c === 0x40
  )
}

/** Prepares an address as RFC 7622 says; undefined when it is none. */
export function parseJid(text: string): Jid | undefined {
  const length = text.length
  if (length > 3 * MAX_PART + 2) return undefined
  let i = 0
  let at = -1
  for (; i < length; i++) {
    const c = text.charCodeAt(i)
    if (c === SLASH) break
    if (c === AT && at < 0) at = i
  }
  if (
    (at < 0 || isPreparedLocal(text, at)) &&
    isPreparedDomain(text, at + 1, i) &&
    (i === length || isPreparedResource(text, i + 1))
  ) {
    return text as Jid
  }
  const local = at < 0 ? '' : prepareLocal(text.slice(0, at))
  const host = prepareDomain(text.slice(at + 1, i))
  const resource = i === length ? '' : prepareResource(text.slice(i + 1))
  if (local === undefined || host === undefined || resource === undefined) return undefined
  return `${at < 0 ? '' : `${local}@`}${host}${i === length ? '' : `/${resource}`}` as Jid
}

// Each answers whether the ASCII text is what preparing it would make of it, which is so for nearly every address.
function isPreparedLocal(text: string, end: number): boolean {
  if (end === 0 || end > MAX_PART) return false
  for (let i = 0; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c >= 0x80 || ((CLASS[c] as number) & IN_LOCAL) === 0) return false
  }
  return true
}
function isPreparedResource(text: string, start: number): boolean {
  const end = text.length
  if (start === end || end - start > MAX_PART) return false
  for (let i = start; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c < 0x20 || c > 0x7e) return false
  }
  return true
}
/** Plain labels only: what could be an A-label, an address literal or a mistake is left to `prepareDomain`. */
function isPreparedDomain(text: string, start: number, end: number): boolean {
  if (end - start > MAX_DOMAIN) return false
  let label = start
  let bits = 0
  let before = DOT
  for (let i = start; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c >= 0x80) return false
    if (c === DOT) {
      if (before === DOT || before === HYPHEN || i - label > MAX_LABEL) return false
      label = i + 1
    } else {
      const own = CLASS[c] as number
      if ((own & IN_LABEL) === 0) return false
      bits |= own
      if (c === HYPHEN && (before === DOT || (before === HYPHEN && i - label === 3))) return false
    }
    before = c
  }
  return before !== DOT && before !== HYPHEN && end - label <= MAX_LABEL && (bits & LETTER) !== 0
}

/** Prepares a resourcepart (OpaqueString); undefined when it is none. */
export function prepareResource(text: string): string | undefined {
  if (text.length > MAX_PART) return undefined
  if (isPreparedResource(text, 0)) return text
  return bounded(opaqueString(text))
}
/** Prepares a localpart (UsernameCaseMapped); undefined when it is none. */
export function prepareLocal(text: string): string | undefined {
  if (text.length > MAX_PART) return undefined
  if (isPreparedLocal(text, text.length)) return text
  const local = bounded(usernameCaseMapped(text))
  // Looked at after mapping: a fullwidth `＠` has become one by now.
  for (let i = 0; local !== undefined && i < local.length; i++)
    if (isForbiddenInLocal(local.charCodeAt(i))) return undefined
  return local
}
/** Prepares a domainpart; undefined when it is none. */
export function prepareDomain(text: string): Domain | undefined {
  if (isPreparedDomain(text, 0, text.length)) return text as Domain
  return prepareDomainpart(text) as Domain | undefined
}
function bounded(part: string | undefined): string | undefined {
  return part === undefined || Buffer.byteLength(part) > MAX_PART ? undefined : part
}

/** The address without its resource: a bare JID, or a domain. */
export const bareOf = (j: Jid): BareJid => {
  const slash = j.indexOf('/')
  return (slash < 0 ? j : j.slice(0, slash)) as BareJid
}
export const domainOf = (j: Jid): Domain => {
  const slash = j.indexOf('/')
  const at = j.indexOf('@')
  const end = slash < 0 ? j.length : slash
  return j.slice(at < 0 || at > end ? 0 : at + 1, end) as unknown as Domain
}
/** Undefined for a domain. */
export const localOf = (j: Jid): string | undefined => {
  const slash = j.indexOf('/')
  const at = j.indexOf('@')
  return at < 0 || (slash >= 0 && at > slash) ? undefined : j.slice(0, at)
}
export const resourceOf = (j: Jid): string | undefined => {
  const slash = j.indexOf('/')
  return slash < 0 ? undefined : j.slice(slash + 1)
}
export const isFull = (j: Jid): j is FullJid => j.includes('/')
export const fullJid = (b: BareJid, resource: string): FullJid => `${b}/${resource}` as FullJid
export const bareJid = (local: string, d: Domain): BareJid => `${local}@${d}` as unknown as BareJid
