import {
  AMP,
  APOS,
  BRACKET,
  CLASS,
  GT,
  LT,
  NAME,
  NAME_START,
  QUOTE,
  referenceLength,
  runOver,
  sequenceLength,
  TEXT_STOP,
  VALUE_STOP,
} from './characters.ts'
import { commonLength, equals, type FrequentName, frequentName, knownType, localName, type Value } from './interned.ts'
import { readNamespace } from './namespaces.ts'
import type { Opening } from './opening.ts'
import type { QName, TokenizerLimits } from './tokenizer.ts'

/** What is nested deeper is left to the state machine. */
const MAX_DEPTH = 16
/** So are elements with more children. */
const MAX_CHILDREN = 16
/** So many attributes of one tag, beside those that are looked for, are compared in pairs. */
const MAX_OTHERS = 8

// Kinds of attributes: places in `#marks`, and bits of `#kinds`. Those before `ID` mostly say what they said last time.
const TO = 0
const FROM = 1
const TYPE = 2
const LANG = 3
const ID = 4
const XMLNS = 5
const OTHER = 6
/** Octets of their names. */
const LENGTHS = new Uint8Array([2, 4, 4, 8, 2, 5])

const BLANK = 0x20
const SLASH = 0x2f
const EQUALS = 0x3d
const NOT_PLAIN = -1

/** What `skim` came to. */
export const WHOLE = 0
export const CUT = 1
const UNUSUAL = 2

const NO_OCTETS = new Uint8Array(0)
const EMPTY: Value = { text: '', octets: NO_OCTETS }
const NO_NAME: FrequentName = { name: { name: '', ns: '' }, local: NO_OCTETS, ns: NO_OCTETS }
/** Longer values are not remembered. */
const MAX_REMEMBERED = 256
/** Places for names that came last, a power of two. */
const NAMES = 32

/**
 * Recognises the top-level elements that nearly all are, at a fraction of the state machine's cost: those that lie wholly in the
 * octets at hand and have no prefixed names, references in attributes, CDATA sections, carriage returns or unusual white space
 * in tags. It says no to whatever else, be it wrong or only rare, and the machine, which is the reference, reads that from its
 * beginning. So it knows no faults of its own: those it meets in the functions it shares, the machine would meet at the same octet.
 */
export class Skimmer {
  /** Where the element found ends, or where it was cut. */
  after = 0
  /** Elements open where it was cut. */
  depth = 0
  /** Offsets of the content from where it begins. */
  contentStart = 0
  contentEnd = 0
  readonly #opening: Opening
  /** Where the names of the open elements stand, from where the outermost begins; these are the machine's. */
  readonly #starts: number[]
  readonly #ends: number[]
  readonly #children: QName[] = []
  #lastChildren: readonly QName[] = []
  /** Where the values of the tag's attributes stand, by kind: start and end. */
  readonly #marks: number[] = []
  #kinds = 0
  /** Where the names of the tag's other attributes stand: start and length. */
  readonly #others: number[] = []
  #nameEnd = 0
  #isEmpty = false
  #declared = 0
  /** Behind the last `>` before `#limitOf`. */
  #limit = 0
  #limitOf = -1
  // Whoever sends again mostly says the same again. Comparing octets with those expected finds them valid and where they end
  // at once, and the same strings serve.
  readonly #values: Value[] = [EMPTY, EMPTY, EMPTY, EMPTY]
  readonly #names: (FrequentName | undefined)[] = Array.from({ length: NAMES }, () => undefined)
  /** The name expected, where the tag's local name is the same. */
  #name = NO_NAME
  /** Kinds whose values are those expected. */
  #same = 0

  constructor(opening: Opening, starts: number[], ends: number[]) {
    this.#opening = opening
    this.#starts = starts
    this.#ends = ends
  }

