import type { Server } from 'node:net'
import type { Verification } from '../account/verification.ts'
import type { Clients } from '../c2s/c2s.ts'
import type { Address } from '../config/units.ts'
import type { Handlers } from '../contract/feature.ts'
import { listenOps } from '../http/ops.ts'
import { listenPublic, type PublicHttp } from '../http/public.ts'
import { smsReportRoutes } from '../http/sms-reports.ts'
import type { Certificates } from '../net/certificates.ts'
import { listen } from '../net/listener.ts'
import { Proxies } from '../net/proxies.ts'
import type { Turnstile } from '../util/turnstile.ts'
import type { Base } from './base.ts'

/** Kontalk's clients come here with certificates that others do not send. */
const KONTALK_PORT = 5999

export interface Listening {
  readonly kind: 'starttls' | 'direct_tls' | 'http' | 'https' | 'ops'
  readonly address: Address
}

/** Listens for clients' streams. @throws StartError when an address cannot be had */
export async function listenForClients(
  { config, teardown }: Base,
  clients: Clients,
): Promise<{ readonly addresses: readonly Listening[]; stop(): Promise<void> }> {
  const addresses: Listening[] = []
  const servers: Server[] = []
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
  return {
    addresses,
    stop: async () => {
      clients.refuse()
      await Promise.all(servers.map((s) => new Promise<void>((resolve) => s.close(() => resolve()))))
    },
  }
}

/** Undefined where the config wants no public HTTP server. @throws StartError */
export async function listenForWeb(
  { config, logs, metrics, metricRegistry, teardown }: Base,
  verification: Verification,
  handlers: readonly Handlers[],
  certificates: Certificates,
  handshakes: Turnstile,
): Promise<PublicHttp | undefined> {
  if (config.http.public === undefined) return undefined
  const { limits } = config
  const { listen: addressesInClear, https, proxy_protocol: proxyProtocol } = config.http.public
  const web = await listenPublic({
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
    answered: (route, status) => metrics.requests.inc({ route, status: `${Math.floor(status / 100)}xx` }),
    refused: (why) => metrics.requestsRefused.inc({ why }),
  })
  teardown.add(() => web.close())
  metricRegistry.gauge('fernruf_http_connections', 'Connections to the public HTTP server.', () => web.connections)
  return web
}

/** Metrics and health. @throws StartError */
export async function listenForOps(
  { config, core, metricRegistry, teardown }: Base,
  inbox: { readonly isAway: boolean },
): Promise<Listening> {
  const { limits } = config
  const { database } = core.stores
  const ops = await listenOps({
    listen: config.http.ops.listen,
    maxHeaderBytes: limits.http.max_header,
    headerTimeoutMs: limits.http.header_timeout,
    metrics: () => metricRegistry.page(),
    readiness: [{ name: 'store', check: async () => !inbox.isAway && (await database.query('select 1')).length === 1 }],
  })
  teardown.add(() => ops.close())
  return { kind: 'ops', address: ops.address }
}

function boundAddress(server: Server, asked: Address): Address {
  const bound = server.address()
  return { host: asked.host, port: typeof bound === 'object' && bound !== null ? bound.port : asked.port }
}
