import { decodeValue } from './characters.ts'
import { equals, knownNamespace } from './interned.ts'
import { StreamError } from './stream-error.ts'

/** Bound to `xml` (Namespaces in XML 1.0 §3). */
export const NS_XML = 'http://www.w3.org/XML/1998/namespace'
const NS_XMLNS = 'http://www.w3.org/2000/xmlns/'

/** What the stream's root declares for all within. */
export interface RootScope {
  readonly defaultNs: string
  readonly prefixes: ReadonlyMap<string, string>
}

/** The prefixes in scope at one place of the stream. */
export class Namespaces {
  readonly #prefixes: string[] = []
  readonly #uris: string[] = []
  /** How deep the declaring element lies: 0 for a top-level element, -1 for the root. */
  readonly #depths: number[] = []
  #count = 0

  get count(): number {
    return this.#count
  }
  clear(): void {
    this.#count = 0
  }
  bind(prefix: string, uri: string, depth: number): void {
    this.#prefixes[this.#count] = prefix
    this.#uris[this.#count] = uri
    this.#depths[this.#count] = depth
    this.#count++
  }
  /** Forgets what the element at that depth declared. */
  leave(depth: number): void {
    while (this.#count > 0 && this.#depths[this.#count - 1] === depth) this.#count--
  }
  /** The place of the innermost declaration of a prefix, -1 when it has none. */
  find(buf: Buffer, start: number, end: number): number {
    const prefix = buf.toString('utf8', start, end)
    for (let i = this.#count - 1; i >= 0; i--) if (this.#prefixes[i] === prefix) return i
    return -1
  }
  uri(place: number): string {
    return this.#uris[place] as string
  }
  /** A copy of what is in scope. */
  entries(): Map<string, string> {
    const scope = new Map<string, string>()
    for (let i = 0; i < this.#count; i++) scope.set(this.#prefixes[i] as string, this.#uris[i] as string)
    return scope
  }
}

/**
 * The namespace a declaration names. A name that holds white space is no URI reference, and parsers that join namespace and
 * local name by such a character would take one for the other (CVE-2022-25236).
 * @throws StreamError not-well-formed, bad-namespace-prefix
 */
export function readNamespace(buf: Buffer, start: number, end: number): string {
  const known = knownNamespace(buf, start, end)
  if (known !== undefined) return known
  const uri = decodeValue(buf, start, end)
  for (let i = 0; i < uri.length; i++) {
    if (uri.charCodeAt(i) <= 0x20) throw new StreamError('not-well-formed', 'white space in a namespace name')
  }
  if (uri === NS_XML || uri === NS_XMLNS) throw new StreamError('bad-namespace-prefix', 'reserved namespace declared')
  return uri
}
export function isXml(buf: Uint8Array, start: number, end: number): boolean {
  return equals('xml', buf, start, end)
}
export function isXmlns(buf: Uint8Array, start: number, end: number): boolean {
  return equals('xmlns', buf, start, end)
}
