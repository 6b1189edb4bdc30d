import { ServerProcess } from '../../helpers/server-process.ts'
import { until } from './poll.ts'

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
  stop(): Promise<void> {
    return this.#process.remove()
  }
}