  /**
   * Goes over the element that begins at `unit`. `WHOLE`: it is plain and ends before `end`; `opening` tells what it says. `CUT`: it
   * is plain as far as to `after`, where character data goes on, and `opening` is where the machine would have it there.
   * @throws StreamError
   */
  skim(buf: Buffer, unit: number, end: number, limits: TokenizerLimits): number {
    const limit = buf[end - 1] === GT ? end : this.#lastTagEnd(buf, end)
    // From here to `limit` no loop needs to look for the end: what it runs over does not hold the `>` that stands there.
    if (unit >= limit || buf[unit] !== LT) return UNUSUAL
    const classes = CLASS
    const opening = this.#opening
    const starts = this.#starts
    const ends = this.#ends
    const maxDepth = Math.min(limits.maxDepth, MAX_DEPTH)
    let contentNs = ''
    let depth = 0
    let elements = 0
    let count = 0
    let p = unit
    this.#declared = 0
    for (;;) {
      const tag = p++
      const c = buf[p] as number
      if (((classes[c] as number) & NAME_START) !== 0) {
        if (depth === maxDepth) return UNUSUAL
        const name = p
        p = this.#startTag(buf, p, depth, limits)
        if (p === NOT_PLAIN) return UNUSUAL
        const ns = (this.#kinds & (1 << XMLNS)) === 0 ? undefined : this.#namespace(buf)
        if (depth === 0) {
          contentNs = ns ?? opening.root.defaultNs
          this.#readTop(buf, name, contentNs)
          this.contentStart = p - unit
        } else if (depth === 1) {
          if (count === MAX_CHILDREN) return UNUSUAL
          this.#children[count++] = this.#qualifiedName(buf, name, ns ?? contentNs)
        }
        if (++elements > limits.maxElements && depth > 0) return UNUSUAL
        if (this.#isEmpty) {
          if (depth === 0) return this.#found(p, p - unit, 0)
        } else {
          starts[depth] = name - unit
          ends[depth++] = this.#nameEnd - unit
        }
      } else if (c === SLASH && depth > 0) {
        p++
        depth--
        const name = unit + (starts[depth] as number)
        const length = unit + (ends[depth] as number) - name
        for (let i = 0; i < length; i++) if (buf[p + i] !== buf[name + i]) return UNUSUAL
        p += length
        if (buf[p++] !== GT) return UNUSUAL
        if (depth === 0) return this.#found(p, tag - unit, count)
      } else return UNUSUAL
      while (p < limit && buf[p] !== LT) {
        p = this.#text(buf, p, limit)
        if (p === NOT_PLAIN) return UNUSUAL
      }
      if (p === limit) return this.#cut(p, depth, contentNs, elements, count)
    }
  }
  #lastTagEnd(buf: Buffer, end: number): number {
    // That the place is from another chunk may cost time, no more: there is a `>` all the same.
    if (this.#limitOf !== end || buf[this.#limit - 1] !== GT) {
      this.#limit = buf.lastIndexOf(GT, end - 1) + 1
      this.#limitOf = end
    }
    return this.#limit
  }
  #found(after: number, contentEnd: number, count: number): number {
    const opening = this.#opening
    const children = this.#children
    this.after = after
    this.contentEnd = contentEnd
    opening.canonical = true
    let same = this.#lastChildren.length === count
    for (let i = 0; same && i < count; i++) same = children[i] === this.#lastChildren[i]
    if (!same) this.#lastChildren = children.slice(0, count)
    opening.children = this.#lastChildren
    return WHOLE
  }
  #cut(after: number, depth: number, contentNs: string, elements: number, count: number): number {
    this.after = after
    this.depth = depth
    this.#opening.resume(contentNs, elements, this.#declared, this.#children.slice(0, count))
    return CUT
  }

  /** Goes over the start tag whose name begins at `start`; where it ends. */
  #startTag(buf: Buffer, start: number, depth: number, limits: TokenizerLimits): number {
    const classes = CLASS
    const expected = this.#names[placeOf(buf, start)] ?? NO_NAME
    let p = start + commonLength(expected.local, buf, start)
    let c = buf[p] as number
    // All octets so far are those of a name, expected or not.
    this.#name = p - start === expected.local.length && ((classes[c] as number) & NAME) === 0 ? expected : NO_NAME
    while (((classes[c] as number) & NAME) !== 0) c = buf[++p] as number
    this.#nameEnd = p
    let kinds = 0
    let same = 0
    let count = 0
    let others = 0
    while (c === BLANK) {
      do c = buf[++p] as number
      while (c === BLANK)
      if (((classes[c] as number) & NAME_START) === 0) break
      if (++count > limits.maxAttributes) return NOT_PLAIN
      const kind = kindAt(buf, p)
      if (kind === OTHER) {
        const name = p
        do c = buf[++p] as number
        while (((classes[c] as number) & NAME) !== 0)
        if (c !== EQUALS || !this.#isNew(buf, name, p - name, others)) return NOT_PLAIN
        this.#others[2 * others] = name
        this.#others[2 * others++ + 1] = p - name
      } else {
        if ((kinds & (1 << kind)) !== 0) return NOT_PLAIN
        p += LENGTHS[kind] as number
      }
      kinds |= 1 << kind
      const quote = buf[++p] as number
      if (quote !== QUOTE && quote !== APOS) return NOT_PLAIN
      const value = ++p
      const octets = this.#expected(kind, depth)
      p += commonLength(octets, buf, p)
      if (p > value && p - value === octets.length && buf[p] === quote) same |= 1 << kind
      else {
        p = valueEnd(buf, p, quote)
        if (p === NOT_PLAIN) return NOT_PLAIN
        this.#marks[2 * kind] = value
        this.#marks[2 * kind + 1] = p
      }
      c = buf[++p] as number
    }
    if ((kinds & (1 << XMLNS)) !== 0 && ++this.#declared > limits.maxNamespaces) return NOT_PLAIN
    this.#kinds = kinds
    this.#same = same
    this.#isEmpty = c === SLASH
    if (c === SLASH) c = buf[++p] as number
    return c === GT ? p + 1 : NOT_PLAIN
  }
  /** The value that came last, or that goes with the tag's name. */
  #expected(kind: number, depth: number): Uint8Array {
    if (kind === XMLNS) return this.#name.ns
    return depth === 0 && kind < ID ? (this.#values[kind] as Value).octets : NO_OCTETS
  }
  #isNew(buf: Buffer, start: number, length: number, count: number): boolean {
    if (count === MAX_OTHERS) return false
    const others = this.#others
    for (let i = 0; i < count; i++) {
      if (others[2 * i + 1] !== length) continue
      const other = others[2 * i] as number
      let same = 0
      while (same < length && buf[start + same] === buf[other + same]) same++
      if (same === length) return false
    }
    return true
  }
  /** Goes over character data to where it ends or what is to be looked at anew. */
  #text(buf: Buffer, start: number, limit: number): number {
    const p = runOver(buf, start, limit, TEXT_STOP)
    const c = buf[p] as number
    if (c === LT) return p
    if (c >= 0x80) return p + sequenceLength(buf, p, limit)
    if (c === AMP) return p + referenceLength(buf, p, limit)
    // After a bracket it may end what must not stand in character data.
    return c === GT && buf[p - 1] !== BRACKET ? p + 1 : NOT_PLAIN
  }

  /** The default namespace the tag declares. */
  #namespace(buf: Buffer): string {
    if ((this.#same & (1 << XMLNS)) !== 0 && this.#name !== NO_NAME) return this.#name.name.ns
    return readNamespace(buf, this.#marks[2 * XMLNS] as number, this.#marks[2 * XMLNS + 1] as number)
  }
  #qualifiedName(buf: Buffer, start: number, ns: string): QName {
    const end = this.#nameEnd
    const expected = this.#name
    if (expected !== NO_NAME && expected.name.ns === ns) return expected.name
    const frequent = frequentName(buf, start, end, ns)
    if (frequent === undefined) return { name: localName(buf, start, end), ns }
    this.#names[placeOf(buf, start)] = frequent
    return frequent.name
  }
  /** Reads what a router needs. */
  #readTop(buf: Buffer, start: number, ns: string): void {
    const opening = this.#opening
    const marks = this.#marks
    const kinds = this.#kinds
    opening.name = this.#qualifiedName(buf, start, ns).name
    opening.ns = ns
    opening.to = this.#value(buf, TO)
    opening.from = this.#value(buf, FROM)
    opening.type = this.#value(buf, TYPE)
    opening.lang = this.#value(buf, LANG)
    opening.id = (kinds & (1 << ID)) === 0 ? undefined : buf.toString('ascii', marks[2 * ID], marks[2 * ID + 1])
    opening.hasOtherAttributes =
      (kinds & (1 << OTHER)) !== 0 || ((kinds & (1 << XMLNS)) !== 0 && ns !== opening.root.defaultNs)
  }
  #value(buf: Buffer, kind: number): string | undefined {
    if ((this.#kinds & (1 << kind)) === 0) return undefined
    if ((this.#same & (1 << kind)) !== 0) return (this.#values[kind] as Value).text
    const start = this.#marks[2 * kind] as number
    const end = this.#marks[2 * kind + 1] as number
    const known = kind === TYPE ? knownType(buf, start, end) : undefined
    const text = known?.text ?? buf.toString('ascii', start, end)
    if (end - start <= MAX_REMEMBERED) {
      this.#values[kind] = known ?? { text, octets: new Uint8Array(buf.subarray(start, end)) }
    }
    return text
  }
}

/** Where the name is kept, should it be one that came last. */
function placeOf(buf: Buffer, start: number): number {
  return (5 * (buf[start] as number) + 3 * (buf[start + 1] as number)) & (NAMES - 1)
}
/** The kind of the attribute whose name begins at `p`, when the equals sign follows at once. */
function kindAt(buf: Buffer, p: number): number {
  switch (buf[p]) {
    case 0x74: // t
      if (buf[p + 1] === 0x6f) return buf[p + 2] === EQUALS ? TO : OTHER
      return equals('type=', buf, p, p + 5) ? TYPE : OTHER
    case 0x69: // i
      return buf[p + 1] === 0x64 && buf[p + 2] === EQUALS ? ID : OTHER
    case 0x66: // f
      return equals('from=', buf, p, p + 5) ? FROM : OTHER
    case 0x78: // x
      if (equals('xmlns=', buf, p, p + 6)) return XMLNS
      return equals('xml:lang=', buf, p, p + 9) ? LANG : OTHER
    default:
      return OTHER
  }
}
/** Where the quote stands that ends the value; a `>` is rare in one, and may be the last. */
function valueEnd(buf: Buffer, start: number, quote: number): number {
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
