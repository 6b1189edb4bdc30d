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
  // The case of nearly every address: `local@domain/resource` of plain ASCII, or its beginning.
  const at = localEnd(text)
  const slash = domainEnd(text, at + 1)
  if (slash > 0 && (slash === length || isPreparedResource(text, slash + 1))) return text as Jid
  return prepareParts(text)
}
function prepareParts(text: string): Jid | undefined {
  const slash = text.indexOf('/')
  const bareEnd = slash < 0 ? text.length : slash
  const at = text.slice(0, bareEnd).indexOf('@')
  const local = at < 0 ? '' : prepareLocal(text.slice(0, at))
  const host = prepareDomain(text.slice(at + 1, bareEnd))
  const resource = slash < 0 ? '' : prepareResource(text.slice(slash + 1))
  if (local === undefined || host === undefined || resource === undefined) return undefined
  return `${at < 0 ? '' : `${local}@`}${host}${slash < 0 ? '' : `/${resource}`}` as Jid
}
/** Where the `@` stands after a localpart that needs no preparing; -1 when there is none such. */
function localEnd(text: string): number {
  const end = Math.min(text.length, MAX_PART + 1)
  for (let i = 0; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c >= 0x80 || ((CLASS[c] as number) & IN_LOCAL) === 0) return c === AT && i > 0 ? i : -1
  }
  return -1
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
/**
 * Where the domainpart from `start` on ends, at a slash or with the text; 0 when it needs preparing. Plain labels only: what could
 * be an A-label, an address literal or a mistake is left to `prepareDomain`.
 */
function domainEnd(text: string, start: number): number {
  const length = text.length
  let label = start
  let bits = 0
  let before = DOT
  let i = start
  for (; i < length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 0x80) return 0
    if (c === DOT) {
      if (before === DOT || before === HYPHEN || i - label > MAX_LABEL) return 0
      label = i + 1
    } else {
      const own = CLASS[c] as number
      if ((own & IN_LABEL) === 0) {
        if (c === SLASH) break
        return 0
      }
      bits |= own
      if (c === HYPHEN && (before === DOT || (before === HYPHEN && i - label === 3))) return 0
    }
    before = c
  }
  if (before === DOT || before === HYPHEN || i - label > MAX_LABEL || i - start > MAX_DOMAIN) return 0
  return (bits & LETTER) === 0 ? 0 : i
}
const isPreparedDomain = (text: string): boolean => domainEnd(text, 0) === text.length && text !== ''

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
  if (isPreparedDomain(text)) return text as Domain
  const plain = text.length > MAX_DOMAIN + 1 ? '' : lowerAscii(text.endsWith('.') ? text.slice(0, -1) : text)
  if (isPreparedDomain(plain)) return plain as Domain
  return prepareDomainpart(text) as Domain | undefined
}
/** In lower case, if it is ASCII; '' if not. */
function lowerAscii(text: string): string {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return ''
  return text.toLowerCase()
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
