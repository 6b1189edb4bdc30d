import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ServerProcess } from '../../helpers/server-process.ts'
import { until } from './poll.ts'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const MANY = 1_000_000

/** The real server with open registration, codes on its output, and room for everybody on one address. */
export class InteropServer {
  readonly #process: ServerProcess
  #codesRead = 0

  private constructor(process: ServerProcess) {
    this.#process = process
  }

  static async start(): Promise<InteropServer> {
    const process = await ServerProcess.prepare({
      config: {
        account: { registration: ['sms', 'open'] },
        sms: { provider: 'console' },
        limits: { registration: { accounts: { hour: MANY, day: MANY } } },
      },
    })
    try {
      await process.start()
    } catch (error) {
      await process.remove()
      throw error
    }
    return new InteropServer(process)
  }

  get domain(): string {
    return this.#process.domain
  }
  get port(): number {
    return this.#process.port
  }
  get tlsPort(): number {
    return this.#process.directTlsPort
  }

  /** The next code that it printed, for a number that ends so. */
  async code(ending: string): Promise<string> {
    const look = (): string | undefined => {
      const lines = this.#process.output.matchAll(/number ending in (\d+): the code is (\d+)/g)
      const codes = [...lines].filter((line) => line[1] === ending).map((line) => line[2])
      return codes[this.#codesRead]
    }
    const code = await until(look, `a code for …${ending}`, () => this.#process.output)
    this.#codesRead++
    return code
  }
  /** As an operator does it: ends it with a signal and starts it on the same data. @returns its exit code */
  async restart(): Promise<number | undefined> {
    const code = await this.#process.end('SIGTERM')
    await this.#process.start()
    this.#codesRead = 0
    return code
  }
  /** An account made by the operator, on the running server. */
  async addAccount(jid: string, password: string): Promise<void> {
    const args = [MAIN, 'account', 'add', jid, '--config', this.#process.configFile]
    const command = promisify(execFile)(process.execPath, args)
    command.child.stdin?.end(`${password}\n`)
    await command
  }
  stop(): Promise<void> {
    return this.#process.remove()
  }
}
