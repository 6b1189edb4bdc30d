/** `closed`: asked as ever; `open`: not asked; `half-open`: one call is on its way to see whether it works again. */
export type CircuitState = 'closed' | 'open' | 'half-open'

export interface CircuitOptions {
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

/** Stops asking somebody who fails again and again, so that nobody waits for what does not come. */
export class Circuit {
  readonly #failures: number
  readonly #pauseMs: number
  readonly #onChanged: (state: CircuitState) => void
  readonly #now: () => number
  readonly #isHarmless: (error: unknown) => boolean
  readonly #paused: () => Error
  #state: CircuitState = 'closed'
  #failed = 0
  #openUntil = 0

  /** `isHarmless`: errors that show that the other side is in order; `paused`: what is thrown without asking it. */
  constructor(isHarmless: (error: unknown) => boolean, paused: () => Error, options: CircuitOptions = {}) {
    this.#isHarmless = isHarmless
    this.#paused = paused
    this.#failures = options.failures ?? FAILURES
    this.#pauseMs = options.pauseMs ?? PAUSE_MS
    this.#onChanged = options.onChanged ?? (() => undefined)
    this.#now = options.now ?? performance.now.bind(performance)
  }

  get state(): CircuitState {
    return this.#state
  }

  /** @throws what `call` throws, or what `paused` makes */
  async guarded<T>(call: () => Promise<T>): Promise<T> {
    if (this.#state === 'half-open' || (this.#state === 'open' && this.#now() < this.#openUntil)) throw this.#paused()
    if (this.#state === 'open') this.#become('half-open')
    try {
      const result = await call()
      this.#works()
      return result
    } catch (error) {
      if (this.#isHarmless(error)) this.#works()
      else this.#fails()
      throw error
    }
  }

  /** Opens it for what only others have seen. */
  trip(): void {
    this.#openUntil = this.#now() + this.#pauseMs
    this.#become('open')
  }

  #works(): void {
    this.#failed = 0
    this.#become('closed')
  }
  #fails(): void {
    this.#failed++
    if (this.#state === 'closed' && this.#failed < this.#failures) return
    this.trip()
  }
  #become(state: CircuitState): void {
    if (state === this.#state) return
    this.#state = state
    this.#onChanged(state)
  }
}
