import type { Element } from './element.ts'
import type { RootScope } from './namespaces.ts'
import { ELEMENT, HEADER, MORE, Scanner } from './scanner.ts'
import { StreamError } from './stream-error.ts'
import { readTree } from './tree.ts'

/** Bounds on one top-level element, in bytes and counts. Exceeding one is a policy-violation. */
export interface TokenizerLimits {
  /** Bytes of one top-level element, and of the stream header. */
  readonly maxBytes: number
  readonly maxDepth: number
  readonly maxElements: number
  /** Attributes (with namespace declarations) of one element. */
  readonly maxAttributes: number
  /** Namespace declarations within one top-level element. */
  readonly maxNamespaces: number
}

/** A qualified name; one object per name for the names of `ns.ts` and other frequent ones, so it may be compared by identity of its fields. */
export interface QName {
  readonly name: string
  readonly ns: string
}

/** `<stream:stream …>` or its equivalent; `ns` and `name` of the root are checked by the stream, not here. */
export interface HeaderToken {
  readonly token: 'header'
  readonly name: string
  readonly ns: string
  /** The default namespace declared on the root (RFC 6120 §4.8.2). */
  readonly contentNs: string
  /** Un-namespaced attributes, and `xml:lang`. */
  readonly attrs: Readonly<Record<string, string>>
}
export interface FooterToken {
  readonly token: 'footer'
}

/** A complete child of the stream's root: a stanza or nonza. Bytes are those received, shared with the read buffer where possible. */
export interface RawElement {
  readonly token: 'element'
  readonly name: string
  readonly ns: string
  /** The attributes a router needs, unescaped; undefined when absent. */
  readonly to: string | undefined
  readonly from: string | undefined
  readonly id: string | undefined
  readonly type: string | undefined
  /** `xml:lang` of the element itself. */
  readonly lang: string | undefined
  /** True when the start tag carries any other attribute or a namespace declaration beside a redundant default one. */
  readonly hasOtherAttributes: boolean
  /** Names of the direct children, in order. */
  readonly children: readonly QName[]
  /**
   * What stands between start and end tag, when its bytes are canonical: they mean the same to every parser inside a stream
   * whose default namespace is this element's (DESIGN.md section 4). Undefined: re-serialise from `element`.
   */
  readonly content: Buffer | undefined
  /** Length in bytes as received. */
  readonly size: number
  /** The tree, built on first use. */
  readonly element: Element
}
export type Token = HeaderToken | RawElement | FooterToken

export interface TokenizerOptions {
  /**
   * Drops a second `xmlns`, byte for byte the same as the first, on a `<command/>` directly inside an iq, instead of refusing
   * the stream; such content is not canonical. COMPAT(Kontalk desktop 4.5).
   */
  readonly doubledCommandNs?: boolean
}

const NO_OCTETS = Buffer.alloc(0)
const FOOTER_TOKEN: FooterToken = Object.freeze({ token: 'footer' })
/** What a buffer for partial elements starts with. */
const FIRST_ROOM = 512

class ReceivedElement implements RawElement {
  readonly token = 'element'
  readonly name: string
  readonly ns: string
  readonly to: string | undefined
  readonly from: string | undefined
  readonly id: string | undefined
  readonly type: string | undefined
  readonly lang: string | undefined
  readonly hasOtherAttributes: boolean
  readonly children: readonly QName[]
  readonly size: number
  readonly #buf: Buffer
  readonly #start: number
  readonly #contentStart: number
  /** -1 when the content is not canonical. */
  readonly #contentEnd: number
  readonly #root: RootScope
  #content: Buffer | undefined
  #element: Element | undefined

