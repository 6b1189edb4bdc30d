import { type Element, el } from './element.ts'
import type { Jid } from './jid.ts'
import { NS_SID } from './ns.ts'

/** The id under which the archive of `by` holds a message (XEP-0359 §3.1); `id` is its entry's. */
export function stanzaId(by: Jid, id: number): Element {
  return el('stanza-id', NS_SID, { id: String(id), by })
}

/** The entry an id of an archive names; undefined when it cannot be one. */
export function entryIdOf(text: string): number | undefined {
  if (!/^[1-9]\d{0,15}$/.test(text)) return undefined
  const id = Number(text)
  return Number.isSafeInteger(id) ? id : undefined
}
