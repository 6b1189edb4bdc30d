import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, copyFileSync, createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A PostgreSQL of this test run alone. */
export interface TestPostgres {
  /** Of its first process. */
  readonly pid: number
  /** Of its database `postgres`, by a user who may make others. */
  readonly url: string
  /** Stops it and removes its folder. `keepLog`: where its log is to be copied to first. */
  stop(keepLog?: string): Promise<void>
}

/** One that may fail. */
export interface CrashingPostgres extends TestPostgres {
  /** Ends it without a chance to do anything; `restart` brings it up again, on its data and port. */
  crash(): Promise<void>
  restart(): Promise<void>
}

const RESTARTS = 100
const RESTART_MS = 100

/** PostgreSQL refuses to run as root; Debian's package made this user. */
interface Identity {
  readonly uid?: number
  readonly gid?: number
}

/** Starts one in a temporary folder, on its socket and a free port of 127.0.0.1. fsync stays on: durability is tested on it. */
export async function startPostgres(programs: string): Promise<CrashingPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-test-'))
  const logFile = join(folder, 'postgres.log')
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    const identity = identityFor(folder)
    const data = join(folder, 'data')
    const options = ['-U', 'fernruf', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    execFileSync(join(programs, 'initdb'), ['-D', data, ...options], { ...identity, cwd: folder, stdio: 'pipe' })
    const port = await freePort()
    const listening = ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', folder, '-c', 'max_connections=200']
    const run = (): ChildProcess =>
      spawn(join(programs, 'postgres'), listening, { ...identity, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let server = run()
    const killAtExit = (): void => {
      server.kill('SIGQUIT')
      remove()
    }
    process.on('exit', killAtExit)
    await ready(server, logFile)
    return {
      get pid() {
        return server.pid ?? 0
      },
      url: `postgres://fernruf@127.0.0.1:${port}/postgres`,
      async crash() {
        const ended = new Promise((resolve) => server.once('exit', resolve))
        server.kill('SIGKILL')
        await ended
      },
      async restart() {
        // Its memory is in use until the last of its processes has seen that the first is gone.
        for (let tries = 1; ; tries++) {
          server = run()
          try {
            await ready(server, logFile)
            return
          } catch (error) {
            if (tries === RESTARTS) throw error
            await new Promise((resolve) => setTimeout(resolve, RESTART_MS))
          }
        }
      },
      async stop(keepLog) {
        if (server.exitCode === null && server.signalCode === null) {
          const ended = new Promise((resolve) => server.once('exit', resolve))
          server.kill('SIGINT')
          await ended
        }
        if (keepLog !== undefined) {
          mkdirSync(join(keepLog, '..'), { recursive: true })
          copyFileSync(logFile, keepLog)
        }
        process.off('exit', killAtExit)
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

function identityFor(folder: string): Identity {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  const identity = { uid: id('-u'), gid: id('-g') }
  chownSync(folder, identity.uid, identity.gid)
  return identity
}

/** Settles when it accepts connections; its log goes to the file. */
function ready(server: ChildProcess, logFile: string): Promise<void> {
  const log = createWriteStream(logFile, { flags: 'a' })
  server.stdout?.resume()
  const last: string[] = []
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('exit', () => reject(new Error(`PostgreSQL ended: ${last.slice(-3).join(' | ')}`)))
    if (server.stderr === null) return
    createInterface({ input: server.stderr }).on('line', (line) => {
      log.write(`${line}\n`)
      last.push(line)
      if (last.length > 3) last.shift()
      if (line.includes('ready to accept connections')) resolve()
    })
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
