import type { Account } from '../account/store.ts'
import type { Wheel } from '../util/wheel.ts'
import type { BareJid } from '../xmpp/jid.ts'
import type { PushDevice, PushStore } from './store.ts'
import type { Wake } from './wake-sender.ts'

/** Accounts that are being looked after at one time; what is over that is not woken. */
const MAX_CHECKS = 50_000

/** What waits for an account's devices. */
export interface ToTake {
  /** One of them can take it in the place of another. */
  readonly isShared: boolean
  /** Those that have something to take. */
  readonly devices: ReadonlySet<string>
}
/** Who has to wait how long; ms. */
export interface WakeTimes {
  /** A message that no connected device could take. */
  readonly delay: number
  /** One that a connected device of the account could take in the place of the one that is away. */
  readonly sibling: number
  /** One that was given to the device itself, which says nothing. */
  readonly silence: number
  /** Between two wake-ups of one device. */
  readonly interval: number
}
/** How long somebody has been waited for: `delay`, `sibling`, `silence`. */
type Age = 0 | 1 | 2
const NAMES = ['delay', 'sibling', 'silence'] as const satisfies readonly (keyof WakeTimes)[]

export interface WakeUpsParts {
  readonly store: Pick<PushStore, 'claim'>
  readonly wheel: Pick<Wheel, 'now' | 'schedule'>
  readonly times: WakeTimes
  /** The account's devices that can be woken. */
  readonly devicesOf: (account: Account) => Promise<readonly PushDevice[]>
  /** Resources of the account that are connected, available and take messages. */
  readonly connectedOf: (account: BareJid) => Promise<ReadonlySet<string>>
  readonly toTake: (account: Account, devices: readonly string[]) => Promise<ToTake>
  readonly send: (wake: Wake) => void
  /** Something could not be looked up, or there was too much to look after. */
  readonly failed: (error: unknown) => void
  readonly now?: () => number
}

/**
 * Wakes devices that nothing else reaches: some time after a message was kept it is looked whether somebody has taken it, and if
 * not, who should be woken. What is under way is in memory only; a message is never lost by it, since it waits in the log.
 */
export class WakeUps {
  readonly #parts: WakeUpsParts
  readonly #now: () => number
  /** By account and what is waited for; one look serves all messages that came before it. */
  readonly #checks = new Set<string>()

  constructor(parts: WakeUpsParts) {
    this.#parts = parts
    this.#now = parts.now ?? Date.now
  }

  /** A message for the account was kept that is worth waking somebody. */
  kept(account: Account): void {
    this.#plan(account, 0, this.#now(), this.#parts.times.delay, '')
  }

  #plan(account: Account, age: Age, since: number, ms: number, why: '' | 'again'): void {
    const key = `${account.id} ${why === '' ? age : why}`
    if (this.#checks.has(key)) return
    if (this.#checks.size >= MAX_CHECKS) {
      this.#parts.failed(new Error('too many wake-ups'))
      return
    }
    this.#checks.add(key)
    const elapsed = (): void => {
      // What is kept from now on needs a look of its own.
      this.#checks.delete(key)
      this.#look(account, age, since).catch((error: unknown) => this.#parts.failed(error))
    }
    this.#parts.wheel.schedule({ due: 0, elapsed }, this.#parts.wheel.now() + ms)
  }

  async #look(account: Account, age: Age, since: number): Promise<void> {
    const { devicesOf, connectedOf, toTake, times } = this.#parts
    const devices = await devicesOf(account)
    if (devices.length === 0) return
    const { isShared, devices: waiting } = await toTake(
      account,
      devices.map(({ device }) => device),
    )
    const awaited = devices.filter(({ device }) => waiting.has(device))
    if (awaited.length === 0) return
    const connected = await connectedOf(account.jid)
    let isEarly = false
    for (const device of awaited) {
      let needed: Age = isShared && connected.size > 0 ? 1 : 0
      if (connected.has(device.device)) needed = 2
      if (age < needed) isEarly = true
      else await this.#wake(account, device, age, since)
    }
    if (!isEarly) return
    const next = (age + 1) as Age
    this.#plan(account, next, since, times[NAMES[next]] - times[NAMES[age]], '')
  }

  async #wake(account: Account, device: PushDevice, age: Age, since: number): Promise<void> {
    const { store, times, send, toTake } = this.#parts
    const now = this.#now()
    const woken = await store.claim(device, now, Math.min(now - times.interval, since))
    if (woken === true) {
      const isStillWanted = async (): Promise<boolean> =>
        (await toTake(account, [device.device])).devices.has(device.device)
      send({ device, isStillWanted })
    } else if (woken !== undefined && woken <= since) {
      // That was for an earlier message.
      this.#plan(account, age, since, woken + times.interval - now, 'again')
    }
  }
}
