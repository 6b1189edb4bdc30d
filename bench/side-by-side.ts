import { Client } from 'pg'
import { postgresFolder } from '../test/setup/packages.ts'
import { startPostgres, type TestPostgres } from '../test/setup/postgres.ts'
import type { BenchOptions } from './options.ts'
import {
  benchFolder,
  DOMAIN,
  machine,
  type Running,
  removeFolder,
  type ServerName,
  type StartOptions,
  startServer,
} from './servers.ts'
import { ran } from './shell.ts'
import { buildXload, type Figures, xload } from './xload.ts'

export interface Round {
  readonly server: string
  readonly figures: Figures
}

/** Options of the generator that hold for every run. */
const COMMON = ['--domain', DOMAIN, '--conc', '4', '--pass', 'password%d']

/**
 * Starts each server, makes accounts and stops it. Then, round by round and one server at a time in an order that changes, starts
 * it again on what it has stored, lets it come to rest, runs the work and stops it: each run sees a process that has done nothing
 * else, which is what memory has to be measured on.
 */
export async function afterRestarts(
  options: BenchOptions,
  users: number,
  restMs: number,
  work: readonly string[],
): Promise<{ readonly rounds: readonly Round[]; readonly foot: string }> {
  await buildXload()
  const folder = await benchFolder()
  let running: Running | undefined
  const start = async (name: ServerName): Promise<Running> => {
    running = await startServer(name, startOptions(options, folder))
    return running
  }
  const stop = async (): Promise<void> => {
    await running?.stop()
    running = undefined
  }
  try {
    const known: Running[] = []
    for (const name of options.servers) {
      const server = await start(name)
      known.push(server)
      await register(options, server, users)
      await stop()
    }
    const rounds: Round[] = []
    for (let round = 0; round < options.rounds; round++) {
      const turn = round % options.servers.length
      for (const name of [...options.servers.slice(turn), ...options.servers.slice(0, turn)]) {
        const server = await start(name)
        await new Promise((done) => setTimeout(done, restMs))
        rounds.push({ server: name, figures: await measured(options, server, work) })
        await stop()
        process.stderr.write(`round ${round + 1} of ${options.rounds}: ${name} done\n`)
      }
    }
    return { rounds, foot: foot(options, known) }
  } finally {
    await stop()
    await removeFolder(folder)
  }
}

/**
 * Starts the servers beside each other, makes accounts, and runs the work on one after the other, round by round, in an order
 * that changes so that none is always first. Stops them whatever happens.
 */
export async function sideBySide(
  options: BenchOptions,
  users: number,
  work: (server: Running) => readonly string[],
): Promise<{ readonly rounds: readonly Round[]; readonly foot: string }> {
  await buildXload()
  const folder = await benchFolder()
  const running: Running[] = []
  const postgres = options.postgres ? await startDatabase(options) : undefined
  try {
    for (const name of options.servers) {
      const server = await startServer(name, { ...startOptions(options, folder), postgres })
      running.push(server)
      await register(options, server, users)
    }
    const rounds: Round[] = []
    for (let round = 0; round < options.rounds; round++) {
      const turn = round % running.length
      for (const server of [...running.slice(turn), ...running.slice(0, turn)]) {
        rounds.push({ server: server.name, figures: await measured(options, server, work(server), postgres) })
        process.stderr.write(`round ${round + 1} of ${options.rounds}: ${server.name} done\n`)
      }
    }
    return { rounds, foot: foot(options, running) }
  } finally {
    for (const server of running) await server.stop()
    await postgres?.stop()
    await removeFolder(folder)
  }
}

/** A PostgreSQL with fsync on, on the servers' processor, with a database for each of them. */
async function startDatabase({ serverCpus }: BenchOptions): Promise<TestPostgres> {
  const programs = postgresFolder()
  if (programs === undefined) throw new Error('--store postgres needs PostgreSQL: apt-get install postgresql')
  const postgres = await startPostgres(programs)
  if (serverCpus !== undefined) await ran('taskset', ['-p', '-c', serverCpus, String(postgres.pid)])
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  await client.query('create role ejabberd login superuser')
  await client.query('create database ejabberd owner ejabberd')
  await client.query('create database fernruf')
  await makeLogSegments(client)
  await client.end()
  return postgres
}

/**
 * A PostgreSQL that has run for a while writes its log into old segments; a new one makes each of 16 MiB as it goes, every few
 * seconds under load, and whoever commits meanwhile waits for that.
 */
async function makeLogSegments(client: Client): Promise<void> {
  await client.query("alter system set min_wal_size = '1GB'")
  await client.query('select pg_reload_conf()')
  for (let segment = 0; segment < 1024 / 16; segment++) {
    await client.query("select pg_logical_emit_message(false, 'bench', 'fills a segment')")
    await client.query('select pg_switch_wal()')
  }
  await client.query('checkpoint')
}

const startOptions = (options: BenchOptions, folder: string): StartOptions => ({
  cpus: options.serverCpus,
  folder,
  archive: options.archive,
  ...(options.checkout === undefined ? {} : { checkout: options.checkout }),
})
async function register(options: BenchOptions, server: Running, users: number): Promise<void> {
  const args = ['--mode', 'register', '--users', String(users), ...COMMON, '--port', String(server.port)]
  await xload(args, options.loadCpus)
}
/** The database's time is the server's whose turn it is. */
function measured(
  options: BenchOptions,
  server: Running,
  work: readonly string[],
  postgres?: TestPostgres,
): Promise<Figures> {
  const pids = [server.pid, ...(postgres === undefined || server.name === 'prosody' ? [] : [postgres.pid])]
  const whom = ['--port', String(server.port), '--pid', pids.join(',')]
  const times = ['--warmup', String(options.warmup), '--secs', String(options.secs)]
  return xload([...COMMON, ...whom, ...times, ...work], options.loadCpus)
}

function foot(options: BenchOptions, running: readonly Running[]): string {
  const pins = `server on processor ${options.serverCpus ?? 'any'}, generator on ${options.loadCpus ?? 'any'}`
  return [
    `Command: \`${options.command}\``,
    `Machine: ${machine()}; ${pins}.`,
    `Servers: ${running.map((s) => `${s.name} ${s.version}`).join(', ')}; archive ${options.archive ? 'on' : 'off'}, ${options.postgres ? 'on one PostgreSQL with fsync (Prosody on files)' : 'each on its own embedded store'}, TLS by STARTTLS, P-256.`,
    `${options.rounds} rounds of ${options.secs} s after ${options.warmup} s of warming up, servers in turn; median (lowest to highest). CPU is that of all processes that serve.`,
  ].join('\n\n')
}
