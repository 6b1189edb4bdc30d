import { APOS, CLASS, GT, NAME, NAME_START, NOT_PLAIN, plainValueEnd, QUOTE } from './characters.ts'
import { asciiText, frequentName, knownType, localName, type TagStart } from './interned.ts'
import { KnownTag } from './known-tag.ts'
import { readNamespace } from './namespaces.ts'
import { type Octets, octetsOf, sameOctets, standsAt } from './octets.ts'
import type { Opening } from './opening.ts'
import type { QName, TokenizerLimits } from './tokenizer.ts'

// Kinds of attributes: places in `#marks`, and bits of `#kinds`.
const XMLNS = 0
const TO = 1
const FROM = 2
const TYPE = 3
const LANG = 4
const ID = 5
const OTHER = 6
/** What each but the last looks like, as far as to its value. */
const FRONTS = octetsOf(['xmlns=', 'to=', 'from=', 'type=', 'xml:lang=', 'id='])
/** So many attributes of one tag, beside those that are looked for, are compared in pairs. */
const MAX_OTHERS = 8
/** Longer tags are not remembered. */
const MAX_KNOWN = 256
/** Places for tags' starts that came last, a power of two. */
const STARTS = 32
/** Places for top-level tags that came last, a power of two: the stanzas' first letters differ in the three last bits. */
const TAGS = 8

const BLANK = 0x20
const SLASH = 0x2f
const EQUALS = 0x3d

/** The skimmer's part that reads start tags, one at a time. */
export class StartTag {
  nameEnd = 0
  isEmpty = false
  #end = 0
  #kinds = 0
  #count = 0
  /** Where the values of the attributes stand, by kind: start and end. */
  readonly #marks: number[] = []
  /** Where the names of other attributes stand: start and length. */
  readonly #others: number[] = []
  readonly #starts: (TagStart | undefined)[] = Array.from({ length: STARTS }, () => undefined)
  readonly #tags: (KnownTag | undefined)[] = Array.from({ length: TAGS }, () => undefined)
  /** Bits for the places something came for: what comes once only is not worth the room. */
  #came = 0
  /** How it starts, when another did before. */
  #start: TagStart | undefined
  /** The tag, when it is one that came before. */
  #known: KnownTag | undefined

  /** Whether it declares a default namespace. */
  get declares(): boolean {
    return (this.#kinds & (1 << XMLNS)) !== 0
  }
  /**
   * Goes over the start tag whose name begins at `start`; where it ends, or `NOT_PLAIN`. The last `>` stands just before `limit`.
   */
  read(buf: Buffer, view: DataView, start: number, limit: number, depth: number, limits: TokenizerLimits): number {
    this.#known = undefined
    if (depth === 0) {
      const known = this.#tags[tagPlace(buf, start)]
      if (known !== undefined) {
        const end = known.follow(buf, view, start, limit)
        if (end !== NOT_PLAIN) {
          this.#known = known
          this.#kinds = known.kinds
          this.nameEnd = start + known.nameLength
          this.isEmpty = known.isEmpty
          return known.count > limits.maxAttributes ? NOT_PLAIN : end
        }
      }
    }
    const classes = CLASS
    let p = this.#begin(buf, view, start, limit)
    if (p === NOT_PLAIN) return NOT_PLAIN
    let kinds = this.#kinds
    let count = kinds
    let others = 0
    let c = buf[p] as number
    while (c === BLANK) {
      do c = buf[++p] as number
      while (c === BLANK)
      if (((classes[c] as number) & NAME_START) === 0) break
      const kind = kindAt(c, view, p, limit)
      if (kind === OTHER) {
        const name = p
        do c = buf[++p] as number
        while (((classes[c] as number) & NAME) !== 0)
        if (c !== EQUALS || !this.#isNew(view, name, p - name, others)) return NOT_PLAIN
        this.#others[2 * others] = name
        this.#others[2 * others++ + 1] = p++ - name
      } else {
        if ((kinds & (1 << kind)) !== 0) return NOT_PLAIN
        p += (FRONTS[kind] as Octets).length
      }
      count++
      kinds |= 1 << kind
      const quote = buf[p] as number
      if (quote !== QUOTE && quote !== APOS) return NOT_PLAIN
      const value = ++p
      p = plainValueEnd(buf, p, quote)
      if (p === NOT_PLAIN) return NOT_PLAIN
      this.#marks[2 * kind] = value
      this.#marks[2 * kind + 1] = p
      c = buf[++p] as number
    }
    if (count > limits.maxAttributes) return NOT_PLAIN
    this.#kinds = kinds
    this.#count = count
    this.isEmpty = c === SLASH
    if (c === SLASH) c = buf[++p] as number
    this.#end = p + 1
    return c === GT ? p + 1 : NOT_PLAIN
  }
  /** Goes over the name, and the declaration that often follows; where they end. */
  #begin(buf: Buffer, view: DataView, start: number, limit: number): number {
    const expected = this.#starts[startPlace(buf, start)]
    if (expected !== undefined && standsAt(expected.octets, view, start, limit)) {
      const end = start + expected.octets.length
      const c = buf[end]
      // A name may go on.
      if (c === GT || c === SLASH || c === BLANK) {
        this.#start = expected
        this.#kinds = expected.declares ? 1 << XMLNS : 0
        this.nameEnd = start + expected.name.name.length
        return end
      }
    }
    this.#start = undefined
    this.#kinds = 0
    const classes = CLASS
    let p = start
    if (((classes[buf[p] as number] as number) & NAME_START) === 0) return NOT_PLAIN
    while (((classes[buf[p] as number] as number) & NAME) !== 0) p++
    this.nameEnd = p
    return p
  }
  #isNew(view: DataView, start: number, length: number, count: number): boolean {
    if (count === MAX_OTHERS) return false
    const others = this.#others
    for (let i = 0; i < count; i++) {
      if (others[2 * i + 1] === length && sameOctets(view, others[2 * i] as number, view, start, length)) return false
    }
    return true
  }

