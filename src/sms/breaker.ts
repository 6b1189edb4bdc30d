import {
  type DeliveryReports,
  type ProviderCodes,
  SmsError,
  type SmsMessage,
  type SmsProvider,
  type SmsTicket,
} from '../account/sms-provider.ts'
import { Circuit, type CircuitOptions, type CircuitState } from '../util/circuit.ts'

export interface BreakerOptions extends CircuitOptions {
  /** Messages in a row that were taken and not delivered, after which it pauses. */
  readonly undelivered?: number
}

const UNDELIVERED = 20

/** Stops asking a provider that fails, so that nobody waits for it and the next one in the chain gets the message at once. */
export class Breaker implements SmsProvider {
  readonly name: string
  readonly sender: string
  readonly codes?: ProviderCodes
  readonly reports?: DeliveryReports
  readonly #inner: SmsProvider
  readonly #circuit: Circuit
  readonly #maxUndelivered: number
  #undelivered = 0

  constructor(inner: SmsProvider, options: BreakerOptions = {}) {
    this.#inner = inner
    this.#maxUndelivered = options.undelivered ?? UNDELIVERED
    this.name = inner.name
    this.sender = inner.sender
    // A provider that refuses one number is in order.
    const isHarmless = (error: unknown): boolean => error instanceof SmsError && error.fault === 'refused'
    this.#circuit = new Circuit(isHarmless, () => new SmsError('paused'), options)
    const { codes, reports } = inner
    if (reports !== undefined) {
      this.reports = {
        read: (header, body, now) => reports.read(header, body, now),
        settled: (isDelivered) => this.#settled(isDelivered),
      }
    }
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

  /** Numbers that are nobody's are asked for too, so one message more or less that was not delivered says nothing. */
  #settled(isDelivered: boolean): void {
    this.#undelivered = isDelivered ? 0 : this.#undelivered + 1
    if (this.#undelivered < this.#maxUndelivered) return
    this.#undelivered = 0
    this.#circuit.trip()
  }

  send(message: SmsMessage, signal: AbortSignal): Promise<SmsTicket | undefined> {
    return this.#circuit.guarded(() => this.#inner.send(message, signal))
  }
}
