import { type BareJid, bareOf, domainOf, type Jid } from '../xmpp/jid.ts'
import type { RosterStore } from './store.ts'

/** Whose list is meant; an `AccountView` is one. */
export interface Blocker {
  readonly jid: BareJid
  readonly blocked: ReadonlySet<Jid>
}

/**
 * Whether nothing may pass between the account and the other address (XEP-0191 §5): it is on the list, or without its resource, or
 * its domain is. The account's own devices and its server are never blocked, whatever the list says (§4).
 */
export function isBlocked({ jid, blocked }: Blocker, other: Jid): boolean {
  if (blocked.size === 0) return false
  const bare: Jid = bareOf(other)
  if (bare === jid || bare === (domainOf(jid) as Jid)) return false
  return blocked.has(other) || blocked.has(bare) || blocked.has(domainOf(other))
}

/** The same rosters with empty lists, for a server that does not offer blocking: what was listed before is neither applied nor lost. */
export function withoutBlocks(store: RosterStore): RosterStore {
  return {
    load: async (jid) => {
      const found = await store.load(jid)
      return found && { ...found, blocked: [] }
    },
    change: (...args) => store.change(...args),
    since: (...args) => store.since(...args),
  }
}
