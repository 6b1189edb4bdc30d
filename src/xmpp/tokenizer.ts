import type { Element } from './element.ts'
import { Intake } from './intake.ts'
import type { RootScope } from './namespaces.ts'
import { ELEMENT, HEADER, MORE, Scanner } from './scanner.ts'
import { StreamError } from './stream-error.ts'
import { readAttribute, readTree } from './tree.ts'

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
  /** An attribute without prefix, of those that are no fields here; does not build the tree. */
  attribute(name: string): string | undefined
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
  attribute(name: string): string | undefined {
    return readAttribute(this.#buf, this.#start, name)
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
  readonly #intake = new Intake()
  #failure: StreamError | undefined

  constructor(limits: TokenizerLimits, options: TokenizerOptions = {}) {
    this.limits = limits
    this.#scanner = new Scanner(options.doubledCommandNs ?? false)
  }
  /** Appends bytes; the buffer must not be changed afterwards. */
  push(chunk: Buffer): void {
    if (this.#failure !== undefined || chunk.length === 0) return
    this.#intake.push(chunk)
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
      this.#intake.forget()
      throw error
    }
  }
  /** Bytes pushed and not yet consumed by a token. */
  get buffered(): number {
    return this.#intake.length
  }
  /** Forgets the stream's root, keeps unconsumed bytes: what follows is a new header (RFC 6120 §4.3.3). */
  restart(): void {
    this.#scanner.restart()
  }

  #next(): Token | undefined {
    const scanner = this.#scanner
    const intake = this.#intake
    const { limits } = this
    for (;;) {
      const found = scanner.scan(intake.buf, intake.view, intake.start, intake.end, limits)
      const size = (found === MORE ? intake.end : scanner.after) - scanner.unit
      if (size > limits.maxBytes) throw new StreamError('policy-violation', 'element too big')
      if (found !== MORE) {
        const token = this.#token(found)
        intake.consume(scanner.after)
        return token
      }
      // White space between elements.
      intake.start = scanner.unit
      if (!intake.more()) return undefined
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
        return new ReceivedElement(this.#intake.buf, this.#scanner)
      default:
        return FOOTER_TOKEN
    }
  }
}