  constructor(buf: Buffer, scanner: Scanner) {
    const opening = scanner.opening
    this.name = opening.name
    this.ns = opening.ns
    this.to = opening.to
    this.from = opening.from
    this.id = opening.id
    this.type = opening.type
    this.lang = opening.lang
    this.hasOtherAttributes = opening.hasOtherAttributes
    this.children = opening.children
    this.size = scanner.after - scanner.unit
    this.#buf = buf
    this.#start = scanner.unit
    this.#contentStart = scanner.contentStart
    this.#contentEnd = opening.canonical ? scanner.contentEnd : -1
    this.#root = opening.root
  }
  get content(): Buffer | undefined {
    if (this.#contentEnd < 0) return undefined
    if (this.#contentEnd === this.#contentStart) return NO_OCTETS
    this.#content ??= this.#buf.subarray(this.#start + this.#contentStart, this.#start + this.#contentEnd)
    return this.#content
  }
  get element(): Element {
    this.#element ??= readTree(this.#buf, this.#start, this.#root)
    return this.#element
  }
}

/** Bytes of one XML stream in, its tokens out (RFC 6120 §11). Pulled, so that the stream can stop between two elements. */
export class Tokenizer {
  limits: TokenizerLimits
  readonly #scanner: Scanner
  /** Chunks not yet looked at, from `#head` on, the first of them from `#offset` on. */
  #chunks: Buffer[] = []
  #head = 0
  #offset = 0
  /** Octets in `#chunks` from there on. */
  #waiting = 0
  /** What the scanner works on: a chunk as it came, or `#room`. Octets from `#start` to `#end` are not yet consumed. */
  #buf: Buffer = NO_OCTETS
  #start = 0
  #end = 0
  /** True while `#buf` is our own, gathering an element that came in several chunks. */
  #gathering = false
  #failure: StreamError | undefined

  constructor(limits: TokenizerLimits, options: TokenizerOptions = {}) {
    this.limits = limits
    this.#scanner = new Scanner(options.doubledCommandNs ?? false)
  }
  /** Appends bytes; the buffer must not be changed afterwards. */
  push(chunk: Buffer): void {
    if (this.#failure !== undefined || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#waiting += chunk.length
  }
  /**
   * The next complete token. After an error the same error is thrown for ever.
   * @throws StreamError not-well-formed, restricted-xml, policy-violation, bad-namespace-prefix, unsupported-encoding, invalid-xml
   */
  next(): Token | undefined {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return this.#next()
    } catch (error) {
      if (error instanceof StreamError) this.#failure = error
      this.#forget()
      throw error
    }
  }
  /** Bytes pushed and not yet consumed by a token. */
  get buffered(): number {
    return this.#waiting + this.#end - this.#start
  }
  /** Forgets the stream's root, keeps unconsumed bytes: what follows is a new header (RFC 6120 §4.3.3). */
  restart(): void {
    this.#scanner.restart()
  }

  #next(): Token | undefined {
    const scanner = this.#scanner
    for (;;) {
      const found = scanner.scan(this.#buf, this.#start, this.#end, this.limits)
      const size = (found === MORE ? this.#end : scanner.after) - scanner.unit
      if (size > this.limits.maxBytes) throw new StreamError('policy-violation', 'element too big')
      if (found !== MORE) {
        const token = this.#token(found)
        this.#consume(scanner.after)
        return token
      }
      this.#start = scanner.unit
      if (!this.#more()) return undefined
    }
  }
  #token(found: number): Token {
    const { opening } = this.#scanner
    switch (found) {
      case HEADER:
        return {
          token: 'header',
          name: opening.name,
          ns: opening.ns,
          contentNs: opening.root.defaultNs,
          attrs: opening.rootAttrs,
        }
      case ELEMENT:
        return new ReceivedElement(this.#buf, this.#scanner)
      default:
        return FOOTER_TOKEN
    }
  }
  #consume(end: number): void {
    if (this.#gathering) {
      // What was gathered beyond the element is still in the chunk it came from; the buffer now belongs to the element.
      const beyond = this.#end - end
      this.#offset -= beyond
      this.#waiting += beyond
      this.#buf = NO_OCTETS
      this.#start = this.#end = 0
      this.#gathering = false
    } else this.#start = end
  }

  /** Gives the scanner more octets to work on; false when there are none. */
  #more(): boolean {
    if (this.#waiting === 0) {
      // The last chunk is kept only as long as part of an element is in it.
      if (this.#start === this.#end) this.#forget()
      else if (this.#head > 0) this.#dropRead()
      return false
    }
    let chunk = this.#chunks[this.#head] as Buffer
    if (this.#offset === chunk.length) {
      this.#head++
      this.#offset = 0
      chunk = this.#chunks[this.#head] as Buffer
    }
    const left = chunk.length - this.#offset
    const kept = this.#end - this.#start
    if (kept === 0) {
      this.#gathering = false
      this.#buf = chunk
      this.#start = this.#offset
      this.#end = chunk.length
      this.#take(left)
      return true
    }
    // Never more than there is already: an element's tail must not pull in the rest of a big chunk.
    const count = Math.min(left, Math.max(kept, FIRST_ROOM))
    if (!this.#gathering || this.#end + count > this.#buf.length) this.#grow(kept, count)
    chunk.copy(this.#buf, this.#end, this.#offset, this.#offset + count)
    this.#end += count
    this.#take(count)
    return true
  }
  #take(count: number): void {
    this.#offset += count
    this.#waiting -= count
  }
  #grow(kept: number, count: number): void {
    const room = Buffer.allocUnsafe(Math.max(FIRST_ROOM, 2 * (kept + count)))
    this.#buf.copy(room, 0, this.#start, this.#end)
    this.#buf = room
    this.#start = 0
    this.#end = kept
    this.#gathering = true
  }
  #dropRead(): void {
    this.#chunks = this.#chunks.slice(this.#head)
    this.#head = 0
  }
  #forget(): void {
    this.#chunks = []
    this.#head = this.#offset = this.#waiting = 0
    this.#buf = NO_OCTETS
    this.#start = this.#end = 0
    this.#gathering = false
  }
}
