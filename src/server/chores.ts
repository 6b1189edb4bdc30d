import { removeUnused } from '../account/unused.ts'
import type { Config } from '../config/schema.ts'
import { tidyArchives } from '../inbox/tidy.ts'
import type { Keys } from '../keys/directory.ts'
import { sweepLingering } from '../router/sweep.ts'
import type { BareJid } from '../xmpp/jid.ts'
import type { Base } from './base.ts'
import type { Chore } from './housekeeping.ts'
import type { Messaging } from './messaging.ts'
import type { Services } from './services.ts'

const CLEAR_MS = 10 * 60_000
const TIDY_MS = 60 * 60_000
const KEYS_MS = 60_000
const LEFT_MS = 60_000

/** What is to be done now and then. `reloadKeys`: reads the server's keys again. */
export function choresOf(
  base: Base,
  keys: Keys,
  { inboxStore, archive, registry, sessions, activity }: Messaging,
  { devices, keyTransfers, lookups, verification, uploads }: Services,
  reloadKeys: () => Promise<void>,
  signal: AbortSignal,
): readonly Chore[] {
  const { config, core, logs, metrics } = base
  const { inactive_after: inactiveAfter, inactive_except: inactiveExcept } = config.account
  const removeUnusedAfter = (after: number): Chore => ({
    what: 'removal of unused accounts',
    everyMs: TIDY_MS,
    isDoneAtStart: true,
    work: async () => {
      const except = new Set([...inactiveExcept, ...operatorsOf(config)])
      const isConnected = async (jid: BareJid) => (await registry.of(jid)).length > 0
      const parts = { store: core.stores.activity, accounts: core.accounts, signal }
      const removed = await removeUnused({ ...parts, after, except, isConnected })
      metrics.unused.inc(removed)
      if (removed > 0) logs.root.info({ removed }, 'unused accounts removed')
    },
  })
  return [
    {
      what: 'expiry',
      everyMs: CLEAR_MS,
      isDoneAtStart: true,
      work: () => inboxStore.expire(Date.now() - config.inbox.open_for),
    },
    {
      what: 'removal of what accounts have left',
      everyMs: LEFT_MS,
      isDoneAtStart: true,
      work: async () => {
        while (!signal.aborted && (await inboxStore.clear()));
      },
    },
    { what: 'sweep', everyMs: CLEAR_MS, work: () => sweepLingering(inboxStore, registry) },
    { what: 'purge of devices', everyMs: CLEAR_MS, work: () => devices.purge() },
    { what: 'purge of key transfers', everyMs: CLEAR_MS, work: () => keyTransfers.purge() },
    { what: 'reading of server keys', everyMs: KEYS_MS, work: reloadKeys },
    {
      what: 'ending of what expired keys have opened',
      everyMs: KEYS_MS,
      isDoneAtStart: true,
      work: async () => {
        const ended = await keys.endExpired()
        if (ended > 0) logs.root.info({ ended }, 'keys of accounts have expired')
      },
    },
    { what: 'purge of lookups', everyMs: TIDY_MS, work: () => lookups.purge() },
    {
      what: 'use of accounts',
      everyMs: CLEAR_MS,
      work: async () => {
        for (const { accountId } of sessions) activity.seen(accountId)
      },
    },
    { what: 'purge of verifications', everyMs: CLEAR_MS, work: () => verification.purge() },
    ...(inactiveAfter === undefined ? [] : [removeUnusedAfter(inactiveAfter)]),
    ...(uploads === undefined
      ? []
      : [{ what: 'sweep of uploads', everyMs: CLEAR_MS, isDoneAtStart: true, work: () => uploads.sweep(signal) }]),
    {
      what: 'tidying of archives',
      everyMs: TIDY_MS,
      isDoneAtStart: true,
      work: async () => {
        const bounds = { ...config.limits.archive, before: Date.now() - config.inbox.retention }
        const removed = await tidyArchives(archive, bounds, signal)
        metrics.removed.inc(removed)
        if (removed > 0) logs.root.info({ removed }, 'archives tidied')
      },
    },
  ]
}

function operatorsOf({ features }: Config): readonly BareJid[] {
  const { commands } = features as { readonly commands?: false | { readonly operators: readonly BareJid[] } }
  return commands === undefined || commands === false ? [] : commands.operators
}
