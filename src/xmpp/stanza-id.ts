import { type Element, el } from './element.ts'
import type { BareJid } from './jid.ts'
import { NS_STANZA_ID } from './ns.ts'

/** The id of an archived entry as its account's sessions see it (XEP-0359): the same by which the archive is asked. */
export function stanzaId(by: BareJid, id: number): Element {
  return el('stanza-id', NS_STANZA_ID, { by, id: String(id) })
}
