import { within } from './characters.ts'
import * as tables from './precis-tables.ts'

const WIDTH: ReadonlyMap<number, number> = widthMap()
function widthMap(): Map<number, number> {
  const map = new Map<number, number>()
  const ranges = tables.WIDE_OR_NARROW
  for (let i = 0; i < ranges.length; i += 2) {
    for (let code = ranges[i] as number; code <= (ranges[i + 1] as number); code++) {
      map.set(code, tables.WIDTH_MAPPED[map.size] as number)
    }
  }
  return map
}

/** UsernameCaseMapped (RFC 8265 §3.3); undefined when the text is none. The caller bounds its length. */
export function usernameCaseMapped(text: string): string | undefined {
  const wide = mapped(text, (code) => WIDTH.get(code) ?? code)
  if (!isIdentifier(wide)) return undefined
  const out = wide.toLowerCase().normalize('NFC')
  return isIdentifier(out) && satisfiesBidiRule(out) ? out : undefined
}
/** OpaqueString (RFC 8265 §4.2); undefined when the text is none. The caller bounds its length. */
export function opaqueString(text: string): string | undefined {
  if (!isFreeform(text)) return undefined
  const out = mapped(text, (code) => (within(tables.SPACES, code) ? 0x20 : code)).normalize('NFC')
  return out !== '' && isFreeform(out) ? out : undefined
}
/** Text as it is compared in U-labels: narrow, lower case, composed (RFC 5895 §2). */
export function foldedLabel(text: string): string {
  return mapped(text, (code) => WIDTH.get(code) ?? code)
    .toLowerCase()
    .normalize('NFC')
}

function mapped(text: string, map: (code: number) => number): string {
  let out = ''
  for (const c of text) out += String.fromCodePoint(map(c.codePointAt(0) as number))
  return out
}
/** Whether the text consists of what the IdentifierClass allows (RFC 8264 §4.2), in its context, and is not empty. */
export function isIdentifier(text: string): boolean {
  if (text === '') return false
  let beyond = false
  for (const c of text) {
    const code = c.codePointAt(0) as number
    if (code >= 0x80) {
      beyond = true
      if (!within(tables.VALID, code) && !isContextual(code)) return false
    } else if (code <= 0x20 || code === 0x7f) return false
  }
  return !beyond || keepsContext(text)
}
function isFreeform(text: string): boolean {
  let beyond = false
  for (const c of text) {
    const code = c.codePointAt(0) as number
    if (code >= 0x80) {
      beyond = true
      if (!within(tables.VALID, code) && !within(tables.FREEFORM, code) && !isContextual(code)) return false
    } else if (code < 0x20 || code === 0x7f) return false
  }
  return !beyond || keepsContext(text)
}

const ZWNJ = 0x200c
const ZWJ = 0x200d
const MIDDLE_DOT = 0xb7
const KERAIA = 0x375
const GERESH = 0x5f3
const GERSHAYIM = 0x5f4
const KATAKANA_MIDDLE_DOT = 0x30fb
const isArabicIndic = (code: number): boolean => code >= 0x660 && code <= 0x669
const isExtendedArabicIndic = (code: number): boolean => code >= 0x6f0 && code <= 0x6f9

/** CONTEXTJ or CONTEXTO. */
function isContextual(code: number): boolean {
  switch (code) {
    case ZWNJ:
    case ZWJ:
    case MIDDLE_DOT:
    case KERAIA:
    case GERESH:
    case GERSHAYIM:
    case KATAKANA_MIDDLE_DOT:
      return true
  }
  return isArabicIndic(code) || isExtendedArabicIndic(code)
}
/** The rules of RFC 5892 Appendix A. */
function keepsContext(text: string): boolean {
  const codes = Array.from(text, (c) => c.codePointAt(0) as number)
  let kana: boolean | undefined
  let arabicIndic = false
  let extended = false
  for (const [i, code] of codes.entries()) {
    const before = codes[i - 1] ?? 0
    const after = codes[i + 1] ?? 0
    switch (code) {
      case ZWNJ:
        if (!within(tables.VIRAMA, before) && !joinsAcross(codes, i)) return false
        break
      case ZWJ:
        if (!within(tables.VIRAMA, before)) return false
        break
      case MIDDLE_DOT:
        if (before !== 0x6c || after !== 0x6c) return false
        break
      case KERAIA:
        if (!within(tables.GREEK, after)) return false
        break
      case GERESH:
      case GERSHAYIM:
        if (!within(tables.HEBREW, before)) return false
        break
      case KATAKANA_MIDDLE_DOT:
        kana ??= codes.some((c) => within(tables.KANA_OR_HAN, c))
        if (!kana) return false
        break
      default:
        arabicIndic ||= isArabicIndic(code)
        extended ||= isExtendedArabicIndic(code)
    }
  }
  return !(arabicIndic && extended)
}
/** RFC 5892 Appendix A.1: (L|D) T* ZWNJ T* (R|D). */
function joinsAcross(codes: readonly number[], at: number): boolean {
  let left = at - 1
  while (left >= 0 && within(tables.TRANSPARENT, codes[left] as number)) left--
  let right = at + 1
  while (right < codes.length && within(tables.TRANSPARENT, codes[right] as number)) right++
  return within(tables.JOINS_LEFT, codes[left] ?? 0) && within(tables.JOINS_RIGHT, codes[right] ?? 0)
}

type BidiClass = 'L' | 'R' | 'AN' | 'EN' | 'NSM' | 'neutral'
function bidiClass(code: number): BidiClass {
  if (code < 0x80) {
    if (code >= 0x30 && code <= 0x39) return 'EN'
    return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ? 'L' : 'neutral'
  }
  if (within(tables.RIGHT_TO_LEFT, code)) return 'R'
  if (within(tables.NONSPACING, code)) return 'NSM'
  if (within(tables.ARABIC_NUMBER, code)) return 'AN'
  if (within(tables.EUROPEAN_NUMBER, code)) return 'EN'
  return within(tables.NEUTRAL, code) ? 'neutral' : 'L'
}
/** RFC 5893 §2; only texts with right-to-left characters are asked for it (RFC 8265 §3.3.2). */
function satisfiesBidiRule(text: string): boolean {
  const classes = Array.from(text, (c) => bidiClass(c.codePointAt(0) as number))
  if (!classes.includes('R') && !classes.includes('AN')) return true
  const last = classes.findLast((c) => c !== 'NSM')
  const first = classes[0]
  if (first === 'R') {
    if (classes.includes('L') || (classes.includes('EN') && classes.includes('AN'))) return false
    return last === 'R' || last === 'EN' || last === 'AN'
  }
  // A text that begins left to right may hold neither R, AL nor AN, and this one does.
  return false
}
