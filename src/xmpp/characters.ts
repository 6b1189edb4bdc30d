import { NAME_EXTRA_RANGES, NAME_START_RANGES } from './name-tables.ts'
import { badCharacter, badReference, malformed } from './xml-fault.ts'

/** Bits of `CLASS`: what an octet may be or end. */
export const NAME_START = 1
/** Letters, digits, `-`, `.` and `_`; a colon is none, names are resolved. */
export const NAME = 2
/** Octets character data cannot simply run over. */
export const TEXT_STOP = 4
/** Octets an attribute value cannot simply run over. */
export const VALUE_STOP = 8
export const SPACE = 16

export const TAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const QUOTE = 0x22
const HASH = 0x23
export const AMP = 0x26
export const APOS = 0x27
export const COLON = 0x3a
export const SEMICOLON = 0x3b
export const LT = 0x3c
export const GT = 0x3e
export const BRACKET = 0x5d

export const CLASS: Uint8Array = classes()

function classes(): Uint8Array {
  const table = new Uint8Array(256)
  for (let c = 0; c < 256; c++) {
    const letter = (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a) || c === 0x5f
    const digit = (c >= 0x30 && c <= 0x39) || c === 0x2d || c === 0x2e
    const space = c === 0x20 || c === TAB || c === LF || c === CR
    let bits = 0
    if (letter) bits |= NAME_START | NAME
    if (digit) bits |= NAME
    if (space) bits |= SPACE
    if (c >= 0x80 || c === LT || c === AMP || c === GT || c === CR || (c < 0x20 && !space)) bits |= TEXT_STOP
    if (c >= 0x80 || c === LT || c === AMP || c === QUOTE || c === APOS || c < 0x20) bits |= VALUE_STOP
    table[c] = bits
  }
  return table
}

/** What the skimmer's functions answer instead of a place: here it is not plain, and the state machine has to read it. */
export const NOT_PLAIN = -1

/** Where the quote stands that ends the value going on at `start`; a `>` is rare in one, and may be the last octet there is. */
export function plainValueEnd(buf: Uint8Array, start: number, quote: number): number {
  const classes = CLASS
  let p = start
  for (;;) {
    let c = buf[p] as number
    while (((classes[c] as number) & (VALUE_STOP | TEXT_STOP)) === 0) c = buf[++p] as number
    if (c === quote) return p
    if (c !== QUOTE && c !== APOS) return NOT_PLAIN
    p++
  }
}

/** The first octet from `p` on that has one of the bits; `end` when none has. */
export function runOver(buf: Uint8Array, p: number, end: number, stop: number): number {
  const classes = CLASS
  let at = p
  // Four at a time: most octets are looked at here, and half of the time goes into the branches.
  while (at + 3 < end) {
    const four =
      (classes[buf[at] as number] as number) |
      (classes[buf[at + 1] as number] as number) |
      (classes[buf[at + 2] as number] as number) |
      (classes[buf[at + 3] as number] as number)
    if ((four & stop) !== 0) break
    at += 4
  }
  while (at < end && ((classes[buf[at] as number] as number) & stop) === 0) at++
  return at
}

/**
 * Octets of the UTF-8 sequence at `p`, whose first octet is ≥ 0x80; 0 when `end` cuts it.
 * @throws StreamError when it is none or stands for what is no Char (XML 1.0 §2.2): overlong forms, surrogates, U+FFFE, U+FFFF,
 * beyond U+10FFFF
 */
export function sequenceLength(buf: Uint8Array, p: number, end: number): number {
  const first = buf[p] as number
  if (first < 0xc2 || first > 0xf4) throw badCharacter()
  if (p + 1 >= end) return 0
  const second = buf[p + 1] as number
  if ((second & 0xc0) !== 0x80) throw badCharacter()
  if (first < 0xe0) return 2
  if (first < 0xf0) {
    if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) throw badCharacter()
    if (p + 2 >= end) return 0
    const third = buf[p + 2] as number
    if ((third & 0xc0) !== 0x80 || (first === 0xef && second === 0xbf && third > 0xbd)) throw badCharacter()
    return 3
  }
  if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) throw badCharacter()
  if (p + 2 >= end) return 0
  if (((buf[p + 2] as number) & 0xc0) !== 0x80) throw badCharacter()
  if (p + 3 >= end) return 0
  if (((buf[p + 3] as number) & 0xc0) !== 0x80) throw badCharacter()
  return 4
}

