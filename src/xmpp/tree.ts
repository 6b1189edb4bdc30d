import { CLASS, COLON, decodeText, decodeValue, GT, LT, SPACE, TEXT_STOP, VALUE_STOP } from './characters.ts'
import { type Attributes, type Element, newElement, noAttributes } from './element.ts'
import { attributeName, knownNamespace, localName } from './interned.ts'
import type { RootScope } from './namespaces.ts'

/** A prefix in scope, innermost first. */
interface Scope {
  readonly prefix: string
  readonly uri: string
  readonly outer: Scope | undefined
}
interface Open {
  readonly name: string
  readonly ns: string
  readonly attrs: Attributes
  readonly children: (Element | string)[]
  readonly defaultNs: string
  readonly scope: Scope | undefined
}
const SLASH = 0x2f
const EQUALS = 0x3d
const BANG = 0x21
const CDATA_OPENING = '<![CDATA['
const CDATA_CLOSING = ']]>'

/** The tree of a complete element the scanner has checked; nothing is checked again. */
export function readTree(buf: Buffer, start: number, root: RootScope): Element {
  return new TreeReader(buf, root).read(start)
}

/** The value of an attribute without prefix of the start tag at `start`, which the scanner has checked; without a tree. */
export function readAttribute(buf: Buffer, start: number, wanted: string): string | undefined {
  let p = start + 1
  while (!endsName(buf[p])) p++
  for (;;) {
    while (isSpace(buf[p])) p++
    if (buf[p] === GT || buf[p] === SLASH) return undefined
    const name = p
    while (!endsName(buf[p])) p++
    const isWanted = p - name === wanted.length && isAscii(buf, name, wanted)
    while (buf[p] === EQUALS || isSpace(buf[p])) p++
    const quote = buf[p]
    const value = ++p
    while (buf[p] !== quote) p++
    if (isWanted) return decodeValue(buf, value, p)
    p++
  }
}
function isAscii(buf: Buffer, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (buf[start + i] !== text.charCodeAt(i)) return false
  return true
}

class TreeReader {
  readonly #buf: Buffer
  readonly #root: RootScope
  readonly #open: Open[] = []
  /** Set by `#startTag`: whether it was an empty-element tag. */
  #empty = false
  #p = 0

  constructor(buf: Buffer, root: RootScope) {
    this.#buf = buf
    this.#root = root
  }

  read(start: number): Element {
    this.#p = start
    const buf = this.#buf
    for (;;) {
      const p = this.#p
      const inner = this.#open.at(-1)
      if (inner !== undefined) {
        let lt = p
        let bits = 0
        for (let c = buf[lt]; c !== LT; c = buf[++lt]) bits |= CLASS[c as number] as number
        if (lt > p) {
          addText(inner.children, (bits & TEXT_STOP) === 0 ? buf.toString('latin1', p, lt) : decodeText(buf, p, lt))
        }
        this.#p = lt
      }
      const next = buf[this.#p + 1]
      if (next === SLASH) {
        this.#p = buf.indexOf(GT, this.#p) + 1
        const done = this.#close()
        if (done !== undefined) return done
      } else if (next === BANG && inner !== undefined) {
        const from = this.#p + CDATA_OPENING.length
        const to = buf.indexOf(CDATA_CLOSING, from)
        addText(inner.children, buf.toString('utf8', from, to).replace(/\r\n?/g, '\n'))
        this.#p = to + CDATA_CLOSING.length
      } else {
        this.#open.push(this.#startTag())
        if (!this.#empty) continue
        const done = this.#close()
        if (done !== undefined) return done
      }
    }
  }
  #close(): Element | undefined {
    const { name, ns, attrs, children } = this.#open.pop() as Open
    const element = newElement(name, ns, attrs, children)
    const outer = this.#open.at(-1)
    if (outer === undefined) return element
    outer.children.push(element)
    return undefined
  }

  #startTag(): Open {
    const buf = this.#buf
    const outer = this.#open.at(-1)
    let scope = outer?.scope
    let defaultNs = outer?.defaultNs ?? this.#root.defaultNs
    let attrs: Record<string, string> | undefined
    let foreign: string[] | undefined
    const start = this.#p + 1
    let colon = -1
    let p = start
    for (let c = buf[p]; !endsName(c); c = buf[++p]) if (c === COLON) colon = p
    const end = p
    for (;;) {
      while (isSpace(buf[p])) p++
      const c = buf[p]
      if (c === GT || c === SLASH) break
      const nameStart = p
      let nameColon = -1
      for (let n = buf[p]; !endsName(n); n = buf[++p]) if (n === COLON && nameColon < 0) nameColon = p
      const nameEnd = p
      while (buf[p] === EQUALS || isSpace(buf[p])) p++
      const quote = buf[p]
      const valueStart = ++p
      let bits = 0
      for (let v = buf[p]; v !== quote; v = buf[++p]) bits |= CLASS[v as number] as number
      const valueEnd = p++
      const name = attributeName(buf, nameStart, nameEnd)
      if (name === 'xmlns') defaultNs = namespace(buf, valueStart, valueEnd)
      else if (name.startsWith('xmlns:'))
        scope = { prefix: name.slice(6), uri: namespace(buf, valueStart, valueEnd), outer: scope }
      else {
        const value =
          (bits & VALUE_STOP) === 0
            ? buf.toString('latin1', valueStart, valueEnd)
            : decodeValue(buf, valueStart, valueEnd)
        attrs ??= Object.create(null) as Record<string, string>
        if (nameColon < 0 || name.startsWith('xml:')) attrs[name] = value
        else {
          // What the prefix means may be said further on in the same tag.
          foreign ??= []
          foreign.push(name, value)
        }
      }
    }
    this.#empty = buf[p] === SLASH
    this.#p = this.#empty ? p + 2 : p + 1
    if (foreign !== undefined && attrs !== undefined) {
      for (let i = 0; i < foreign.length; i += 2) {
        const [prefix, local] = (foreign[i] as string).split(':') as [string, string]
        attrs[`{${this.#uri(prefix, scope)}}${local}`] = foreign[i + 1] as string
      }
    }
    const ns = colon < 0 ? defaultNs : this.#uri(buf.toString('utf8', start, colon), scope)
    const name = localName(buf, colon < 0 ? start : colon + 1, end)
    return { name, ns, attrs: attrs ?? noAttributes, children: [], defaultNs, scope }
  }
  #uri(prefix: string, scope: Scope | undefined): string {
    for (let s = scope; s !== undefined; s = s.outer) if (s.prefix === prefix) return s.uri
    return this.#root.prefixes.get(prefix) ?? 'http://www.w3.org/XML/1998/namespace'
  }
}

function namespace(buf: Buffer, start: number, end: number): string {
  return knownNamespace(buf, start, end) ?? decodeValue(buf, start, end)
}
function isSpace(c: number | undefined): boolean {
  return c !== undefined && ((CLASS[c] as number) & SPACE) !== 0
}
function endsName(c: number | undefined): boolean {
  return c === undefined || c === GT || c === SLASH || c === EQUALS || ((CLASS[c] as number) & SPACE) !== 0
}
/** Text and CDATA sections beside each other are one text. */
function addText(children: (Element | string)[], text: string): void {
  const last = children.length - 1
  const before = children[last]
  if (typeof before === 'string') children[last] = before + text
  else if (text !== '') children.push(text)
}
