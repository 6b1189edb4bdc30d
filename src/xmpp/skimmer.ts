import { AMP, BRACKET, GT, LT, NOT_PLAIN, referenceLength, sequenceLength } from './characters.ts'
import { sameOctets, textEnd } from './octets.ts'
import type { Opening } from './opening.ts'
import { StartTag } from './start-tag.ts'
import type { QName, TokenizerLimits } from './tokenizer.ts'

/** What is nested deeper is left to the state machine. */
const MAX_DEPTH = 16
/** So are elements with more children. */
const MAX_CHILDREN = 16

const SLASH = 0x2f

/** What `skim` came to. */
export const WHOLE = 0
export const CUT = 1
/** Nothing to go on with: no tag has ended since. */
export const WAITING = 2
export const UNUSUAL = 3

/**
 * Recognises the top-level elements that nearly all are, at a fraction of the state machine's cost: those that have no prefixed
 * names, references in attributes, CDATA sections, carriage returns or unusual white space in tags. It goes from tag to tag, so
 * that one cut within a tag waits until the tag is whole. It says no to whatever else, be it wrong or only rare, and the machine,
 * which is the reference, reads that. So it knows no faults of its own: those it meets in the functions it shares, the machine
 * would meet at the same octet.
 */
export class Skimmer {
  /** Where the element found ends. */
  after = 0
  /** Offsets of the content from where the element begins. */
  contentStart = 0
  contentEnd = 0
  /** How far an element that is cut was gone over, and the elements open there: their number, and where their names stand. */
  at = 0
  depth = 0
  readonly starts: number[] = []
  readonly ends: number[] = []
  readonly #opening: Opening
  readonly #startTag = new StartTag()
  readonly #children: QName[] = []
  #lastChildren: readonly QName[] = []
  #contentNs = ''
  #count = 0
  #elements = 0
  #declared = 0
  /** Octets of the element under way in which a `>` was looked for. */
  #seen = 0
  /** Behind the last `>` before `#limitOf`. */
  #limit = 0
  #limitOf = -1

  constructor(opening: Opening) {
    this.#opening = opening
  }

  /** What comes next is a new element. */
  begin(): void {
    this.at = this.depth = this.#count = this.#elements = this.#declared = this.#seen = 0
  }
  /**
   * Goes over the element that begins at `unit`, or goes on in it. `WHOLE`: it is plain and ends before `end`; `opening` tells what
   * it says. `CUT`: it is plain as far as to `at`, where character data goes on, and `opening` is where the machine would have it
   * there. No octet is gone over twice, however often an element is cut.
   * @throws StreamError
   */
  skim(buf: Buffer, view: DataView, unit: number, end: number, limits: TokenizerLimits): number {
    const seen = unit + this.#seen
    this.#seen = end - unit
    const limit = buf[end - 1] === GT ? end : this.#lastTagEnd(buf, seen, end)
    if (limit <= seen) return WAITING
    // From here to `limit` no loop needs to look for the end: what it runs over does not hold the `>` that stands there.
    let p = unit + this.at
    const opening = this.#opening
    const startTag = this.#startTag
    const children = this.#children
    const { starts, ends } = this
    const maxDepth = Math.min(limits.maxDepth, MAX_DEPTH)
    let contentNs = this.#contentNs
    let depth = this.depth
    let elements = this.#elements
    let count = this.#count
    let declared = this.#declared
    for (;;) {
      if (depth > 0) {
        while (p < limit && buf[p] !== LT) {
          p = this.#text(buf, view, p, limit)
          if (p === NOT_PLAIN) return UNUSUAL
        }
        if (p === limit) break
      } else if (buf[p] !== LT) return UNUSUAL
      const tag = p++
      if (buf[p] === SLASH) {
        if (--depth < 0) return UNUSUAL
        p++
        const name = starts[depth] as number
        const length = (ends[depth] as number) - name
        if (p + length >= limit || !sameOctets(view, unit + name, view, p, length)) return UNUSUAL
        p += length
        if (buf[p++] !== GT) return UNUSUAL
        if (depth === 0) return this.#found(p, tag - unit, count)
      } else {
        if (depth === maxDepth) return UNUSUAL
        const name = p
        p = startTag.read(buf, view, p, limit, depth, limits)
        if (p === NOT_PLAIN) return UNUSUAL
        let ns: string | undefined
        if (startTag.declares) {
          if (++declared > limits.maxNamespaces) return UNUSUAL
          ns = startTag.namespace(buf)
        }
        if (depth === 0) {
          contentNs = ns ?? opening.root.defaultNs
          startTag.readTop(buf, view, name, contentNs, opening)
          this.contentStart = p - unit
        } else if (depth === 1) {
          if (count === MAX_CHILDREN) return UNUSUAL
          const child = startTag.qualifiedName(buf, view, name, ns ?? contentNs)
          // Mostly it is there already, and looking costs less than writing.
          if (children[count] !== child) children[count] = child
          count++
        }
        if (++elements > limits.maxElements && depth > 0) return UNUSUAL
        if (startTag.isEmpty) {
          if (depth === 0) return this.#found(p, p - unit, 0)
        } else {
          starts[depth] = name - unit
          ends[depth++] = startTag.nameEnd - unit
        }
      }
    }
    this.at = p - unit
    this.depth = depth
    this.#contentNs = contentNs
    this.#count = count
    this.#elements = elements
    this.#declared = declared
    opening.resume(contentNs, elements, declared, children.slice(0, count))
    return CUT
  }
  /** Behind the last `>` from `seen` on; `seen` when there is none. */
  #lastTagEnd(buf: Buffer, seen: number, end: number): number {
    // That the place is from another chunk may cost time, no more: there is a `>` all the same.
    if (this.#limitOf === end && this.#limit > seen && buf[this.#limit - 1] === GT) return this.#limit
    let p = end
    while (p > seen && buf[p - 1] !== GT) p--
    this.#limit = p
    this.#limitOf = end
    return p
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

  /** Goes over character data to where it ends or what is to be looked at anew. */
  #text(buf: Buffer, view: DataView, start: number, limit: number): number {
    const p = textEnd(buf, view, start, limit)
    const c = buf[p] as number
    if (c === LT) return p
    if (c >= 0x80) return p + sequenceLength(buf, p, limit)
    if (c === AMP) return p + referenceLength(buf, p, limit)
    // After a bracket it may end what must not stand in character data.
    return c === GT && buf[p - 1] !== BRACKET ? p + 1 : NOT_PLAIN
  }
}
