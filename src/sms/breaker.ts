import {
  type ProviderCodes,
  SmsError,
  type SmsMessage,
  type SmsProvider,
  type SmsTicket,
} from '../account/sms-provider.ts'
import { Circuit, type CircuitOptions, type CircuitState } from '../util/circuit.ts'

/** Stops asking a provider that fails, so that nobody waits for it and the next one in the chain gets the message at once. */
export class Breaker implements SmsProvider {
  readonly name: string
  readonly sender: string
  readonly codes?: ProviderCodes
  readonly #inner: SmsProvider
  readonly #circuit: Circuit

  constructor(inner: SmsProvider, options: CircuitOptions = {}) {
    this.#inner = inner
    this.name = inner.name
    this.sender = inner.sender
    // A provider that refuses one number is in order.
    const isHarmless = (error: unknown): boolean => error instanceof SmsError && error.fault === 'refused'
    this.#circuit = new Circuit(isHarmless, () => new SmsError('paused'), options)
    const { codes } = inner
    if (codes === undefined) return
    const { next } = codes
    this.codes = {
      check: (ticket, code, signal) => this.#circuit.guarded(() => codes.check(ticket, code, signal)),
      // Nobody waits for it, and it says little: one may cancel what is over.
      cancel: (ticket, signal) => codes.cancel(ticket, signal),
      ...(next === undefined
        ? {}
        : { next: (ticket: SmsTicket, signal: AbortSignal) => this.#circuit.guarded(() => next(ticket, signal)) }),
    }
  }

  get state(): CircuitState {
    return this.#circuit.state
  }

  send(message: SmsMessage, signal: AbortSignal): Promise<SmsTicket | undefined> {
    return this.#circuit.guarded(() => this.#inner.send(message, signal))
  }
}
