import { SmsError, type SmsMessage, type SmsProvider } from '../account/sms-provider.ts'

export interface ConsoleSmsOptions {
  readonly environment: 'production' | 'development'
  /** Takes one line without its end; standard output when absent. */
  readonly print?: (line: string) => void
}

/** Prints the codes instead of sending them. For development: whoever reads the output could register any number. */
export class ConsoleSms implements SmsProvider {
  readonly name = 'console'
  readonly sender = 'the server console'
  readonly #print: (line: string) => void

  constructor(options: ConsoleSmsOptions) {
    if (options.environment === 'production') {
      throw new Error(
        'the SMS provider "console" shows codes to whoever reads the output; it cannot be used in production',
      )
    }
    this.#print = options.print ?? ((line) => void process.stdout.write(`${line}\n`))
  }

  /** Names the number by its last two digits: enough to tell two tries apart, too little to know whose they are. */
  async send(message: SmsMessage, signal: AbortSignal): Promise<undefined> {
    if (signal.aborted) throw new SmsError('timeout')
    this.#print(`SMS to the number ending in ${message.to.slice(-2)}: the code is ${message.code}`)
  }
}
