import { isIPv4, isIPv6 } from 'node:net'
import { toASCII, toUnicode } from 'tr46'
import { foldedLabel, isIdentifier } from './precis.ts'

const STRICT = {
  checkBidi: true,
  checkHyphens: true,
  checkJoiners: true,
  ignoreInvalidPunycode: false,
  transitionalProcessing: false,
  // tr46 5.1 refuses every ASCII character when asked for these; they are checked here.
  useSTD3ASCIIRules: false,
} as const
/** Octets a domainpart may have (RFC 7622 §3.2). */
const MAX_DOMAINPART = 1023
/** UTF-16 units a name may have whose A-labels come to 253 octets: none gets shorter than its code points. */
const MAX_UNITS = 2 * 254

/**
 * The domainpart in the form that is compared: lower case, U-labels, no dot at the end, IPv6 literals shortened (RFC 7622 §3.2).
 * Undefined when it is none. Mapping goes no further than width, case and composition (RFC 5895): what UTS 46 would drop or
 * replace beyond that is refused.
 */
export function prepareDomainpart(text: string): string | undefined {
  if (text.length > MAX_UNITS) return undefined
  if (text.startsWith('[')) return ipv6Literal(text)
  const name = foldedLabel(text.endsWith('.') ? text.slice(0, -1) : text)
  if (/^[0-9.]*$/.test(name)) return isIPv4(name) ? name : undefined
  const { domain, error } = toUnicode(name, STRICT)
  if (error || toASCII(domain, { ...STRICT, verifyDNSLength: true }) === null) return undefined
  const given = name.split('.')
  const labels = domain.split('.')
  if (given.length !== labels.length) return undefined
  for (const [i, label] of labels.entries()) {
    const before = given[i] as string
    if (!isIdentifier(label) || hasForbiddenAscii(label) || (label !== before && !before.startsWith('xn--')))
      return undefined
  }
  return Buffer.byteLength(domain) > MAX_DOMAINPART ? undefined : domain
}

/** ASCII in a label is letters, digits and hyphens (RFC 5890 §2.3.1). */
function hasForbiddenAscii(label: string): boolean {
  for (let i = 0; i < label.length; i++) {
    const c = label.charCodeAt(i)
    if (c < 0x80 && !((c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39) || c === 0x2d)) return true
  }
  return false
}

/** The domainpart as DNS and TLS know it: A-labels, literals without brackets. */
export function asciiDomain(domain: string): string {
  if (domain.startsWith('[')) return domain.slice(1, -1)
  return toASCII(domain, STRICT) ?? domain
}

function ipv6Literal(text: string): string | undefined {
  if (!text.endsWith(']') || text.includes('%') || !isIPv6(text.slice(1, -1))) return undefined
  return new URL(`http://${text}/`).hostname
}
