import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const ROOT = join(import.meta.dirname, '../..')
/** A first start makes keys and migrates. */
const START_MS = 30_000

export interface ProcessSettings {
  readonly domain?: string
  /** PostgreSQL's address; absent: the embedded store. */
  readonly databaseUrl?: string | undefined
  /** More sections of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** The real program in a process of its own, with a data folder that outlives its restarts. */
export class ServerProcess {
  readonly domain: string
  readonly port: number
  readonly directTlsPort: number
  readonly opsPort: number
  readonly folder: string
  /** Undefined: the embedded store. */
  readonly databaseUrl: string | undefined
  #child: ChildProcess | undefined
  #output: string[] = []

  private constructor(domain: string, ports: readonly number[], folder: string, databaseUrl: string | undefined) {
    this.domain = domain
    this.databaseUrl = databaseUrl
    this.port = ports[0] ?? 0
    this.directTlsPort = ports[1] ?? 0
    this.opsPort = ports[2] ?? 0
    this.folder = folder
  }

  /** Writes the configuration; nothing runs yet. */
  static async prepare(settings: ProcessSettings = {}): Promise<ServerProcess> {
    const domain = settings.domain ?? 'localhost'
    const folder = await mkdtemp(join(tmpdir(), 'fernruf-test-'))
    const server = new ServerProcess(domain, await freePorts(3), folder, settings.databaseUrl)
    const config = {
      domain,
      environment: 'development',
      data_dir: join(folder, 'data'),
      c2s: { starttls: [`127.0.0.1:${server.port}`], direct_tls: [`127.0.0.1:${server.directTlsPort}`] },
      http: { ops: { listen: `127.0.0.1:${server.opsPort}` }, public: { listen: '127.0.0.1:0' } },
      account: { registration: ['open'] },
      ...(settings.databaseUrl === undefined
        ? {}
        : { database: { url: settings.databaseUrl }, secret_file: join(folder, 'secret') }),
      ...settings.config,
    }
    await writeFile(join(folder, 'secret'), `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
    // JSON is YAML.
    await writeFile(server.configFile, JSON.stringify(config, undefined, 2))
    return server
  }

  get configFile(): string {
    return join(this.folder, 'fernruf.yaml')
  }
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('the server does not run')
    return this.#child.pid
  }
  /** The last lines that it printed. */
  get output(): string {
    return this.#output.join('\n')
  }

  /** Starts it and waits for its line `ready`. @throws Error with its output when it does not come up */
  async start(command: readonly string[] = []): Promise<void> {
    const [program = process.execPath, ...before] = command
    const args = [...before, join(ROOT, 'src/main.ts'), 'serve', '--config', this.configFile]
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder })
    this.#child = child
    this.#output = []
    await new Promise<void>((resolve, reject) => {
      const failed = (why: string): void => reject(new Error(`the server ${why}:\n${this.output}`))
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        failed('was not ready in time')
      }, START_MS)
      const line = (text: string): void => {
        this.#output.push(text)
        if (this.#output.length > 500) this.#output.shift()
        if (/\bready\b/.test(text)) {
          clearTimeout(timer)
          resolve()
        }
      }
      createInterface({ input: child.stdout }).on('line', line)
      createInterface({ input: child.stderr }).on('line', line)
      child.once('error', (error) => failed(error.message))
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        failed(`stopped (${code ?? signal})`)
      })
    })
  }

  /** Sends the signal and waits until the process is gone. @returns its exit code */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | undefined> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return undefined
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? undefined
    const gone = new Promise<number | undefined>((done) => child.once('exit', (code) => done(code ?? undefined)))
    child.kill(signal)
    return gone
  }
  /** Ends it and removes its folder. */
  async remove(): Promise<void> {
    await this.end('SIGKILL')
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
      return server
    }),
  )
  return Promise.all(
    servers.map(async (server) => {
      const { port } = server.address() as AddressInfo
      await new Promise((done) => server.close(done))
      return port
    }),
  )
}
