import { type Attributes, FROM, ID, LANG, OTHER, PREFIXED, SAME_KIND, TO, TYPE, XMLNS } from './attributes.ts'
import { equals, knownType, localName, qualifiedName } from './interned.ts'
import { isXml, isXmlns, Namespaces, NS_XML, type RootScope, readNamespace } from './namespaces.ts'
import type { QName, TokenizerLimits } from './tokenizer.ts'
import { badPrefix, repeated, tooMuch } from './xml-fault.ts'

const NO_ROOT: RootScope = { defaultNs: '', prefixes: new Map() }

/** What the start tags of one top-level element (or of the root) say, gathered as each is complete. */
export class Opening {
  name = ''
  ns = ''
  to: string | undefined
  from: string | undefined
  id: string | undefined
  type: string | undefined
  lang: string | undefined
  hasOtherAttributes = false
  children: readonly QName[] = []
  /** False once the content is known not to mean the same to every parser, wherever it stands. */
  canonical = true
  /** What the root declared. */
  root: RootScope = NO_ROOT
  /** The attributes of the root. */
  rootAttrs: Readonly<Record<string, string>> = {}

  readonly #attributes: Attributes
  #children: QName[] = []
  readonly #doubledCommandNs: boolean
  readonly #namespaces = new Namespaces()
  /** Declarations in scope before the content begins: content that uses one of those is not canonical. */
  #outer = 0
  /** The default namespace where the content begins. */
  #contentNs = ''
  // Whoever sends again mostly says the same again: the same string then, and none made.
  #lastTo = ''
  #lastFrom = ''
  #lastLang = ''
  #elements = 0
  #declared = 0
  #nameStart = 0
  #nameColon = -1
  #nameEnd = 0

