import { ESCAPED_IN_VALUE, escapeAttribute } from './serialize.ts'

/** What is written of a stanza. */
interface Written {
  readonly kind: string
  /** None is written for '' and `normal`. */
  readonly type: string
  readonly id: string | undefined
  readonly from: string
  readonly to: string | undefined
  readonly lang: string | undefined
  /** Canonical XML. */
  readonly content: Buffer
}
// In the order in which they are written.
const TO = " to='"
const FROM = " from='"
const ID = " id='"
const TYPE = " type='"
const LANG = " xml:lang='"
const NOT_PLAIN = -1

/** The stanza as XML for a stream whose default namespace is its own. */
export function stanzaBytes(stanza: Written): Buffer {
  return plainBytes(stanza) ?? anyBytes(stanza)
}

/**
 * Undefined when an attribute needs escaping or is not ASCII. Nearly none does, and then one loop over the characters takes a
 * third of the time of building a string to encode, most of which goes into calls out of JavaScript.
 */
function plainBytes(stanza: Written): Buffer | undefined {
  const { kind, id, from, to, lang, content } = stanza
  const type = typeWritten(stanza)
  const tags = content.length === 0 ? kind.length + 3 : 2 * kind.length + 5
  const attributes = room(TO, to) + room(FROM, from) + room(ID, id) + room(TYPE, type) + room(LANG, lang)
  const length = tags + attributes + content.length
  // A message is acknowledged soon. A presence may wait for hours in an idle session, and as a slice of Node's pool it would keep
  // 64 KiB alive.
  const bytes = kind === 'message' ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)
  let at = put(bytes, put(bytes, 0, '<'), kind)
  at = putAttribute(bytes, at, TO, to)
  at = putAttribute(bytes, at, FROM, from)
  at = putAttribute(bytes, at, ID, id)
  at = putAttribute(bytes, at, TYPE, type)
  at = putAttribute(bytes, at, LANG, lang)
  if (at === NOT_PLAIN) return undefined
  if (content.length === 0) {
    put(bytes, at, '/>')
    return bytes
  }
  at = put(bytes, at, '>')
  bytes.set(content, at)
  put(bytes, put(bytes, put(bytes, at + content.length, '</'), kind), '>')
  return bytes
}
/** What `stanzaBytes` gave of a stanza, with more content at the end; undefined where that is not to be had by copying once. */
export function insertedAtEnd(
  bytes: Buffer,
  { kind, content }: Written,
  added: Buffer,
): { readonly bytes: Buffer; readonly content: Buffer } | undefined {
  if (kind !== 'message' || content.length === 0) return undefined
  const end = bytes.length - kind.length - 3
  const all = Buffer.allocUnsafe(bytes.length + added.length)
  bytes.copy(all, 0, 0, end)
  added.copy(all, end)
  bytes.copy(all, end + added.length, end)
  return { bytes: all, content: all.subarray(end - content.length, end + added.length) }
}
const room = (name: string, value: string | undefined): number =>
  value === undefined ? 0 : name.length + value.length + 1

/** Writes ASCII; where it ends. */
function put(bytes: Buffer, start: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[start + i] = text.charCodeAt(i)
  return start + text.length
}
function putAttribute(bytes: Buffer, start: number, name: string, value: string | undefined): number {
  if (value === undefined || start === NOT_PLAIN) return start
  const at = put(bytes, start, name)
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i)
    if (c >= 0x80 || ESCAPED_IN_VALUE[c] !== 0) return NOT_PLAIN
    bytes[at + i] = c
  }
  return put(bytes, at + value.length, "'")
}

function anyBytes(stanza: Written): Buffer {
  const { kind, id, from, to, lang, content } = stanza
  const head =
    `<${kind}${attribute(TO, to)}${attribute(FROM, from)}${attribute(ID, id)}` +
    `${attribute(TYPE, typeWritten(stanza))}${attribute(LANG, lang)}`
  if (content.length === 0) return Buffer.from(`${head}/>`)
  return Buffer.concat([Buffer.from(`${head}>`), content, Buffer.from(`</${kind}>`)])
}
const attribute = (name: string, value: string | undefined): string =>
  value === undefined ? '' : `${name}${escapeAttribute(value)}'`
const typeWritten = ({ type }: Written): string | undefined => (type === '' || type === 'normal' ? undefined : type)
