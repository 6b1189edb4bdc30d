import type { Config } from './config/schema.ts'
import type { Admin } from './contract/admin.ts'
import { serveAdmin } from './http/admin-socket.ts'
import type { PublicHttp } from './http/public.ts'
import { Certificates, developmentCertificate } from './net/certificates.ts'
import { type Listening, listenForClients, listenForOps, listenForWeb } from './server/addresses.ts'
import { CoreAdmin } from './server/admin.ts'
import { baseOf, Teardown } from './server/base.ts'
import { choresOf } from './server/chores.ts'
import { clientsOf } from './server/clients.ts'
import { checkSealing, openCore, openKeys } from './server/core.ts'
import { setUpFeatures } from './server/features.ts'
import { Housekeeping } from './server/housekeeping.ts'
import { type Messaging, startMessaging } from './server/messaging.ts'
import { openServices } from './server/services.ts'
import { MemoryNetwork } from './storage/memory/network.ts'
import { openStores, type Stores } from './storage/open.ts'
import type { LogOptions } from './telemetry/log.ts'
import { Turnstile } from './util/turnstile.ts'
import type { Domain } from './xmpp/jid.ts'

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
  const { stores, log } = options
  const ownsProcess = stores === undefined
  let started: Messaging | undefined
  const core = await openCore(config, {
    ...(stores === undefined ? {} : { stores }),
    onChanged: (jid, what, by) => started?.accountChanged(jid, what, by),
    onRemoving: (account) => started?.accountRemoving(account),
  })
  teardown.add(() => (ownsProcess ? core.stores.close() : undefined))
  await checkSealing(core)
  const base = baseOf(config, core, teardown, { ownsProcess, ...(log === undefined ? {} : { log }) })
  const { logs, metricRegistry } = base
  const makeKey = config.database === undefined || config.environment === 'development'
  const keys = await openKeys(core, makeKey, {
    onChanged: (jid) => started?.line.views.changed(jid),
    onOver: (jid) => void started?.accountChanged(jid, 'key', undefined),
  })
  /** Also done now and then: whoever changes the store from outside has no bus. */
  const reloadKeys = async (): Promise<void> => {
    try {
      if (await keys.reload()) logs.root.info({ key: keys.serverKey().fingerprint }, 'server keys changed')
    } catch (error) {
      logs.root.warn({ err: error }, 'server keys not read again')
    }
  }

  const messaging = startMessaging(base, options.network ?? new MemoryNetwork(), keys, () => void reloadKeys())
  started = messaging
  const { line, inbox, sessions } = messaging
  const services = await openServices(base, keys, messaging, options.printCode)
  const stop = new AbortController()
  teardown.add(() => stop.abort())
  let web: PublicHttp | undefined
  const webPort = config.http.public && {
    get url() {
      return config.http.public?.url ?? `http://localhost:${web?.addresses[0]?.address.port}`
    },
  }
  const handlers = await setUpFeatures(base, keys, messaging, services, webPort, stop.signal)
  metricRegistry.tally(
    'fernruf_route_stanzas_total',
    'Stanzas routed, by kind and destination.',
    ['kind', 'destination'],
    function* () {
      for (const { kind, destination, count } of line.routed()) yield [{ kind, destination }, count] as const
    },
  )

  const certificates = await Certificates.open(
    config.tls ?? (await developmentCertificate(config.data_dir, config.domains)),
    logs.part({ part: 'tls' }),
  )
  teardown.add(() => certificates.close())
  const handshakes = new Turnstile()
  const clients = clientsOf(base, keys, messaging, services, handlers, certificates, handshakes)
  const listening = await listenForClients(base, clients)
  web = await listenForWeb(base, services.verification, handlers, certificates, handshakes)
  const ops = await listenForOps(base, inbox)

  const admin = new CoreAdmin(core, {
    sessions: (account) => sessions.of(account).length,
    serverKeysChanged: async () => {
      await reloadKeys()
      line.serverKeysChanged()
    },
  })
  if (ownsProcess) {
    const socket = await serveAdmin(config.data_dir, admin)
    teardown.add(() => socket.close())
  }
  const chores = choresOf(base, keys, messaging, services, reloadKeys, stop.signal)
  const housekeeping = new Housekeeping(logs.part({ part: 'housekeeping' }), chores)
  teardown.add(async () => {
    stop.abort()
    await housekeeping.close()
  })

  return {
    addresses: [...listening.addresses, ...(web?.addresses ?? []), ops],
    domains: config.domains,
    get fingerprint() {
      return keys.serverKey().fingerprint
    },
    admin,
    reload: async (next) => {
      await core.sealing.dataKeys?.reload()
      logs.level(next.log.level)
      await certificates.reload()
    },
    close: async () => {
      const stopped = listening.stop()
      await inbox.flush()
      clients.stop()
      await stopped
      await inbox.flush()
      await teardown.run()
    },
    closed: new Promise(() => undefined),
  }
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
