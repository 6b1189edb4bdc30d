import { readFileSync } from 'node:fs'
import { SealedPrivateStore } from '../account/sealed-private-store.ts'
import type { Handlers } from '../contract/feature.ts'
import type { Service } from '../contract/handler.ts'
import type { Ports, WebPort } from '../contract/ports.ts'
import { Waiting } from '../inbox/waiting.ts'
import type { Keys } from '../keys/directory.ts'
import { KeyListing } from '../keys/listing.ts'
import { measured } from '../storage/measured.ts'
import { bareJid } from '../xmpp/jid.ts'
import type { Base } from './base.ts'
import type { Messaging } from './messaging.ts'
import type { Services } from './services.ts'

const SOFTWARE = {
  name: 'Fernruf',
  version: (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version,
}

/** Sets up all enabled features and opens the line for their handlers. */
export async function setUpFeatures(
  base: Base,
  keys: Keys,
  messaging: Messaging,
  services: Services,
  web: WebPort | undefined,
  signal: AbortSignal,
): Promise<readonly Handlers[]> {
  const { config, core, logs, metricRegistry, enabled } = base
  const handlers: Handlers[] = []
  const known: Known = {
    handlers,
    services: [],
    serverFeatures: new Set(['msgoffline', ...enabled.flatMap((f) => f.disco?.server ?? [])]),
  }
  const ports = portsOf(base, keys, messaging, services, web, known)
  for (const feature of enabled) {
    const made = await feature.setup({
      config: config.features[feature.name],
      metrics: metricRegistry.build(feature.metrics),
      ports,
      log: logs.part({ feature: feature.name }),
      signal,
    })
    handlers.push(made)
    known.services.push(...(made.services ?? []))
    for (const name of made.serverFeatures ?? []) known.serverFeatures.add(name)
  }
  for (const domain of core.domains)
    for (const { local } of known.services) messaging.served.services.add(bareJid(local, domain))
  messaging.line.open(
    messaging.presence,
    handlers.flatMap((h) => h.iq ?? []),
    handlers.flatMap((h) => h.hooks ?? []),
    handlers.flatMap((h) => h.messages ?? []),
  )
  return handlers
}

/** What is known of the features that are set up so far. */
interface Known {
  readonly handlers: readonly Handlers[]
  readonly services: Service[]
  readonly serverFeatures: Set<string>
}

function portsOf(
  { core: { domains, stores, sealing, accounts }, time, enabled }: Base,
  keys: Keys,
  { line, registry, rosters, lastSeen, presence, archive, inbox, inboxStore, policyOf }: Messaging,
  { devices, registration, lookups, keyTransfers, takeovers, uploads }: Services,
  web: WebPort | undefined,
  { handlers, services, serverFeatures }: Known,
): Ports {
  return {
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
    accounts,
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
    keyListing: new KeyListing({ store: measured(stores.keyListing, 'key_listing', time), keys, lookups }),
    archive,
    waiting: new Waiting({
      store: inboxStore,
      flushed: (account) => inbox.flushed(account),
      policyOf: (account) => policyOf({ account }),
    }),
    push: measured(stores.push, 'push', time),
    network: measured(stores.network, 'network', time),
    web,
    uploads,
  }
}
