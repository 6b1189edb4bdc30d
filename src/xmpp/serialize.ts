import type { Element } from './element.ts'
import { NS_XML } from './namespaces.ts'

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}
// What is no Char (XML 1.0 §2.2) cannot be written at all.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones XML does not have
const IN_TEXT = /[&<>\r\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones XML does not have
const IN_VALUE = /[&<>'"\0-\x1f\ufffe\uffff]/g

const escaped = (c: string): string => ESCAPES[c] ?? '\ufffd'

/** By character: whether an attribute's value has it escaped. */
export const ESCAPED_IN_VALUE: Uint8Array = Uint8Array.from({ length: 0x80 }, (_, c) =>
  c < 0x20 || Object.hasOwn(ESCAPES, String.fromCharCode(c)) ? 1 : 0,
)

/** Character data as it stands in XML; characters XML does not have become U+FFFD. */
export function escapeText(text: string): string {
  return text.replace(IN_TEXT, escaped)
}
/** An attribute's value as it stands between either kind of quotes; white space but the space as references. */
export function escapeAttribute(text: string): string {
  // Hardly a value needs it, and to see so takes half the time of a replacement that finds nothing.
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c < 0x80 ? ESCAPED_IN_VALUE[c] !== 0 : c >= 0xfffe) return text.replace(IN_VALUE, escaped)
  }
  return text
}

/** The element as canonical XML; `xmlns` is written only where it differs from `inherited`. */
export function serialize(element: Element, inherited: string): string {
  const { attrs, children } = element
  const isXml = element.ns === NS_XML
  const name = isXml ? `xml:${element.name}` : element.name
  const ns = isXml ? inherited : element.ns
  let out = `<${name}`
  if (ns !== inherited) out += ` xmlns='${escapeAttribute(ns)}'`
  let prefixes: Map<string, string> | undefined
  for (const key in attrs) {
    const value = escapeAttribute(attrs[key] as string)
    if (key.charCodeAt(0) !== 0x7b) {
      out += ` ${key}='${value}'`
      continue
    }
    const close = key.lastIndexOf('}')
    const uri = key.slice(1, close)
    prefixes ??= new Map()
    let prefix = prefixes.get(uri)
    if (prefix === undefined) {
      prefix = `n${prefixes.size}`
      prefixes.set(uri, prefix)
      out += ` xmlns:${prefix}='${escapeAttribute(uri)}'`
    }
    out += ` ${prefix}:${key.slice(close + 1)}='${value}'`
  }
  if (children.length === 0) return `${out}/>`
  out += '>'
  for (const c of children) out += typeof c === 'string' ? escapeText(c) : serialize(c, ns)
  return `${out}</${name}>`
}
