import type { Element } from './element.ts'

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

/** Bytes of one XML stream in, its tokens out (RFC 6120 §11). Pulled, so that the stream can stop between two elements. */
export class Tokenizer {
  limits: TokenizerLimits
  constructor(limits: TokenizerLimits) {
    this.limits = limits
  }
  /** Appends bytes; the buffer must not be changed afterwards. */
  push(_chunk: Buffer): void {}
  /** The next complete token. @throws StreamError not-well-formed, restricted-xml, policy-violation, bad-namespace-prefix, unsupported-encoding */
  next(): Token | undefined {
    return undefined
  }
  /** Bytes pushed and not yet consumed by a token. */
  get buffered(): number {
    return 0
  }
  /** Forgets the stream's root, keeps unconsumed bytes: what follows is a new header (RFC 6120 §4.3.3). */
  restart(): void {}
}
