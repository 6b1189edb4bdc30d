/** An XML element, read-only. `ns` is resolved (never a prefix); `attrs` holds un-namespaced attributes and `xml:lang`. */
export interface Element {
  readonly name: string
  readonly ns: string
  readonly attrs: Readonly<Record<string, string>>
  readonly children: readonly (Element | string)[]
}
export function el(
  name: string,
  ns: string,
  attrs: Readonly<Record<string, string>> = {},
  ...children: readonly (Element | string)[]
): Element {
  return { name, ns, attrs, children }
}
export function child(e: Element, name: string, ns: string): Element | undefined {
  return e.children.find((c): c is Element => typeof c !== 'string' && c.name === name && c.ns === ns)
}
export function children(e: Element, name: string, ns: string): Element[] {
  return e.children.filter((c): c is Element => typeof c !== 'string' && c.name === name && c.ns === ns)
}
/** The first child element, whatever its name. */
export function firstElement(e: Element): Element | undefined {
  return e.children.find((c): c is Element => typeof c !== 'string')
}
/** Concatenated character data of the element itself. */
export function textOf(e: Element): string {
  return e.children.filter((c) => typeof c === 'string').join('')
}
