import {
  type ProviderCodes,
  SmsError,
  type SmsMessage,
  type SmsProvider,
  type SmsTicket,
} from '../account/sms-provider.ts'

/** `closed`: asked as ever; `open`: not asked; `half-open`: one call is on its way to see whether it works again. */
export type CircuitState = 'closed' | 'open' | 'half-open'

export interface BreakerOptions {
  /** Failures in a row that open the circuit. */
  readonly failures?: number
  /** How long it stays open before one call is let through. */
  readonly pauseMs?: number
  readonly onChanged?: (state: CircuitState) => void
  /** Ms of any clock. */
  readonly now?: () => number
}

const FAILURES = 5
const PAUSE_MS = 30_000

/** Stops asking a provider that fails, so that nobody waits for it and the next one in the chain gets the message at once. */
export class Breaker implements SmsProvider {
  readonly name: string
  readonly sender: string
  readonly codes?: ProviderCodes
  readonly #inner: SmsProvider
  readonly #failures: number
  readonly #pauseMs: number
  readonly #onChanged: (state: CircuitState) => void
  readonly #now: () => number
  #state: CircuitState = 'closed'
  #failed = 0
  #openUntil = 0

  constructor(inner: SmsProvider, options: BreakerOptions = {}) {
    this.#inner = inner
    this.name = inner.name
    this.sender = inner.sender
    this.#failures = options.failures ?? FAILURES
    this.#pauseMs = options.pauseMs ?? PAUSE_MS
    this.#onChanged = options.onChanged ?? (() => undefined)
    this.#now = options.now ?? performance.now.bind(performance)
    const { codes } = inner
    if (codes === undefined) return
    const { next } = codes
    this.codes = {
      check: (ticket, code, signal) => this.#guarded(() => codes.check(ticket, code, signal)),
      // Nobody waits for it, and it says little: one may cancel what is over.
      cancel: (ticket, signal) => codes.cancel(ticket, signal),
      ...(next === undefined
        ? {}
        : { next: (ticket: SmsTicket, signal: AbortSignal) => this.#guarded(() => next(ticket, signal)) }),
    }
  }

  get state(): CircuitState {
    return this.#state
  }

  send(message: SmsMessage, signal: AbortSignal): Promise<SmsTicket | undefined> {
    return this.#guarded(() => this.#inner.send(message, signal))
  }

  async #guarded<T>(call: () => Promise<T>): Promise<T> {
    if (this.#state === 'half-open' || (this.#state === 'open' && this.#now() < this.#openUntil)) {
      throw new SmsError('paused')
    }
    if (this.#state === 'open') this.#become('half-open')
    try {
      const result = await call()
      this.#works()
      return result
    } catch (error) {
      // A provider that refuses one number is in order.
      if (error instanceof SmsError && error.fault === 'refused') this.#works()
      else this.#fails()
      throw error
    }
  }

  #works(): void {
    this.#failed = 0
    this.#become('closed')
  }
  #fails(): void {
    this.#failed++
    if (this.#state === 'closed' && this.#failed < this.#failures) return
    this.#openUntil = this.#now() + this.#pauseMs
    this.#become('open')
  }
  #become(state: CircuitState): void {
    if (state === this.#state) return
    this.#state = state
    this.#onChanged(state)
  }
}
