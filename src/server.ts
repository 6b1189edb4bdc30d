import { readFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { Activity } from './account/activity.ts'
import { Devices } from './account/devices.ts'
import { LastSeen } from './account/last-seen.ts'
import { Lookups } from './account/lookups.ts'
import { BLOCKED_PREFIXES } from './account/phone-number.ts'
import { Registration } from './account/registration.ts'
import { SealedPrivateStore } from './account/sealed-private-store.ts'
import type { Account } from './account/store.ts'
import { Takeovers } from './account/takeovers.ts'
import { Tokens } from './account/tokens.ts'
import { removeUnused } from './account/unused.ts'
import { CoreAdmin } from './admin.ts'
import { Clients } from './c2s/c2s.ts'
import { Sessions } from './c2s/sessions.ts'
import type { Config } from './config/schema.ts'
import type { Address } from './config/units.ts'
import type { AccountView } from './contract/account-view.ts'
import type { Admin } from './contract/admin.ts'
import { enabledOf, type Handlers } from './contract/feature.ts'
import type { Service } from './contract/handler.ts'
import type { Ports } from './contract/ports.ts'
import type { Session } from './contract/session.ts'
import { type Core, checkSealing, openCore, openKeys } from './core.ts'
import { FEATURES } from './features/index.ts'
import { type Chore, Housekeeping } from './housekeeping.ts'
import { serveAdmin } from './http/admin-socket.ts'
import { listenOps } from './http/ops.ts'
import { listenPublic, type PublicHttp } from './http/public.ts'
import { smsReportRoutes } from './http/sms-reports.ts'
import { isArchived } from './inbox/archiving.ts'
import { Inbox } from './inbox/inbox.ts'
import { POLICIES } from './inbox/policy.ts'
import { Quota } from './inbox/quota.ts'
import { SealedArchiveStore, SealedInboxStore } from './inbox/sealed-store.ts'
import { tidyArchives } from './inbox/tidy.ts'
import { Waiting } from './inbox/waiting.ts'
import { KeyListing } from './keys/listing.ts'
import { KeyTransfers } from './keys/transfers.ts'
import { Certificates, developmentCertificate } from './net/certificates.ts'
import { ConnectionCounts, listen } from './net/listener.ts'
import { Proxies } from './net/proxies.ts'
import { type HandshakeWay, secureServerSocket } from './net/secure.ts'
import { takeoverNotice, transferNotice } from './notices.ts'
import { withoutBlocks } from './roster/blocking.ts'
import { Rosters } from './roster/roster.ts'
import { Router } from './router/line.ts'
import { PresenceStep } from './router/presence.ts'
import { sweepLingering } from './router/sweep.ts'
import { SERVER_METRICS } from './server-metrics.ts'
import { measured, type StoreHistogram, storeHistogram } from './storage/measured.ts'
import { MemoryNetwork } from './storage/memory/network.ts'
import { openStores, type Stores } from './storage/open.ts'
import { StoreError } from './storage/sql.ts'
import { UploadFolder } from './storage/upload-folder.ts'
import { Turns } from './stream/connection.ts'
import { tlsFactsOf } from './stream/tls-facts.ts'
import { createLogs, type LogOptions } from './telemetry/log.ts'
import { MetricRegistry } from './telemetry/metrics.ts'
import { Uploads } from './uploads/uploads.ts'
import { networkOf } from './util/network.ts'
import { RateLimit } from './util/rate-limit.ts'
import { StartError } from './util/start-error.ts'
import { Turnstile } from './util/turnstile.ts'
import { Wheel } from './util/wheel.ts'
import { verificationOf } from './verification-of.ts'
import { type BareJid, bareJid, type Domain, type FullJid, type Jid } from './xmpp/jid.ts'
import { withNotice } from './xmpp/public-key.ts'
import { BindingError, type SaslError } from './xmpp/sasl-error.ts'

const TICK_MS = 100
const CLEAR_MS = 10 * 60_000
const TIDY_MS = 60 * 60_000
const KEYS_MS = 60_000
const LEFT_MS = 60_000
/** Answers of a provider that checks a code; everything else is a failure. */
const CHECKED: ReadonlySet<string> = new Set(['right', 'wrong', 'gone'])
const SOFTWARE = {
  name: 'Fernruf',
  version: (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
    .version,
}

export interface Listening {
  readonly kind: 'starttls' | 'direct_tls' | 'http' | 'https' | 'ops'
  readonly address: Address
}
export interface RunningServer {
  readonly addresses: readonly Listening[]
  readonly domains: readonly Domain[]
  /** Of the server's OpenPGP key. */
  readonly fingerprint: string
  readonly admin: Admin
  /** Log level and certificates follow the new config; nothing else does. */
  reload(config: Config): Promise<void>
  /** Graceful: what clients have sent is committed and told before their streams end. */
  close(): Promise<void>
  /** Settles with the error that stopped the server by itself, never otherwise. */
  readonly closed: Promise<Error>
}
export interface ServerOptions {
  /** Shared with other servers of this process; then the caller migrates and closes them. */
  readonly stores?: Stores
  readonly network?: MemoryNetwork
  readonly log?: LogOptions['destination']
  readonly printCode?: (line: string) => void
}

/** What must be taken down again, in reverse order. */
class Teardown {
  readonly #steps: (() => unknown)[] = []
  add(step: () => unknown): void {
    this.#steps.push(step)
  }
  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step()
  }
}

/** The whole server, built in the order of its layers. @throws StartError */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const teardown = new Teardown()
  try {
    return await start(config, options, teardown)
  } catch (error) {
    await teardown.run()
    throw error
  }
}

