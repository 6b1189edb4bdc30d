import type { ArchivingPreferences } from '../account/archiving.ts'
import { type BareJid, bareOf, isFull, type Jid } from '../xmpp/jid.ts'

/**
 * Whether messages to or from `peer`, with its resource where there is one, belong into the archive (XEP-0441 §2.3). Who is on
 * both lists is not archived; a roster's unanswered requests are no contacts.
 */
export function isArchived(
  { rule, always, never }: ArchivingPreferences,
  roster: ReadonlyMap<BareJid, { readonly listed: boolean }>,
  peer: Jid,
): boolean {
  if (includes(never, peer)) return false
  if (rule === 'always' || includes(always, peer)) return true
  return rule === 'roster' && roster.get(bareOf(peer))?.listed === true
}
function includes(list: ReadonlySet<Jid>, peer: Jid): boolean {
  if (list.size === 0) return false
  return list.has(peer) || (isFull(peer) && list.has(bareOf(peer)))
}