/**
 * Octets of the non-ASCII name character at `p`; 0 when `end` cuts it. Only what the fourth and
 * the fifth edition of XML 1.0 both allow: most parsers in the field know the fourth only, and would end the stream of whoever
 * is sent more.
 * @throws StreamError when it may not stand there
 */
export function nameCharacterLength(buf: Uint8Array, p: number, end: number, first: boolean): number {
  const length = sequenceLength(buf, p, end)
  if (length === 0) return 0
  if (length === 4) throw badCharacter()
  const a = buf[p] as number
  const b = (buf[p + 1] as number) & 0x3f
  const code = length === 2 ? ((a & 0x1f) << 6) | b : ((a & 0x0f) << 12) | (b << 6) | ((buf[p + 2] as number) & 0x3f)
  if (!within(NAME_START_RANGES, code) && (first || !within(NAME_EXTRA_RANGES, code))) throw badCharacter()
  return length
}

/**
 * Checks what a name of right characters may still lack: that it is not empty, and how it and its local part begin.
 * @throws StreamError
 */
export function checkName(buf: Uint8Array, start: number, colon: number, end: number): void {
  const first = buf[start] as number
  if (start === end || (first < 0x80 && ((CLASS[first] as number) & NAME_START) === 0)) throw malformed()
  if (colon < 0) return
  const local = buf[colon + 1] as number
  if (colon + 1 === end || (local < 0x80 && ((CLASS[local] as number) & NAME_START) === 0)) throw malformed()
}

/** Whether `code` lies in one of the ranges, given as first, last, first, last … in rising order. */
export function within(ranges: Uint16Array | Uint32Array, code: number): boolean {
  let low = 0
  let high = ranges.length >> 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (code > (ranges[2 * middle + 1] as number)) low = middle + 1
    else high = middle
  }
  return 2 * low < ranges.length && code >= (ranges[2 * low] as number)
}

/** Longer references are refused, however many zeros a number may begin with. */
export const MAX_REFERENCE = 16

/**
 * Octets of the reference at `p`, which is a `&`; 0 when `end` cuts it.
 * @throws StreamError when it is none of the five predefined entities and no reference to a Char
 */
export function referenceLength(buf: Buffer, p: number, end: number): number {
  const last = Math.min(end, p + MAX_REFERENCE)
  for (let i = p + 1; i < last; i++) {
    const c = buf[i] as number
    if (c === SEMICOLON) {
      if (referenced(buf.toString('latin1', p + 1, i)) === undefined) throw badReference()
      return i + 1 - p
    }
    if (c !== HASH && (c >= 0x80 || ((CLASS[c] as number) & NAME) === 0)) throw badReference()
  }
  if (last === p + MAX_REFERENCE) throw badReference()
  return 0
}

const HEXADECIMAL = /^#x[0-9a-fA-F]{1,13}$/
const DECIMAL = /^#[0-9]{1,14}$/

/** What stands for `&name;`; undefined for an entity that is not predefined, and for what is no Char. */
export function referenced(name: string): string | undefined {
  switch (name) {
    case 'amp':
      return '&'
    case 'lt':
      return '<'
    case 'gt':
      return '>'
    case 'apos':
      return "'"
    case 'quot':
      return '"'
  }
  let code: number
  if (HEXADECIMAL.test(name)) code = Number.parseInt(name.slice(2), 16)
  else if (DECIMAL.test(name)) code = Number.parseInt(name.slice(1), 10)
  else return undefined
  return isChar(code) ? String.fromCodePoint(code) : undefined
}

/** XML 1.0 §2.2. */
function isChar(code: number): boolean {
  if (code < 0x20) return code === TAB || code === LF || code === CR
  return code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff)
}

const IN_VALUE = /&([^;]*);|\r\n|[\t\n\r]/g
const IN_TEXT = /&([^;]*);|\r\n?/g

/** An attribute's value from octets that were checked (XML 1.0 §3.3.3): references replaced, literal white space made spaces. */
export function decodeValue(buf: Buffer, start: number, end: number): string {
  return buf
    .toString('utf8', start, end)
    .replace(IN_VALUE, (_, name: string | undefined) => (name === undefined ? ' ' : (referenced(name) as string)))
}
/** Character data from octets that were checked: references replaced, line ends made line feeds (XML 1.0 §2.11). */
export function decodeText(buf: Buffer, start: number, end: number): string {
  return buf
    .toString('utf8', start, end)
    .replace(IN_TEXT, (_, name: string | undefined) => (name === undefined ? '\n' : (referenced(name) as string)))
}
