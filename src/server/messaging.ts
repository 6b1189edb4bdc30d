import type { AccountChange } from '../account/accounts.ts'
import { Activity } from '../account/activity.ts'
import { LastSeen } from '../account/last-seen.ts'
import type { Account } from '../account/store.ts'
import { Sessions } from '../c2s/sessions.ts'
import type { AccountView } from '../contract/account-view.ts'
import type { Session } from '../contract/session.ts'
import type { ArchiveStore } from '../inbox/archive.ts'
import { isArchived } from '../inbox/archiving.ts'
import { Inbox } from '../inbox/inbox.ts'
import { POLICIES, type Policy } from '../inbox/policy.ts'
import { Quota } from '../inbox/quota.ts'
import { SealedArchiveStore, SealedInboxStore } from '../inbox/sealed-store.ts'
import type { InboxStore } from '../inbox/store.ts'
import type { Keys } from '../keys/directory.ts'
import type { Bus } from '../presence/bus.ts'
import type { Registry } from '../presence/registry.ts'
import { withoutBlocks } from '../roster/blocking.ts'
import { Rosters } from '../roster/roster.ts'
import { Router } from '../router/line.ts'
import { PresenceStep } from '../router/presence.ts'
import { measured } from '../storage/measured.ts'
import type { MemoryNetwork } from '../storage/memory/network.ts'
import { StoreError } from '../storage/sql.ts'
import type { BareJid, Domain, FullJid, Jid } from '../xmpp/jid.ts'
import { withNotice } from '../xmpp/public-key.ts'
import { retractionOf } from '../xmpp/retraction.ts'
import type { Base } from './base.ts'

/** All that a stanza meets on its way: sessions, line, inbox, presence. */
export interface Messaging {
  readonly bus: Bus
  readonly registry: Registry
  readonly sessions: Sessions
  readonly line: Router
  readonly presence: PresenceStep
  readonly rosters: Rosters
  readonly inbox: Inbox
  readonly inboxStore: InboxStore
  readonly archive: ArchiveStore
  readonly lastSeen: LastSeen
  readonly activity: Activity
  /** What the line takes for its own; services are added before the first stanza. */
  readonly served: { readonly domains: ReadonlySet<Domain>; readonly services: Set<Jid> }
  readonly domainPolicy: Policy
  policyOf(view: Pick<AccountView, 'account'>): Policy
  /** See `OnAccountChanged`. */
  accountChanged(jid: BareJid, what: AccountChange, by: FullJid | undefined): void | Promise<void>
  accountRemoving(account: Account): Promise<void>
  sessionEnded(session: Session): unknown
}

/** `serverKeysChanged`: another node has changed the server's OpenPGP keys. */
export function startMessaging(
  base: Base,
  network: MemoryNetwork,
  keys: Keys,
  serverKeysChanged: () => void,
): Messaging {
  const { config, core, logs, time, wheel, isOn, teardown } = base
  const { limits } = config
  const { domains, stores, sealing } = core
  const bus = network.join()
  teardown.add(() => bus.close())
  const { registry } = network
  const sessions = new Sessions(wheel, limits.session.per_account)
  const sealedLog = logs.part({ part: 'inbox' })
  const inboxStore = measured(new SealedInboxStore(stores.inbox, sealing.seal, sealedLog), 'inbox', time)
  const archive = measured(new SealedArchiveStore(stores.archive, sealing.seal, sealedLog), 'archive', time)
  const rosterStore = measured(stores.rosters, 'roster', time)
  const isUnavailable = (error: unknown) => error instanceof StoreError && error.fault === 'unavailable'
  const quota = new Quota(inboxStore, limits.inbox.open_entries, limits.inbox.open_bytes)
  const inbox = new Inbox(inboxStore, quota, isUnavailable, wheel, logs.part({ part: 'inbox' }), {
    kept: (entry) => line.kept(entry),
  })
  const served = { domains, services: new Set<Jid>() }
  const domainPolicy = POLICIES[config.inbox.delivery]
  const policyOf = ({ account }: Pick<AccountView, 'account'>) =>
    account?.delivery === undefined ? domainPolicy : POLICIES[account.delivery]
  const line = new Router({
    served,
    registry,
    sessions,
    inbox,
    bus,
    rosters: isOn('blocking') ? rosterStore : withoutBlocks(rosterStore),
    policyOf,
    serverKeysChanged,
    archives: (view, peer) => isOn('archive') && isArchived(view.archiving, view.roster, peer),
    retracts: isOn('retraction') ? retractionOf : () => undefined,
    log: logs.part({ part: 'router' }),
  })
  line.views.keepWhile((account) => sessions.of(account).length > 0)
  const rosters = new Rosters({
    store: rosterStore,
    maxItems: limits.roster.max_items,
    maxGroups: limits.roster.max_groups,
  })
  const lastSeenStore = measured(stores.lastSeen, 'last_seen', time)
  const lastSeen = new LastSeen(lastSeenStore, (error) => logs.root.warn({ err: error }, 'last activity not written'))
  teardown.add(() => lastSeen.close())
  const activity = new Activity(measured(stores.activity, 'activity', time), (error) =>
    logs.root.warn({ err: error }, 'use of accounts not written'),
  )
  teardown.add(() => activity.close())
  const presence = new PresenceStep({
    line,
    registry,
    views: line.views,
    rosters,
    domains,
    maxDirected: limits.session.directed_presence,
    log: logs.part({ part: 'presence' }),
    sessionOf: (jid) => sessions.get(jid),
    available: (session, priority, stanza) => sessions.get(session.jid)?.available(priority, stanza),
    ...(isOn('public_keys') ? { keyOf: (account: Account) => keys.of(account) } : {}),
    ...(isOn('last_activity')
      ? { lastSeen: (asker: FullJid, contacts: readonly BareJid[]) => lastSeenStore.ofContacts(asker, contacts) }
      : {}),
  })
  /** The session by which the key was replaced stays: its contacts are told whose messages to expect. */
  const rekeyed = async (jid: BareJid, by: FullJid): Promise<void> => {
    try {
      const { account } = await line.views.load(jid)
      const session = sessions.get(by)
      if (session !== undefined) await presence.restate(session, (said) => withNotice(said, account?.fingerprint))
    } catch (error) {
      logs.root.warn({ err: error }, 'new key not told')
    }
  }

  return {
    bus,
    registry,
    sessions,
    line,
    presence,
    rosters,
    inbox,
    inboxStore,
    archive,
    lastSeen,
    activity,
    served,
    domainPolicy,
    policyOf,
    accountChanged: (jid, what, by) => {
      // Before anybody sees the new account: no session of the old one is left to act in its name.
      if (what === 'replaced') line.end(jid, 'not-authorized', 'This number was registered anew.', undefined)
      line.views.changed(jid)
      if (what === 'delivery') line.turned(jid)
      if (what === 'disabled' || what === 'removed' || what === 'password' || what === 'key')
        line.end(jid, 'not-authorized', `The account was changed: ${what}.`, by)
      return what === 'key' && by !== undefined && isOn('public_keys') ? rekeyed(jid, by) : undefined
    },
    accountRemoving: async (account) => {
      const view = await line.views.load(account.jid)
      for (const item of view.roster.values()) await presence.cancel(account.jid, item)
    },
    sessionEnded: (session) => {
      if (isOn('last_activity')) lastSeen.ended(session.accountId, Date.now())
      activity.seen(session.accountId)
      return presence.sessionEnded(session)
    },
  }
}
