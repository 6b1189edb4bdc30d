import { SaxesParser, type SaxesTagNS } from 'saxes'
import type { Element } from '../../src/xmpp/element.ts'

interface Mutable {
  name: string
  ns: string
  attrs: Record<string, string>
  children: (Mutable | string)[]
}

/** Stands for any one value: `id='{any}'`, `<body>{any}</body>`. */
const ANY = '{any}'
/** As text of an element: the children written must be there in any order, others may be. */
const AMONG_OTHERS = '{...}'

/** Parses one element written in a test; a missing namespace means `jabber:client`, as inside a client stream. */
export function parse(xml: string): Element {
  const root: Mutable = { name: 'stream', ns: '', attrs: {}, children: [] }
  const path: Mutable[] = [root]
  const parser = new SaxesParser({
    xmlns: true,
    fragment: true,
    additionalNamespaces: { '': 'jabber:client', stream: 'http://etherx.jabber.org/streams' },
  })
  parser.on('error', (e) => {
    throw new Error(`bad xml in test: ${e.message}\n${xml}`)
  })
  parser.on('opentag', (t) => {
    const e: Mutable = { name: t.local, ns: t.uri, attrs: attributesOf(t), children: [] }
    path.at(-1)?.children.push(e)
    path.push(e)
  })
  parser.on('closetag', () => {
    path.pop()
  })
  parser.on('text', (t) => {
    const text = t.trim()
    if (text !== '') path.at(-1)?.children.push(text)
  })
  parser.write(xml.trim()).close()
  const [only] = root.children
  if (root.children.length !== 1 || only === undefined || typeof only === 'string')
    throw new Error(`a test wrote no single element: ${xml}`)
  return only
}

/** Attributes by name, those with a prefix as `{namespace}name`, whatever the prefix; `xml:lang` as it is. */
export function attributesOf(tag: SaxesTagNS): Record<string, string> {
  const attrs: Record<string, string> = {}
  for (const { name, prefix, local, uri, value } of Object.values(tag.attributes))
    if (name !== 'xmlns' && prefix !== 'xmlns')
      attrs[prefix === '' || prefix === 'xml' ? name : `{${uri}}${local}`] = value
  return attrs
}

/** First difference between what a test expects and what came, as a sentence with the path to it; undefined when they match. */
export function difference(expected: Element, actual: Element, at = `<${expected.name}>`): string | undefined {
  if (expected.name !== actual.name) return `${at}: expected <${expected.name}/>, got <${actual.name}/>`
  if (expected.ns !== actual.ns) return `${at}: expected xmlns '${expected.ns}', got '${actual.ns}'`
  for (const [k, v] of Object.entries(expected.attrs)) {
    if (v === ANY ? actual.attrs[k] === undefined : actual.attrs[k] !== v)
      return `${at}: expected ${k}='${v}', got ${actual.attrs[k] === undefined ? 'nothing' : `'${actual.attrs[k]}'`}`
  }
  // A server may add the stream's language to any stanza (RFC 6120 §8.1.5).
  for (const k of Object.keys(actual.attrs))
    if (!(k in expected.attrs) && k !== 'xml:lang') return `${at}: unexpected ${k}='${actual.attrs[k]}'`
  const got = actual.children.filter((c) => (typeof c === 'string' ? c.trim() !== '' : !isUnexpectedId(c, expected)))
  if (expected.children.includes(AMONG_OTHERS)) return missing(expected, got, at)
  if (expected.children.length !== got.length)
    return `${at}: expected ${expected.children.length} children, got ${got.length}`
  for (const [i, c] of expected.children.entries()) {
    const a = got[i]
    if (typeof c === 'string' || typeof a === 'string' || a === undefined) {
      if (typeof a !== 'string') return `${at}: expected text '${String(c)}', got <${a?.name ?? ''}/>`
      if (c !== ANY && c !== a.trim())
        return `${at}: expected ${typeof c === 'string' ? `text '${c}'` : `<${c.name}/>`}, got text '${a}'`
    } else {
      const d = difference(c, a, `${at} › <${c.name}>`)
      if (d !== undefined) return d
    }
  }
  return undefined
}

/**
 * What is archived bears the id that its archive gave it (XEP-0359). Most tests are not about ids: one by whom the test does not
 * mention is passed over. Those that are use `idsBy`.
 */
function isUnexpectedId(c: Element, expected: Element): boolean {
  const by = isStanzaId(c) ? c.attrs.by : undefined
  if (by === undefined) return false
  return !expected.children.some((e) => typeof e !== 'string' && isStanzaId(e) && [by, ANY].includes(e.attrs.by ?? ''))
}
const isStanzaId = ({ name, ns }: Element): boolean => name === 'stanza-id' && ns === 'urn:xmpp:sid:0'

/** The ids that a stanza bears, by whoever is said to have given them (XEP-0359). */
export function idsBy(e: Element, by: string): readonly (string | undefined)[] {
  const ids = e.children.filter((c): c is Element => typeof c !== 'string' && isStanzaId(c) && c.attrs.by === by)
  return ids.map(({ attrs }) => attrs.id)
}

function missing(expected: Element, got: Element['children'], at: string): string | undefined {
  for (const c of expected.children) {
    if (typeof c === 'string') continue
    const candidates = got.filter((g): g is Element => typeof g !== 'string' && g.name === c.name && g.ns === c.ns)
    const differences = candidates.map((g) => difference(c, g, `${at} › <${c.name}>`))
    if (differences.includes(undefined)) continue
    return differences.length === 1 ? differences[0] : `${at}: expected ${write(c)} among its children`
  }
  return undefined
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll("'", '&apos;')

/** The element as text for a transcript or to be sent by a test. Its own, so that no test trusts the code it tests. */
export function write(e: Element, inherited = 'jabber:client'): string {
  const attrs = Object.entries(e.attrs).map(([k, v]) => ` ${k}='${escaped(v)}'`)
  const start = `${e.name}${e.ns === inherited ? '' : ` xmlns='${escaped(e.ns)}'`}${attrs.join('')}`
  if (e.children.length === 0) return `<${start}/>`
  return `<${start}>${e.children.map((c) => (typeof c === 'string' ? escaped(c) : write(c, e.ns))).join('')}</${e.name}>`
}
