import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { DataKeys } from '../src/account/data-keys.ts'
import { OperatorKeys } from '../src/account/operator-keys.ts'
import { PayloadSeal } from '../src/account/payload-seal.ts'
import { SealedInboxStore } from '../src/inbox/sealed-store.ts'
import type { InboxStore, NewEntry } from '../src/inbox/store.ts'
import { openStores, type Stores } from '../src/storage/open.ts'
import type { BareJid } from '../src/xmpp/jid.ts'
import { postgresFolder } from '../test/setup/packages.ts'
import { startPostgres } from '../test/setup/postgres.ts'
import { positive } from './options.ts'
import { median, publish, spread, table } from './report.ts'
import { machine } from './servers.ts'

const ACCOUNTS = 200
/** Entries of one batch, as under load. */
const BATCH = 64
/** A chat message of 300 octets, and the largest stanza. */
const SIZES = [300, 4_000, 256 * 1024]

interface Measured {
  /** µs of this process's CPU per entry, SQLite's thread included. */
  readonly write: number
  readonly read: number
}

/**
 * What sealing costs: CPU per entry that is committed and per entry that is read, with and without, in turn in one run, on the
 * embedded store and on PostgreSQL where that is installed. Options: `--rounds N --batches N --out FILE`.
 */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rounds: { type: 'string' }, batches: { type: 'string' }, out: { type: 'string' } },
  })
  const rounds = positive(values.rounds, 7, '--rounds')
  const batches = positive(values.batches, 60, '--batches')
  const rows: string[][] = []
  await onEach(async (name, stores) => {
    const folder = await mkdtemp(join(tmpdir(), 'fernruf-bench-'))
    try {
      const file = join(folder, 'keys')
      await OperatorKeys.make(file)
      const seal = new PayloadSeal(new DataKeys(stores.dataKeys, await OperatorKeys.open(file)), true)
      const sealed = new SealedInboxStore(stores.inbox, seal, pino({ level: 'silent' }))
      for (const size of SIZES) {
        const count = Math.max(2, Math.round(size > 10_000 ? batches / 20 : batches))
        rows.push(...(await compared(name, stores, sealed, size, count, rounds)))
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })
  const text = [
    '# Encryption at rest',
    `Command: \`npm run bench -- ${['sealed', ...args].join(' ')}\``,
    table(['store', 'octets', 'what', 'clear, µs', 'sealed, µs', 'more, µs', 'ratio'], rows),
    `CPU of the server's process per entry (on the embedded store that is SQLite's thread too; PostgreSQL's own is not in it), median (lowest to highest) of ${rounds} rounds; "more" and "ratio" are medians over the rounds of the two taken in turn. ${BATCH} entries a batch for ${ACCOUNTS} accounts whose keys are in memory.`,
    `Machine: ${machine()}`,
  ]
  await publish(text.join('\n\n'), values.out)
}

async function compared(
  name: string,
  stores: Stores,
  sealed: InboxStore,
  size: number,
  batches: number,
  rounds: number,
): Promise<string[][]> {
  const clear: Measured[] = []
  const closed: Measured[] = []
  for (let round = -1; round < rounds; round++) {
    // Whoever begins meets another cache than who follows.
    const pair = round % 2 === 0 ? (['clear', 'sealed'] as const) : (['sealed', 'clear'] as const)
    for (const kind of pair) {
      const measured = await once(stores, kind === 'clear' ? stores.inbox : sealed, size, batches)
      if (round >= 0) (kind === 'clear' ? clear : closed).push(measured)
    }
  }
  return (['write', 'read'] as const).map((what) => {
    const a = clear.map((m) => m[what])
    const b = closed.map((m) => m[what])
    const more = b.map((value, i) => value - (a[i] ?? Number.NaN))
    const ratio = b.map((value, i) => value / (a[i] ?? Number.NaN))
    return [name, String(size), what, spread(a), spread(b), median(more).toFixed(1), median(ratio).toFixed(2)]
  })
}

/** One round on new accounts, which are removed again. */
async function once(stores: Stores, inbox: InboxStore, size: number, batches: number): Promise<Measured> {
  const accounts = await accountsOf(stores)
  const payload = Buffer.from(`<message><body>${'Wherefore? '.repeat(size / 11 + 1)}`.slice(0, size))
  const entryOf = (i: number): NewEntry => ({
    account: accounts[i % ACCOUNTS] ?? 0,
    direction: 'received',
    archived: true,
    wanted: true,
    peer: 'romeo@montague.example/orchard',
    messageId: undefined,
    payload,
    at: 1_700_000_000_000 + i,
    stream: undefined,
    number: 0,
    floor: 0,
  })
  const commit = async (from: number) => {
    const entries = Array.from({ length: BATCH }, (_, i) => entryOf(from + i))
    await inbox.commit({ id: crypto.getRandomValues(new Uint8Array(16)), entries, takes: [] })
  }
  // The accounts' first entries make their logs and keys.
  for (let i = 0; i < ACCOUNTS; i += BATCH) await commit(i)
  let begun = process.cpuUsage()
  for (let i = 0; i < batches; i++) await commit(i * BATCH)
  const write = cpuSince(begun) / (batches * BATCH)
  begun = process.cpuUsage()
  let found = 0
  for (const account of accounts) found += (await inbox.read(account, 0, undefined, 100)).entries.length
  const read = cpuSince(begun) / found
  for (const account of accounts) await stores.accounts.remove(account)
  return { write, read }
}
const cpuSince = (begun: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(begun)
  return user + system
}

async function accountsOf(stores: Stores): Promise<readonly number[]> {
  const ids: number[] = []
  for (let i = 0; i < ACCOUNTS; i++) {
    const jid = `bench${crypto.randomUUID()}@example.org` as BareJid
    const account = await stores.accounts.create({ jid, isNumber: false, fingerprint: undefined, secrets: [] })
    if (account === undefined) throw new Error('an account that exists')
    ids.push(account.id)
  }
  return ids
}

async function onEach(work: (name: string, stores: Stores) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-bench-'))
  try {
    const stores = await openStores({ databaseUrl: undefined, dataDir: folder })
    await stores.migrate()
    await work('embedded', stores)
    await stores.close()
  } finally {
    await rm(folder, { recursive: true })
  }
  const programs = postgresFolder()
  if (programs === undefined) return
  const server = await startPostgres(programs)
  try {
    const stores = await openStores({ databaseUrl: server.url, dataDir: '' })
    await stores.migrate()
    await work('PostgreSQL', stores)
    await stores.close()
  } finally {
    await server.stop()
  }
}
