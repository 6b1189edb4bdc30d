import type { BareJid } from '../xmpp/jid.ts'
import type { Accounts } from './accounts.ts'
import type { ActivityStore } from './activity.ts'

const LEASE = 'removal of unused accounts'
/** Shorter than the time between two runs, longer than one. */
const LEASE_MS = 50 * 60_000
const AT_ONCE = 500
/** Accounts removed in one run: each takes leave of its contacts. */
const MOST = 2_000

export interface Removal {
  readonly store: Pick<ActivityStore, 'unused' | 'lease'>
  readonly accounts: Pick<Accounts, 'removeUnused'>
  /** Ms. */
  readonly after: number
  /** These stay, whoever uses them. */
  readonly except: ReadonlySet<BareJid>
  readonly isConnected: (jid: BareJid) => boolean | Promise<boolean>
  readonly signal: AbortSignal
  readonly now?: () => number
}

/** Removes accounts that nobody has used for so long; one node at a time, within bounds. @returns how many */
export async function removeUnused(removal: Removal): Promise<number> {
  const { store, accounts, except, isConnected, signal, now = Date.now } = removal
  const begun = now()
  const before = begun - removal.after
  if (!(await store.lease(LEASE, begun, begun + LEASE_MS))) return 0
  let removed = 0
  let passed = 0
  while (removed < MOST && !signal.aborted) {
    const found = await store.unused(before, AT_ONCE, passed)
    for (const { jid } of found) {
      if (signal.aborted) return removed
      const isKept = except.has(jid) || (await isConnected(jid))
      if (!isKept && (await accounts.removeUnused(jid, before))) removed++
      else passed++
    }
    if (found.length < AT_ONCE) break
  }
  return removed
}
