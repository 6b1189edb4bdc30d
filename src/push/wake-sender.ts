import { Circuit, type CircuitState } from '../util/circuit.ts'
import type { Wheel } from '../util/wheel.ts'
import { PushError, type PushFault, type PushProvider } from './provider.ts'
import type { PushDevice } from './store.ts'

/** Waits between the tries of one wake-up; the last is longer than the circuit's pause. */
const WAITS_MS: readonly number[] = [2_000, 10_000, 40_000]
/** What another try may not change. */
const FINAL: ReadonlySet<string> = new Set(['gone', 'refused', 'unauthorized'])
const MAX_AT_ONCE = 16
/** Those between two tries count too: a gateway that is away for a minute would fill the memory with them. */
const MAX_PENDING = 20_000

/** `dropped`: too many were pending; `late`: the device had come meanwhile, so it was not tried again. */
export type WakeOutcome = 'sent' | 'dropped' | 'late' | PushFault

/** One wake-up on its way. */
export interface Wake {
  readonly device: PushDevice
  /** Asked before each further try. */
  readonly isStillWanted: () => Promise<boolean>
}

/** Sends wake-ups, some at a time, each a bounded number of times; none to a provider that keeps failing. */
export class WakeSender {
  readonly #provider: PushProvider
  readonly #circuit: Circuit
  readonly #wheel: Pick<Wheel, 'now' | 'schedule'>
  readonly #signal: AbortSignal
  readonly #report: (outcome: WakeOutcome) => void
  readonly #gone: (device: PushDevice) => void
  readonly #waiting: { readonly wake: Wake; readonly tries: number }[] = []
  #running = 0
  #pending = 0

  /** `gone` is told when the provider knows a device no longer; `report` of each try, and of what was not tried. */
  constructor(parts: {
    readonly provider: PushProvider
    readonly wheel: Pick<Wheel, 'now' | 'schedule'>
    readonly signal: AbortSignal
    readonly report: (outcome: WakeOutcome) => void
    readonly gone: (device: PushDevice) => void
    readonly circuit?: (state: CircuitState) => void
  }) {
    this.#provider = parts.provider
    this.#wheel = parts.wheel
    this.#signal = parts.signal
    this.#report = parts.report
    this.#gone = parts.gone
    const isHarmless = (error: unknown): boolean =>
      error instanceof PushError && (error.fault === 'refused' || error.fault === 'gone')
    this.#circuit = new Circuit(isHarmless, () => new PushError('paused'), {
      now: () => this.#wheel.now(),
      ...(parts.circuit === undefined ? {} : { onChanged: parts.circuit }),
    })
  }

  send(wake: Wake): void {
    if (this.#pending >= MAX_PENDING) {
      this.#report('dropped')
      return
    }
    this.#pending++
    this.#enter(wake, 0)
  }
  #enter(wake: Wake, tries: number): void {
    if (this.#signal.aborted) return
    this.#waiting.push({ wake, tries })
    if (this.#running < MAX_AT_ONCE) void this.#run()
  }
  async #run(): Promise<void> {
    this.#running++
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { wake, tries } = next
      const outcome = await this.#try(wake, tries)
      if (this.#signal.aborted) break
      this.#report(outcome)
      if (outcome === 'gone') this.#gone(wake.device)
      const wait = WAITS_MS[tries]
      if (outcome === 'sent' || outcome === 'late' || FINAL.has(outcome) || wait === undefined) this.#pending--
      else this.#again(wake, tries + 1, wait)
    }
    this.#running--
  }
  async #try({ device, isStillWanted }: Wake, tries: number): Promise<Exclude<WakeOutcome, 'dropped'>> {
    try {
      if (tries > 0 && !(await isStillWanted())) return 'late'
      await this.#circuit.guarded(() =>
        this.#provider.wake({ service: device.provider, token: device.token }, this.#signal),
      )
      return 'sent'
    } catch (error) {
      return error instanceof PushError ? error.fault : 'unavailable'
    }
  }
  #again(wake: Wake, tries: number, waitMs: number): void {
    this.#wheel.schedule({ due: 0, elapsed: () => this.#enter(wake, tries) }, this.#wheel.now() + waitMs)
  }
}
