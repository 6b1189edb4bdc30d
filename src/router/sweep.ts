import type { InboxStore } from '../inbox/store.ts'
import { isBehind, type Registry } from '../presence/registry.ts'

/** Accounts looked at in one query. */
const PAGE = 100

/**
 * Removes what lingers for sessions that are there no more or have read it: what the nodes that took it could not, because they
 * were stopped or had no session of the account left. Rejects with what the store throws.
 */
export async function sweepLingering(store: InboxStore, registry: Registry): Promise<void> {
  for (let after = 0; ; ) {
    const page = await store.lingering(after, PAGE)
    for (const { account, jid } of page) {
      const sessions = await registry.of(jid)
      if (!sessions.some(isBehind)) await store.sweep(account)
      after = account
    }
    if (page.length < PAGE) return
  }
}