async function start(config: Config, options: ServerOptions, teardown: Teardown): Promise<RunningServer> {
  const { limits } = config
  let router: Router | undefined
  const core = await openCore(config, {
    ...(options.stores === undefined ? {} : { stores: options.stores }),
    onChanged: (jid, what, by) => {
      // Before anybody sees the new account: no session of the old one is left to act in its name.
      if (what === 'replaced') router?.end(jid, 'not-authorized', 'This number was registered anew.', undefined)
      router?.views.changed(jid)
      if (what === 'delivery') router?.turned(jid)
      if (what === 'disabled' || what === 'removed' || what === 'password' || what === 'key')
        router?.end(jid, 'not-authorized', `The account was changed: ${what}.`, by)
      return what === 'key' && by !== undefined && isOn('public_keys') ? rekeyed(jid, by) : undefined
    },
    onRemoving: async (account) => {
      const view = await router?.views.load(account.jid)
      for (const item of view?.roster.values() ?? []) await presence.cancel(account.jid, item)
    },
  })
  teardown.add(() => (options.stores === undefined ? core.stores.close() : undefined))
  const { domains, root, stores, sealing } = core
  await checkSealing(core)
  const enabled = enabledOf(FEATURES, config.features)
  const enabledNames = new Set(enabled.map((feature) => feature.name))
  const isOn = (name: string): boolean => enabledNames.has(name)
  const logs = createLogs({
    level: config.log.level,
    format: config.log.format,
    tagKey: root.derive('log tags'),
    ...(options.log === undefined ? {} : { destination: options.log }),
  })
  const metrics = new MetricRegistry({ process: options.stores === undefined })
  const m = metrics.build(SERVER_METRICS)
  const time = storeHistogram(metrics.registry)
  const keys = await openKeys(core, config.database === undefined || config.environment === 'development', (jid) =>
    router?.views.changed(jid),
  )

  const wheel = new Wheel(TICK_MS)
  teardown.add(() => wheel.stop())
  const network = options.network ?? new MemoryNetwork()
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
    serverKeysChanged: () => void reloadKeys(),
    archives: (view, peer) => isOn('archive') && isArchived(view.archiving, view.roster, peer),
    log: logs.part({ part: 'router' }),
  })
  router = line
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

  /** Also done now and then: whoever changes the store from outside has no bus. */
  const reloadKeys = async (): Promise<void> => {
    try {
      if (await keys.reload()) logs.root.info({ key: keys.serverKey().fingerprint }, 'server keys changed')
    } catch (error) {
      logs.root.warn({ err: error }, 'server keys not read again')
    }
  }
  const smsLog = logs.part({ part: 'sms' })
  const verification = await verificationOf(config, options.printCode, core.stores.database, root, {
    report: ({ provider, step, outcome, country }) => {
      const isSending = step === 'send'
      if (isSending) m.sms.inc({ provider, outcome, country })
      else m.smsChecks.inc({ provider, outcome })
      if (isSending ? outcome !== 'sent' : !CHECKED.has(outcome))
        smsLog.warn({ provider, outcome }, isSending ? 'sms not sent' : 'sms code not checked')
    },
    refused: (budget) => m.registrationRefused.inc({ budget }),
    confirmed: (country) => m.smsConfirmed.inc({ country }),
    heard: (provider, status) => m.smsReports.inc({ provider, status }),
    circuit: (provider, state) => {
      m.smsCircuit.set({ provider }, state === 'closed' ? 0 : 1)
      if (state === 'open') smsLog.warn({ provider }, 'sms provider not asked for a while')
    },
  })
  teardown.add(() => verification.close())
  const loginStore = measured(stores.logins, 'login', time)
  const devices = new Devices({
    store: loginStore,
    key: root.derive('resources'),
    max: limits.login.devices,
    keptMs: limits.login.device_kept,
  })
  const tokens = new Tokens({
    store: loginStore,
    keys: root.deriveAll('fast'),
    lifetimeMs: limits.login.token_lifetime,
  })
  const keyTransfers = new KeyTransfers({
    store: measured(stores.keyTransfers, 'key_transfer', time),
    accounts: stores.accounts,
    keys,
    lifetimeMs: limits.login.transfer_lifetime,
    tries: limits.login.transfer_tries,
    tell: (jid, news) => line.notify(transferNotice(jid, news)),
  })
  const lookups = new Lookups({
    store: measured(stores.lookups, 'lookup', time),
    key: root.derive('lookups'),
    domains,
    newPerDay: limits.lookup.new_per_day,
    remoteNewPerDay: limits.lookup.remote_new_per_day,
    webNewPerDay: limits.lookup.web_new_per_day,
    keptMs: limits.lookup.kept,
  })
  const audit = logs.part({ part: 'takeover' })
  const takeovers = new Takeovers({
    store: measured(stores.takeovers, 'takeover', time),
    accounts: stores.accounts,
    passwords: core.passwords,
    rules: {
      activeMs: config.account.takeover_active,
      delayMs: config.account.takeover_delay,
      lockKeptMs: config.account.lock_kept,
    },
    lockTries: limits.registration.lock_attempts,
    isConnected: async (jid) => (await registry.of(jid)).length > 0,
    tell: (jid, notice) => line.notify(takeoverNotice(jid, notice, isOn('takeover'))),
    audit: (jid, event) => {
      m.takeovers.inc({ event })
      audit.info({ account: logs.accountTag(jid), event }, 'takeover')
    },
  })
  const registration = new Registration({
    modes: new Set(config.account.registration.filter((mode) => mode === 'sms' || mode === 'open')),
    phones: {
      countries: config.account.countries === undefined ? undefined : new Set(config.account.countries),
      blockedPrefixes: BLOCKED_PREFIXES,
      acceptUnassigned: config.environment === 'development',
    },
    accounts: core.accounts,
    verification,
    certifier: keys,
    takeovers,
  })

  const uploads = config.http.public === undefined ? undefined : await openUploads(config, core, time)
  let web: PublicHttp | undefined
  const handlers: Handlers[] = []
  const services: Service[] = []
  const serverFeatures = new Set(['msgoffline', ...enabled.flatMap((f) => f.disco?.server ?? [])])
  const ports: Ports = {
    line,
    disco: {
      domains,
      get serverFeatures() {
        return [...serverFeatures]
      },
      accountFeatures: [...new Set(enabled.flatMap((f) => f.disco?.account ?? []))],
      services,
      nodes: {
        find: (asked) => {
          for (const { discoNodes } of handlers) {
            const found = discoNodes?.find(asked)
            if (found !== undefined) return found
          }
          return undefined
        },
      },
      software: SOFTWARE,
    },
    commands: {
      all: () => handlers.flatMap((h) => h.commands ?? []),
      find: (node) => handlers.flatMap((h) => h.commands ?? []).find((command) => command.node === node),
    },
    sessions: { end: (account, condition, text, except) => line.end(account, condition, text, except) },
    views: line.views,
    registry,
    accounts: core.accounts,
    devices,
    registration,
    rosters,
    blocks: measured(stores.blocks, 'blocking', time),
    reports: measured(stores.reports, 'reports', time),
    privateXml: measured(new SealedPrivateStore(stores.privateXml, sealing.seal), 'private', time),
    vcards: measured(stores.vcards, 'vcard', time),
    lastSeen,
    lookups,
    presence,
    keys,
    keyTransfers,
    takeovers,
    keyListing: new KeyListing({
      store: measured(stores.keyListing, 'key_listing', time),
      keys,
      lookups,
    }),
    archive,
    waiting: new Waiting({
      store: inboxStore,
      flushed: (account) => inbox.flushed(account),
      policyOf: (account) => policyOf({ account }),
    }),
    push: measured(stores.push, 'push', time),
    network: measured(stores.network, 'network', time),
    web: config.http.public && {
      get url() {
        return config.http.public?.url ?? `http://localhost:${web?.addresses[0]?.address.port}`
      },
    },
    uploads,
  }
  const stop = new AbortController()
  teardown.add(() => stop.abort())
  for (const feature of enabled) {
    const log = logs.part({ feature: feature.name })
    const made = await feature.setup({
      config: config.features[feature.name],
      metrics: metrics.build(feature.metrics),
      ports,
      log,
      signal: stop.signal,
    })
    handlers.push(made)
    services.push(...(made.services ?? []))
    for (const name of made.serverFeatures ?? []) serverFeatures.add(name)
  }
  for (const domain of domains) for (const { local } of services) served.services.add(bareJid(local, domain))
  line.open(
    presence,
    handlers.flatMap((h) => h.iq ?? []),
    handlers.flatMap((h) => h.hooks ?? []),
    handlers.flatMap((h) => h.messages ?? []),
  )

  const sessionEnded = (session: Session): unknown => {
    if (isOn('last_activity')) lastSeen.ended(session.accountId, Date.now())
    activity.seen(session.accountId)
    return presence.sessionEnded(session)
  }
  const handshakes = new Turnstile()
  const certificates = await Certificates.open(
    config.tls ?? (await developmentCertificate(config.data_dir, config.domains)),
    logs.part({ part: 'tls' }),
  )
  teardown.add(() => certificates.close())
  const failures = new RateLimit(limits.login.failures_per_address)
  const elementLimits = (l: Config['limits']['stanza']) => ({
    maxBytes: l.max_bytes,
    maxDepth: l.max_depth,
    maxElements: l.max_elements,
    maxAttributes: l.max_attributes,
    maxNamespaces: l.max_namespaces,
  })
  const c2sLog = logs.part({ part: 'c2s' })
  const counts = new ConnectionCounts({
    total: limits.connections.total,
    perAddress: limits.connections.per_address,
    beforeLogin: limits.connections.before_login,
    beforeLoginPerAddress: limits.connections.before_login_per_address,
  })
  const clients = new Clients({
    context: {
      turns: new Turns(),
      wheel,
      log: c2sLog,
      domains,
      closed: (condition) => m.closed.inc({ condition }),
      closeMs: limits.stream.close_timeout,
      outQueueBytes: limits.stream.out_queue,
    },
    session: {
      node: bus.node,
      line,
      presence: { sessionEnded },
      inbox,
      registry,
      sessions,
      policyOf: (account) => {
        const view = line.views.peek(account)
        return view === undefined ? line.views.load(account).then(policyOf, () => domainPolicy) : policyOf(view)
      },
      nonzas: new Map(handlers.flatMap((h) => h.nonzas ?? []).map((n) => [`${n.name} ${n.ns}`, n])),
      resumed: handlers.flatMap((h) => h.resumed ?? []),
      limits: {
        resumeMs: limits.session.resume_time,
        idleMs: limits.stream.idle_timeout,
        answerMs: limits.stream.answer_timeout,
        unacknowledged: limits.session.unacknowledged,
        unacknowledgedBytes: limits.session.unacknowledged_bytes,
        exclusiveMs: config.inbox.exclusive_timeout,
        perAccount: limits.session.per_account,
      },
      log: c2sLog,
      tagOf: logs.accountTag,
    },
    counts,
    features: handlers.flatMap((h) => h.streamFeatures ?? []),
    bindInlines: handlers.flatMap((h) => h.bind2 ?? []),
    negotiation: {
      sasl: {
        credentials: measured(stores.accounts, 'account', time),
        decoys: core.decoys,
        passwords: core.passwords,
        bridgeLogin: (certificate, domain) => keys.login(certificate, domain),
      },
      tokens,
      devices,
      addSecrets: (state, secrets) => stores.accounts.addSecrets(state, secrets),
      limits: { before: elementLimits(limits.stanza_before_login), after: elementLimits(limits.stanza) },
      loginMs: limits.stream.login_timeout,
      idleMs: limits.stream.idle_timeout,
      loginAttempts: limits.login.attempts,
      mayTry: (ip) => failures.has(networkOf(ip)),
      tried: (ip, mechanism, outcome) => tried(ip, mechanism, outcome),
      loggedIn: ({ jid, id }) => {
        activity.seen(id)
        c2sLog.info({ account: logs.accountTag(jid) }, 'authenticated')
      },
    },
    secure: async (raw, isGathered) => {
      const { context, ticketless, endPointHash } = certificates.identity
      const onWay = (way: HandshakeWay) => m.handshakes.inc({ way })
      const socket = await secureServerSocket(raw, {
        context,
        ticketless,
        always: isGathered,
        onWay,
        turn: () => handshakes.enter(),
      })
      return { socket, facts: tlsFactsOf(socket, endPointHash) }
    },
    isStill: async ({ jid, id, epoch }) => {
      const isSame = ({ account }: AccountView) =>
        account?.id === id && account.epoch === epoch && account.disabledAt === undefined
      if (isSame(await line.views.load(jid))) return true
      // One that another node has just made, replaced or changed may be known here as it was.
      line.views.drop(jid)
      return isSame(await line.views.load(jid))
    },
    endElsewhere: (jid) => line.end(jid, 'conflict', 'The resource was bound by another stream.', undefined),
    sessionsOf: async (account) => await registry.of(account),
  })
  const tried = (ip: string, mechanism: string, outcome: 'success' | SaslError): void => {
    const isSuccess = outcome === 'success'
    m.logins.inc({
      mechanism: mechanism === '' ? 'none' : mechanism,
      outcome: isSuccess ? 'success' : outcome.condition,
    })
    if (isSuccess) return
    // What failed for our sake, or was not even tried, is nobody's fault; an unfit channel binding says nothing of a password.
    const isGuess = outcome.condition !== 'temporary-auth-failure' && !(outcome instanceof BindingError)
    if (isGuess) failures.spend(networkOf(ip))
    c2sLog.info({ ip, mechanism, condition: outcome.condition }, 'login refused')
  }
  metrics.gauge('fernruf_c2s_connections', 'Connections of clients.', () => counts.open)
  metrics.tally(
    'fernruf_route_stanzas_total',
    'Stanzas routed, by kind and destination.',
    ['kind', 'destination'],
    function* () {
      for (const { kind, destination, count } of line.routed()) yield [{ kind, destination }, count] as const
    },
  )
  metrics.gauge('fernruf_c2s_sessions', 'Bound sessions, detached ones included.', () => sessions.size)

  const addresses: Listening[] = []
  const servers: Server[] = []
  const stopListening = async () => {
    clients.refuse()
    await Promise.all(servers.map((s) => new Promise<void>((resolve) => s.close(() => resolve()))))
  }
  teardown.add(() => {
    for (const s of servers) s.close()
    clients.stop()
  })
  for (const kind of ['starttls', 'direct_tls'] as const) {
    for (const address of config.c2s[kind]) {
      const server = await listen(address, `c2s.${kind}`, (socket) =>
        clients.accept(socket, kind, address.port === KONTALK_PORT),
      )
      servers.push(server)
      addresses.push({ kind, address: boundAddress(server, address) })
    }
  }
  if (config.http.public !== undefined) {
    const { listen: addressesInClear, https, proxy_protocol: proxyProtocol } = config.http.public
    web = await listenPublic({
      listen: addressesInClear,
      https,
      proxyProtocol,
      proxies: new Proxies(config.trusted_proxies),
      limits: {
        maxHeaderBytes: limits.http.max_header,
        headerTimeoutMs: limits.http.header_timeout,
        requestTimeoutMs: limits.http.request_timeout,
        idleTimeoutMs: limits.http.idle_timeout,
        connections: limits.http.connections,
        connectionsPerAddress: limits.http.connections_per_address,
        requestsPerAddress: limits.http.requests_per_address,
      },
      routes: [...handlers.flatMap((h) => h.routes ?? []), ...smsReportRoutes(verification)],
      secureContext: () => certificates.identity.context,
      turn: () => handshakes.enter(),
      log: logs.part({ part: 'http' }),
      answered: (route, status) => m.requests.inc({ route, status: `${Math.floor(status / 100)}xx` }),
      refused: (why) => m.requestsRefused.inc({ why }),
    })
    teardown.add(() => web?.close())
    addresses.push(...web.addresses)
    metrics.gauge('fernruf_http_connections', 'Connections to the public HTTP server.', () => web?.connections ?? 0)
  }
  const ops = await listenOps({
    listen: config.http.ops.listen,
    maxHeaderBytes: limits.http.max_header,
    headerTimeoutMs: limits.http.header_timeout,
    metrics: () => metrics.page(),
    readiness: [
      { name: 'store', check: async () => !inbox.isAway && (await stores.database.query('select 1')).length === 1 },
    ],
  })
  teardown.add(() => ops.close())
  addresses.push({ kind: 'ops', address: ops.address })
  const admin = new CoreAdmin(core, {
    sessions: (account) => sessions.of(account).length,
    serverKeysChanged: async () => {
      await reloadKeys()
      line.serverKeysChanged()
    },
  })
  if (options.stores === undefined) {
    const socket = await serveAdmin(config.data_dir, admin)
    teardown.add(() => socket.close())
  }
  const unusedAccounts = (after: number): Chore => ({
    what: 'removal of unused accounts',
    everyMs: TIDY_MS,
    isDoneAtStart: true,
    work: async () => {
      const except = new Set([...config.account.inactive_except, ...operatorsOf(config)])
      const isConnected = async (jid: BareJid) => (await registry.of(jid)).length > 0
      const parts = { store: stores.activity, accounts: core.accounts, signal: stop.signal }
      const removed = await removeUnused({ ...parts, after, except, isConnected })
      m.unused.inc(removed)
      if (removed > 0) logs.root.info({ removed }, 'unused accounts removed')
    },
  })
  const housekeeping = new Housekeeping(logs.part({ part: 'housekeeping' }), [
    { what: 'expiry', everyMs: CLEAR_MS, work: () => inboxStore.expire(Date.now() - config.inbox.open_for) },
    {
      what: 'removal of what accounts have left',
      everyMs: LEFT_MS,
      isDoneAtStart: true,
      work: async () => {
        while (!stop.signal.aborted && (await inboxStore.clear()));
      },
    },
    { what: 'sweep', everyMs: CLEAR_MS, work: () => sweepLingering(inboxStore, registry) },
    { what: 'purge of devices', everyMs: CLEAR_MS, work: () => devices.purge() },
    { what: 'purge of key transfers', everyMs: CLEAR_MS, work: () => keyTransfers.purge() },
    { what: 'reading of server keys', everyMs: KEYS_MS, work: reloadKeys },
    { what: 'purge of lookups', everyMs: TIDY_MS, work: () => lookups.purge() },
    {
      what: 'use of accounts',
      everyMs: CLEAR_MS,
      work: async () => {
        for (const { accountId } of sessions) activity.seen(accountId)
      },
    },
    { what: 'purge of verifications', everyMs: CLEAR_MS, work: () => verification.purge() },
    ...(config.account.inactive_after === undefined ? [] : [unusedAccounts(config.account.inactive_after)]),
    ...(uploads === undefined
      ? []
      : [{ what: 'sweep of uploads', everyMs: CLEAR_MS, isDoneAtStart: true, work: () => uploads.sweep(stop.signal) }]),
    {
      what: 'tidying of archives',
      everyMs: TIDY_MS,
      isDoneAtStart: true,
      work: async () => {
        const bounds = { ...limits.archive, before: Date.now() - config.inbox.retention }
        const removed = await tidyArchives(archive, bounds, stop.signal)
        m.removed.inc(removed)
        if (removed > 0) logs.root.info({ removed }, 'archives tidied')
      },
    },
  ])
  teardown.add(async () => {
    stop.abort()
    await housekeeping.close()
  })

  return {
    addresses,
    domains: config.domains,
    get fingerprint() {
      return keys.serverKey().fingerprint
    },
    admin,
    reload: async (next) => {
      await sealing.dataKeys?.reload()
      logs.level(next.log.level)
      await certificates.reload()
    },
    close: async () => {
      const listening = stopListening()
      await inbox.flush()
      clients.stop()
      await listening
      await inbox.flush()
      await teardown.run()
    },
    closed: new Promise(() => undefined),
  }
}

