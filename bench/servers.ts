import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestPostgres } from '../test/setup/postgres.ts'
import { launched, missing, ran } from './shell.ts'

const ROOT = join(import.meta.dirname, '..')
const PEER = join(import.meta.dirname, 'peers/peer')
/** Domain of every server of a bench. */
export const DOMAIN = 'bench.example'

export type ServerName = 'fernruf' | 'prosody' | 'ejabberd'
export const SERVER_NAMES: readonly ServerName[] = ['fernruf', 'prosody', 'ejabberd']

/** A server under load. */
export interface Running {
  readonly name: ServerName
  readonly version: string
  readonly port: number
  /** Port of direct TLS; the peers have none here. */
  readonly directPort: number | undefined
  /** Its main process; the generator follows the children. */
  readonly pid: number
  stop(): Promise<void>
}

export interface StartOptions {
  /** Processors of the server, as taskset takes them. */
  readonly cpus: string | undefined
  /** Folder for data of all servers. */
  readonly folder: string
  /** Another checkout's folder for fernruf, to compare two states of it. */
  readonly checkout?: string
  readonly archive?: boolean
  /** Absent: each server's own embedded store. */
  readonly postgres?: TestPostgres | undefined
}

/** Starts one server. @throws Error that says what is missing */
export function startServer(name: ServerName, options: StartOptions): Promise<Running> {
  return name === 'fernruf' ? startFernruf(options) : startPeer(name, options)
}

/** A fresh folder for one run. */
export const benchFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'fernruf-bench-'))

async function startPeer(name: 'prosody' | 'ejabberd', options: StartOptions): Promise<Running> {
  const lacking = await missing([name === 'ejabberd' ? 'ejabberdctl' : 'prosody', 'openssl', 'taskset'])
  if (lacking.length > 0) throw new Error(`${lacking.join(' and ')} missing: apt-get install prosody ejabberd openssl`)
  // Without its driver ejabberd starts all the same, and each message waits in vain for a database.
  if (name === 'ejabberd' && options.postgres !== undefined && !(await isInstalled('erlang-p1-pgsql')))
    throw new Error('ejabberd cannot use PostgreSQL: apt-get install erlang-p1-pgsql')
  const port = await freePort()
  const env = {
    PEER_HOME: options.folder,
    PEER_PORT: String(port),
    ...(options.cpus === undefined ? {} : { PEER_CPUS: options.cpus }),
    ...(options.archive === true ? { PEER_MAM: '1' } : {}),
    ...(options.postgres === undefined ? {} : { PEER_PG: new URL(options.postgres.url).port }),
  }
  if ((await launched('bash', [PEER, 'start', name], env)) !== 0) throw new Error(`${name} did not start`)
  const pid = Number((await ran('bash', [PEER, 'pids', name], { env })).stdout.trim())
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
  const { stdout } = await ran('dpkg-query', ['-W', '-f', '${Version}', name])
  return {
    name,
    version: stdout,
    port,
    directPort: undefined,
    pid,
    stop: async () => {
      await ran('bash', [PEER, 'stop', name], { env })
      await gone(pid)
    },
  }
}

async function isInstalled(debianPackage: string): Promise<boolean> {
  return (await ran('dpkg', ['-s', debianPackage])).code === 0
}

/** Polls, as one can only do for a process that is no child of this one. */
async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await new Promise((done) => setTimeout(done, 50))
  }
  process.kill(pid, 'SIGKILL')
}

async function startFernruf(options: StartOptions): Promise<Running> {
  const folder = join(options.folder, 'fernruf')
  await mkdir(folder, { recursive: true })
  const checkout = options.checkout ?? ROOT
  const [port, direct, ops] = [await freePort(), await freePort(), await freePort()]
  const certificate = join(folder, 'tls.crt')
  const key = join(folder, 'tls.key')
  await ran('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'],
    ...['-subj', `/CN=${DOMAIN}`, '-addext', `subjectAltName=DNS:${DOMAIN}`, '-keyout', key, '-out', certificate],
  ])
  const many = 1_000_000
  const config = {
    domain: DOMAIN,
    environment: 'production',
    tls: { certificate, key },
    data_dir: join(folder, 'data'),
    c2s: { starttls: [`127.0.0.1:${port}`], direct_tls: [`127.0.0.1:${direct}`] },
    http: { ops: { listen: `127.0.0.1:${ops}` } },
    account: { registration: ['open'], open_confirmed: true },
    // The generator is one address with thousands of connections; the peers run without such limits as well.
    limits: {
      connections: { per_address: many, before_login: many, before_login_per_address: many, total: many },
      registration: { accounts: { hour: many, day: many } },
    },
    ...(options.archive === true ? {} : { features: { archive: false } }),
    ...(options.postgres === undefined
      ? {}
      : {
          database: { url: options.postgres.url.replace(/[^/]*$/, 'fernruf') },
          secret_file: await rootSecret(folder),
        }),
    log: { level: 'warn' },
  }
  const file = join(folder, 'fernruf.yaml')
  await writeFile(file, JSON.stringify(config, undefined, 2))
  if (options.postgres !== undefined) {
    const main = join(checkout, 'src/main.ts')
    for (const words of [['migrate'], ['key', 'init']]) await ran(process.execPath, [main, ...words, '--config', file])
  }
  const command = [process.execPath, ...(await startArguments(checkout)), '--config', file]
  const [program = '', ...args] = options.cpus === undefined ? command : ['taskset', '-c', options.cpus, ...command]
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production' },
  })
  await ready(child)
  if (child.pid === undefined) throw new Error('fernruf has no process')
  const described = (await ran('git', ['-C', checkout, 'describe', '--always', '--dirty'])).stdout.trim()
  return {
    name: 'fernruf',
    version: described,
    port,
    directPort: direct,
    pid: child.pid,
    stop: () =>
      new Promise((done) => {
        child.once('exit', () => done())
        if (!child.kill('SIGTERM')) done()
      }),
  }
}

/** What `npm start` gives to Node. */
async function startArguments(checkout: string): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as {
    readonly scripts: { readonly start: string }
  }
  const [, ...args] = scripts.start.split(' ')
  return args.map((arg) => (arg.startsWith('src/') ? join(checkout, arg) : arg))
}

async function rootSecret(folder: string): Promise<string> {
  const file = join(folder, 'secret')
  await writeFile(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
  return file
}

function ready(child: ChildProcess): Promise<void> {
  const lines: string[] = []
  return new Promise((resolve, reject) => {
    const hear = (line: string): void => {
      if (lines.push(line) > 200) lines.shift()
      if (/\bready\b/.test(line)) resolve()
    }
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', hear)
    if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', hear)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`fernruf stopped (${code}):\n${lines.join('\n')}`)))
  })
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise((done) => server.close(done))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

export const removeFolder = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true })

/** CPU time of a process and its threads; the kernel counts in ticks of 10 ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** The machine in one line, for a table's foot. */
export function machine(): string {
  const info = readFileSync('/proc/cpuinfo', 'utf8')
  const model = /model name\s*:\s*(.*)/.exec(info)?.[1] ?? 'unknown processor'
  const cores = info.match(/^processor/gm)?.length ?? 0
  const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
  return `${model}, ${cores} cores, Linux ${kernel}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`
}