  /** The default namespace it does declare. */
  namespace(buf: Buffer): string {
    if (this.#known !== undefined) return this.#known.declared
    if (this.#start?.declares) return this.#start.name.ns
    return readNamespace(buf, this.#marks[2 * XMLNS] as number, this.#marks[2 * XMLNS + 1] as number)
  }
  qualifiedName(buf: Buffer, view: DataView, start: number, ns: string): QName {
    const expected = this.#start
    if (expected !== undefined && expected.name.ns === ns) return expected.name
    const end = this.nameEnd
    const frequent = frequentName(buf, start, end, ns)
    if (frequent === undefined) return { name: localName(buf, start, end), ns }
    this.#starts[startPlace(buf, start)] = frequent.starts.find(({ octets }) =>
      standsAt(octets, view, start, this.#end),
    )
    return frequent.name
  }
  /** Reads what a router needs. */
  readTop(buf: Buffer, view: DataView, start: number, ns: string, opening: Opening): void {
    const known = this.#known ?? this.#learn(buf, view, start, ns)
    opening.name = known.name
    opening.ns = ns
    opening.to = known.texts[TO]
    opening.from = known.texts[FROM]
    opening.type = known.texts[TYPE]
    opening.lang = known.texts[LANG]
    opening.id = known.idStart === 0 ? undefined : asciiText(buf, known.idStart, known.idEnd)
    opening.hasOtherAttributes =
      (known.kinds & (1 << OTHER)) !== 0 || ((known.kinds & (1 << XMLNS)) !== 0 && ns !== opening.root.defaultNs)
  }
  /** The tag just read, remembered when it may well come again. */
  #learn(buf: Buffer, view: DataView, start: number, ns: string): KnownTag {
    const kinds = this.#kinds
    const marks = this.#marks
    const place = tagPlace(buf, start)
    const came = 1 << place
    const isKept = (this.#came & came) !== 0 && (kinds & (1 << OTHER)) === 0 && this.#end - start <= MAX_KNOWN
    this.#came |= came
    const known = (isKept ? this.#tags[place] : undefined) ?? new KnownTag()
    if (isKept) this.#tags[place] = known
    known.name = this.qualifiedName(buf, view, start, ns).name
    known.nameLength = this.nameEnd - start
    known.isEmpty = this.isEmpty
    known.kinds = kinds
    known.count = this.#count
    known.declared = ns
    for (let kind = TO; kind < ID; kind++) this.#readValue(buf, view, start, kind, known)
    const hasId = (kinds & (1 << ID)) !== 0
    known.idStart = hasId ? (marks[2 * ID] as number) : 0
    known.idEnd = hasId ? (marks[2 * ID + 1] as number) : 0
    if (isKept) known.learn(buf, start, this.#end)
    return known
  }
  /** Reads the value of that kind; the text there is when it is the same as last. */
  #readValue(buf: Buffer, view: DataView, start: number, kind: number, known: KnownTag): void {
    let text: string | undefined
    if ((this.#kinds & (1 << kind)) !== 0) {
      const from = this.#marks[2 * kind] as number
      const to = this.#marks[2 * kind + 1] as number
      text = known.same(kind, view, from, to - from)
      if (text === undefined && kind === TYPE) text = knownType(buf, from, to)
      text ??= asciiText(buf, from, to)
      known.places[kind] = from - start
    }
    known.texts[kind] = text
  }
}

/** Where a tag's start is kept, should it be one that came last. */
function startPlace(buf: Buffer, start: number): number {
  return (5 * (buf[start] as number) + 3 * (buf[start + 1] as number)) & (STARTS - 1)
}
function tagPlace(buf: Buffer, start: number): number {
  return (buf[start] as number) & (TAGS - 1)
}
/** The kind of the attribute whose name begins at `p`, when the equals sign follows at once. */
function kindAt(first: number, view: DataView, p: number, limit: number): number {
  const is = (kind: number): boolean => standsAt(FRONTS[kind] as Octets, view, p, limit)
  switch (first) {
    case 0x74: // t
      return is(TO) ? TO : is(TYPE) ? TYPE : OTHER
    case 0x69: // i
      return is(ID) ? ID : OTHER
    case 0x66: // f
      return is(FROM) ? FROM : OTHER
    case 0x78: // x
      return is(XMLNS) ? XMLNS : is(LANG) ? LANG : OTHER
    default:
      return OTHER
  }
}