const KONTALK_PORT = 5999

function operatorsOf({ features }: Config): readonly BareJid[] {
  const { commands } = features as { readonly commands?: false | { readonly operators: readonly BareJid[] } }
  return commands === undefined || commands === false ? [] : commands.operators
}
/** @throws StartError when their folder cannot be had */
async function openUploads(config: Config, { root, stores }: Core, time: StoreHistogram): Promise<Uploads> {
  const folder = config.uploads.folder ?? join(config.data_dir, 'uploads')
  const files = await UploadFolder.open(folder).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StartError(`uploads.folder: ${folder} cannot be had: ${reason}`, { cause })
  })
  const { max_file, bytes_per_day, files_per_day, total, slot_lifetime } = config.limits.upload
  return new Uploads({
    store: measured(stores.uploads, 'upload', time),
    files,
    keys: root.deriveAll('upload'),
    limits: {
      maxFile: max_file,
      bytesPerDay: bytes_per_day,
      filesPerDay: files_per_day,
      total,
      slotMs: slot_lifetime,
      keptMs: config.uploads.retention,
    },
  })
}

function boundAddress(server: Server, asked: Address): Address {
  const bound = server.address()
  return { host: asked.host, port: typeof bound === 'object' && bound !== null ? bound.port : asked.port }
}

/** Migrates the store of this config; names what was applied. @throws StartError */
export async function migrateStore(config: Config): Promise<readonly string[]> {
  const stores = await openStores({ databaseUrl: config.database?.url.reveal(), dataDir: config.data_dir })
  try {
    return await stores.migrate()
  } finally {
    await stores.close()
  }
}
/** The operator's wishes on a store that no server runs on. @throws StartError */
export async function openAdmin(config: Config): Promise<Admin & { close(): Promise<void> }> {
  const core = await openCore(config, { onChanged: () => undefined })
  return Object.assign(new CoreAdmin(core, undefined), { close: () => core.stores.close() })
}
