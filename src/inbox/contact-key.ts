import { fnv1a } from '../util/fnv.ts'
import type { BareJid } from '../xmpp/jid.ts'

/**
 * A signed 32-bit number that stands for an address in indexes: two addresses may share one, so whoever looks by it compares the
 * address too.
 */
export function contactKey(address: BareJid): number {
  return fnv1a(address)
}