  constructor(attributes: Attributes, doubledCommandNs: boolean) {
    this.#attributes = attributes
    this.#doubledCommandNs = doubledCommandNs
  }
  restart(): void {
    this.root = NO_ROOT
    this.#namespaces.clear()
  }
  named(start: number, colon: number, end: number): void {
    this.#nameStart = start
    this.#nameColon = colon
    this.#nameEnd = end
  }
  /**
   * Takes in a complete start tag: depth -1 is the root, 0 a top-level element, 1 its children.
   * @throws StreamError
   */
  open(buf: Buffer, unit: number, depth: number, limits: TokenizerLimits): void {
    if (depth > 1) {
      if (++this.#elements > limits.maxElements) throw tooMuch('too many elements')
      if (this.#attributes.count > 0) this.#read(buf, unit, depth, limits)
      if (this.#nameColon >= 0) this.#namespaceOf(buf, unit, '', depth)
    } else if (depth === 1) {
      if (++this.#elements > limits.maxElements) throw tooMuch('too many elements')
      const declared = this.#attributes.count > 0 ? this.#read(buf, unit, depth, limits) : undefined
      const ns = this.#namespaceOf(buf, unit, declared ?? this.#contentNs, depth)
      const local = this.#nameColon < 0 ? this.#nameStart : this.#nameColon + 1
      this.#children.push(qualifiedName(buf, unit + local, unit + this.#nameEnd, ns))
    } else this.#openTop(buf, unit, depth, limits)
  }
  /** Goes on after plain start tags that were taken in elsewhere. */
  resume(contentNs: string, elements: number, declared: number, children: QName[]): void {
    this.#contentNs = contentNs
    this.#outer = this.#namespaces.count
    this.#elements = elements
    this.#declared = declared
    this.children = this.#children = children
    this.canonical = true
  }
  /** Takes in an end tag. */
  close(depth: number): void {
    if (this.#namespaces.count > 0) this.#namespaces.leave(depth)
  }

  #openTop(buf: Buffer, unit: number, depth: number, limits: TokenizerLimits): void {
    this.to = this.from = this.id = this.type = this.lang = undefined
    this.hasOtherAttributes = false
    this.children = this.#children = []
    this.#elements = 1
    this.#declared = 0
    const declared = this.#attributes.count > 0 ? this.#read(buf, unit, depth, limits) : undefined
    const contentNs = declared ?? this.root.defaultNs
    const local = this.#nameColon < 0 ? this.#nameStart : this.#nameColon + 1
    this.ns = this.#namespaceOf(buf, unit, contentNs, depth)
    this.name = localName(buf, unit + local, unit + this.#nameEnd)
    this.#contentNs = contentNs
    this.#outer = this.#namespaces.count
    // What came before is the start tag, which is written anew anyway.
    this.canonical = contentNs === this.ns
    if (depth < 0) {
      this.root = { defaultNs: contentNs, prefixes: this.#namespaces.entries() }
      this.rootAttrs = this.#all(buf, unit)
    } else this.#readRouting(buf, unit)
  }

  /** Checks the attributes and binds what they declare; the default namespace declared, undefined when none is. */
  #read(buf: Buffer, unit: number, depth: number, limits: TokenizerLimits): string | undefined {
    const attributes = this.#attributes
    if ((attributes.kinds & SAME_KIND) !== 0) this.#refuseRepeated(buf, unit, depth)
    const declared =
      (attributes.kinds & XMLNS) === 0 ? undefined : this.#declaration(buf, unit, attributes.xmlns, limits)
    if ((attributes.kinds & PREFIXED) !== 0) this.#readPrefixed(buf, unit, depth, limits)
    return declared
  }
  #readPrefixed(buf: Buffer, unit: number, depth: number, limits: TokenizerLimits): void {
    const attributes = this.#attributes
    let prefixed = 0
    for (let i = 0; i < attributes.count; i++) {
      const start = unit + attributes.start(i)
      const colon = unit + attributes.colon(i)
      if (colon < unit) continue
      if (isXmlns(buf, start, colon)) this.#bind(buf, unit, i, depth, limits)
      else if (!isXml(buf, start, colon)) prefixed++
    }
    if (prefixed > 0) this.#resolveAttributes(buf, unit, depth)
  }
  #refuseRepeated(buf: Buffer, unit: number, depth: number): void {
    const attributes = this.#attributes
    const second = attributes.repeated(buf, unit)
    if (second < 0) return // Two other names, not one twice.
    // COMPAT(Kontalk desktop 4.5): its server list command says `xmlns` twice.
    if (this.#doubledCommandNs && depth === 1 && this.name === 'iq' && this.#isCommand(buf, unit)) {
      for (let i = 0; i < second; i++) {
        if (
          isXmlns(buf, unit + attributes.start(i), unit + attributes.end(i)) &&
          sameValue(attributes, buf, unit, i, second)
        ) {
          attributes.remove(second)
          this.canonical = false
          this.#refuseRepeated(buf, unit, -1)
          return
        }
      }
    }
    throw repeated()
  }
  #isCommand(buf: Buffer, unit: number): boolean {
    return equals('command', buf, unit + this.#nameStart, unit + this.#nameEnd)
  }
  #declaration(buf: Buffer, unit: number, i: number, limits: TokenizerLimits): string {
    if (++this.#declared > limits.maxNamespaces) throw tooMuch('too many namespace declarations')
    const attributes = this.#attributes
    return readNamespace(buf, unit + attributes.valueStart(i), unit + attributes.valueEnd(i))
  }
  #bind(buf: Buffer, unit: number, i: number, depth: number, limits: TokenizerLimits): void {
    const attributes = this.#attributes
    const start = unit + attributes.colon(i) + 1
    const end = unit + attributes.end(i)
    if (isXml(buf, start, end) && attributes.value(buf, unit, i) === NS_XML) {
      this.canonical = false
      return
    }
    if (isXml(buf, start, end) || isXmlns(buf, start, end)) throw badPrefix('reserved prefix declared')
    const uri = this.#declaration(buf, unit, i, limits)
    if (uri === '') throw badPrefix('a prefix cannot be undeclared')
    this.#namespaces.bind(buf.toString('utf8', start, end), uri, depth)
  }
  #namespaceOf(buf: Buffer, unit: number, defaultNs: string, depth: number): string {
    if (this.#nameColon < 0) return defaultNs
    return this.#resolve(buf, unit + this.#nameStart, unit + this.#nameColon, depth)
  }
  #resolve(buf: Buffer, start: number, end: number, depth: number): string {
    if (isXml(buf, start, end)) return NS_XML
    const place = this.#namespaces.find(buf, start, end)
    if (place < 0) throw badPrefix('undeclared prefix')
    if (depth > 0 && place < this.#outer) this.canonical = false
    return this.#namespaces.uri(place)
  }
  /** No attribute may be there twice by namespace and local name either (Namespaces in XML 1.0 §6.3). */
  #resolveAttributes(buf: Buffer, unit: number, depth: number): void {
    const attributes = this.#attributes
    const names = new Set<string>()
    let count = 0
    for (let i = 0; i < attributes.count; i++) {
      const start = unit + attributes.start(i)
      const colon = attributes.colon(i)
      if (colon < 0 || isXmlns(buf, start, unit + colon)) continue
      const ns = this.#resolve(buf, start, unit + colon, depth)
      names.add(`${ns} ${buf.toString('utf8', unit + colon + 1, unit + attributes.end(i))}`)
      if (names.size !== ++count) throw repeated()
    }
  }

  /** Reads what a router needs off a top-level element's start tag. */
  #readRouting(buf: Buffer, unit: number): void {
    const attributes = this.#attributes
    const kinds = attributes.kinds
    if ((kinds & TO) !== 0) {
      const i = attributes.to
      this.to = attributes.is(this.#lastTo, buf, unit, i) ? this.#lastTo : attributes.value(buf, unit, i)
      this.#lastTo = this.to
    }
    if ((kinds & FROM) !== 0) {
      const i = attributes.from
      this.from = attributes.is(this.#lastFrom, buf, unit, i) ? this.#lastFrom : attributes.value(buf, unit, i)
      this.#lastFrom = this.from
    }
    if ((kinds & LANG) !== 0) {
      const i = attributes.lang
      this.lang = attributes.is(this.#lastLang, buf, unit, i) ? this.#lastLang : attributes.value(buf, unit, i)
      this.#lastLang = this.lang
    }
    if ((kinds & ID) !== 0) this.id = attributes.value(buf, unit, attributes.id)
    if ((kinds & TYPE) !== 0) {
      const i = attributes.type
      const known = knownType(buf, unit + attributes.valueStart(i), unit + attributes.valueEnd(i))
      this.type = known ?? attributes.value(buf, unit, i)
    }
    this.hasOtherAttributes =
      (kinds & (OTHER | PREFIXED)) !== 0 || ((kinds & XMLNS) !== 0 && this.#contentNs !== this.root.defaultNs)
  }
  /** The un-namespaced attributes and `xml:lang`. */
  #all(buf: Buffer, unit: number): Readonly<Record<string, string>> {
    const attrs: Record<string, string> = Object.create(null)
    const attributes = this.#attributes
    for (let i = 0; i < attributes.count; i++) {
      const name = buf.toString('utf8', unit + attributes.start(i), unit + attributes.end(i))
      if (name === 'xmlns' || (attributes.colon(i) >= 0 && name !== 'xml:lang')) continue
      attrs[name] = attributes.value(buf, unit, i)
    }
    return attrs
  }
}

function sameValue(attributes: Attributes, buf: Buffer, unit: number, a: number, b: number): boolean {
  const one = buf.subarray(unit + attributes.valueStart(a), unit + attributes.valueEnd(a))
  return one.equals(buf.subarray(unit + attributes.valueStart(b), unit + attributes.valueEnd(b)))
}
