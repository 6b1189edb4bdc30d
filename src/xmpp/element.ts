import { Element as LtxElement } from 'ltx'
import { serialize } from './serialize.ts'

/** By name: un-namespaced attributes as they are, `xml:lang` and its kin, and `{namespace}local` for all others. */
export type Attributes = Readonly<Record<string, string>>

/** An XML element, read-only. `ns` is resolved (never a prefix); `attrs` has no prototype. */
export interface Element {
  readonly name: string
  readonly ns: string
  readonly attrs: Attributes
  readonly children: readonly (Element | string)[]
}

/** Shared by all elements without attributes. */
export const noAttributes: Attributes = Object.freeze(Object.create(null) as Record<string, string>)

/** The one kind of element that exists: ltx's, with namespaces resolved instead of kept as prefixes and `xmlns` attributes. */
class XmlElement extends LtxElement implements Element {
  readonly ns: string
  declare attrs: Record<string, string>
  declare children: (XmlElement | string)[]

  constructor(name: string, ns: string, attrs: Attributes, children: readonly (Element | string)[]) {
    super(name)
    this.ns = ns
    this.attrs = attrs
    this.children = children as (XmlElement | string)[]
  }
  override getName(): string {
    return this.name
  }
  override getNS(): string {
    return this.ns
  }
  override toString(): string {
    return serialize(this, '')
  }
  override write(writer: (text: string) => void): void {
    writer(serialize(this, ''))
  }
}

/** An element of parts that are nobody else's; `attrs` must have no prototype. */
export function newElement(
  name: string,
  ns: string,
  attrs: Attributes,
  children: readonly (Element | string)[],
): Element {
  return new XmlElement(name, ns, attrs, children)
}
/** Builds an element. Text is given as it means, not escaped. */
export function el(name: string, ns: string, attrs?: Attributes, ...children: readonly (Element | string)[]): Element {
  let own = noAttributes
  for (const key in attrs) {
    if (own === noAttributes) own = Object.create(null) as Attributes
    ;(own as Record<string, string>)[key] = attrs[key] as string
  }
  return new XmlElement(name, ns, own, children)
}
export function child(e: Element, name: string, ns: string): Element | undefined {
  for (const c of e.children) if (typeof c !== 'string' && c.name === name && c.ns === ns) return c
  return undefined
}
export function children(e: Element, name: string, ns: string): Element[] {
  return e.children.filter((c): c is Element => typeof c !== 'string' && c.name === name && c.ns === ns)
}
/** The first child element, whatever its name. */
export function firstElement(e: Element): Element | undefined {
  for (const c of e.children) if (typeof c !== 'string') return c
  return undefined
}
/** Concatenated character data of the element itself. */
export function textOf(e: Element): string {
  return e.children.filter((c) => typeof c === 'string').join('')
}
