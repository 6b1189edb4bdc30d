import type { Element } from './element.ts'

/** The element as canonical XML; `xmlns` is written only where it differs from `inherited`. */
export function serialize(element: Element, inherited: string): string {
  return element.name + inherited
}
