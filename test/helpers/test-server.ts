import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OperatorKeys } from '../../src/account/operator-keys.ts'
import type { ScramMechanism } from '../../src/account/store.ts'
import { loadConfig } from '../../src/config/load.ts'
import { FEATURES } from '../../src/features/index.ts'
import { type RunningServer, startServer } from '../../src/server.ts'
import { MemoryNetwork } from '../../src/storage/memory/network.ts'
import { openStores, type Stores } from '../../src/storage/open.ts'
import { type BareJid, parseJid } from '../../src/xmpp/jid.ts'
import { secretsOf } from './scram.ts'
import { clonePostgres } from './test-database.ts'

/** One server as a story sees it. */
export interface TestServer {
  readonly starttlsPort: number
  readonly directTlsPort: number
  readonly opsPort: number
  readonly httpPort: number
  readonly running: RunningServer
}

/** Servers of one domain in this process that share store and bus. */
export interface TestServers {
  readonly domain: string
  readonly servers: readonly TestServer[]
  /** Lines that carry codes, as an operator would see them. */
  readonly codes: readonly string[]
  /** Everything logged so far. */
  readonly logged: readonly string[]
  /** What the servers keep their things in, for what no client can bring about. */
  readonly stores: Stores
  /** `only`: the mechanisms it has secrets for, as after an import; all by default. */
  addAccount(local: string, password: string, only?: readonly ScramMechanism[]): Promise<void>
  /** One more, in the same network on the same stores. */
  another(): Promise<void>
  stop(): Promise<void>
}

/** Sections laid over the test configuration. */
export type ServerSettings = Readonly<Record<string, unknown>> & {
  readonly limits?: Readonly<Record<string, unknown>>
  readonly inbox?: Readonly<Record<string, unknown>>
}

const DOMAIN = 'localhost'
const MANY = 1_000_000
/** All clients of a test are one address. */
const WIDE_LIMITS = {
  connections: { total: MANY, per_address: MANY, before_login: MANY, before_login_per_address: MANY },
  registration: { accounts: { hour: MANY, day: MANY } },
  login: { failures_per_address: '100000/1s' },
}

const secrets = new Map<string, ReturnType<typeof secretsOf>>()

/** Starts `count` servers on free loopback ports, with real TLS and stores that are gone afterwards, unless they are others'. */
export async function startTestServers(
  count: number,
  settings: ServerSettings = {},
  others?: Stores,
): Promise<TestServers> {
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-story-'))
  const store = others === undefined ? await emptyStores() : { stores: others, remove: async () => undefined }
  const network = new MemoryNetwork()
  const codes: string[] = []
  const logged: string[] = []
  const config = {
    domain: DOMAIN,
    environment: 'development',
    data_dir: join(folder, 'data'),
    c2s: { starttls: ['127.0.0.1:0'], direct_tls: ['127.0.0.1:0'] },
    http: { ops: { listen: '127.0.0.1:0' }, public: { listen: '127.0.0.1:0' } },
    account: { registration: ['open'] },
    log: { level: 'info' },
    ...settings,
    ...(process.env.FERNRUF_TEST_SEALED === '1'
      ? { inbox: { encryption: await keyFileIn(folder), ...settings.inbox } }
      : {}),
    limits: { ...WIDE_LIMITS, ...settings.limits },
  }
  await mkdir(config.data_dir)
  const file = join(folder, 'fernruf.yaml')
  await writeFile(file, JSON.stringify(config))
  const servers: TestServer[] = []
  const one = async (): Promise<TestServer> => {
    const running = await startServer(loadConfig(file, {}, FEATURES), {
      stores: store.stores,
      network,
      log: { write: (line: string) => void logged.push(line) },
      printCode: (line) => void codes.push(line),
    })
    const portOf = (kind: 'starttls' | 'direct_tls' | 'http' | 'ops'): number =>
      running.addresses.find((a) => a.kind === kind)?.address.port ?? 0
    return {
      running,
      starttlsPort: portOf('starttls'),
      directTlsPort: portOf('direct_tls'),
      opsPort: portOf('ops'),
      httpPort: portOf('http'),
    }
  }
  const stop = async (): Promise<void> => {
    for (const server of servers) await server.running.close()
    await store.remove()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    for (let i = 0; i < count; i++) servers.push(await one())
  } catch (error) {
    await stop()
    throw error
  }
  return {
    domain: DOMAIN,
    servers,
    codes,
    logged,
    stores: store.stores,
    addAccount: async (local, password, only) => {
      const jid = parseJid(`${local}@${DOMAIN}`) as BareJid
      const known = secrets.get(password) ?? secretsOf(password)
      secrets.set(password, known)
      const kept = known.filter(({ mechanism }) => only === undefined || only.includes(mechanism))
      const made = await store.stores.accounts.create({ jid, isNumber: false, fingerprint: undefined, secrets: kept })
      if (made === undefined) throw new Error(`${jid} exists already`)
    },
    another: async () => void servers.push(await one()),
    stop,
  }
}

/** With `FERNRUF_TEST_SEALED=1` messages are sealed. */
async function keyFileIn(folder: string): Promise<{ readonly key_file: string }> {
  const file = join(folder, 'inbox-key')
  await OperatorKeys.make(file)
  return { key_file: file }
}

/** On PostgreSQL with `FERNRUF_TEST_STORES=services`, else in memory. */
async function emptyStores(): Promise<{ readonly stores: Stores; remove(): Promise<void> }> {
  if (process.env.FERNRUF_TEST_STORES !== 'services') {
    const stores = await openStores({ databaseUrl: undefined, dataDir: ':memory:' })
    await stores.migrate()
    return { stores, remove: () => stores.close() }
  }
  const { url, drop } = await clonePostgres()
  const stores = await openStores({ databaseUrl: url, dataDir: '' })
  return {
    stores,
    remove: async () => {
      await stores.close()
      await drop()
    },
  }
}
