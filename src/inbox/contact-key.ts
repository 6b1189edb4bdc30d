import type { BareJid } from '../xmpp/jid.ts'

/**
 * A signed 32-bit number that stands for an address in indexes (FNV-1a of its UTF-16 units): two addresses may share one, so
 * whoever looks by it compares the address too.
 */
export function contactKey(address: BareJid): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < address.length; i++) hash = Math.imul(hash ^ address.charCodeAt(i), 0x01000193)
  return hash
}
