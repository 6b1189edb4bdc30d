import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { BareJid } from '../xmpp/jid.ts'
import type { Device, DeviceLogin, LoginState, LoginStore } from './login-store.ts'

/** 144 bits: divisible by 6, so that base64 needs no padding. */
const NAME_BYTES = 18
const RESOURCE_BYTES = 18

export interface DevicesOptions {
  readonly store: LoginStore
  /** `RootSecret.derive('resources')`. */
  readonly key: Uint8Array
  /** Devices of one account; the ones that were away longest are forgotten. */
  readonly max: number
  /** How long a device is remembered that does not come. */
  readonly keptMs: number
  readonly now?: () => number
}

/**
 * Which devices an account is used on: those that say so when they log in (XEP-0388 §2.3). What a device calls itself is kept
 * as a hash only and shown to nobody; `agent` is always that hash.
 */
export class Devices {
  readonly #options: DevicesOptions
  readonly #now: () => number

  constructor(options: DevicesOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** Of a UUID of version 4, which has 122 random bits: its hash needs no key to be no way back. */
  agentOf(jid: BareJid, id: string): Buffer {
    return createHash('sha256').update(`agent\0${jid}\0${id.toLowerCase()}`).digest()
  }
  /** The generated part of a device's resource: always the same, and of no use to find the device's id. */
  resourceOf(agent: Uint8Array): string {
    return createHmac('sha256', this.#options.key)
      .update(agent)
      .digest()
      .subarray(0, RESOURCE_BYTES)
      .toString('base64url')
  }

  state(jid: BareJid): Promise<LoginState | undefined> {
    return this.#options.store.state(jid)
  }
  /** Notes a login. @returns the resource it has bound last */
  seen(login: Omit<DeviceLogin, 'at'>): Promise<string | undefined> {
    const name = randomBytes(NAME_BYTES).toString('base64url')
    return this.#options.store.seen({ ...login, at: this.#now() }, name, this.#options.max)
  }
  bound(account: LoginState, agent: Uint8Array, resource: string): Promise<void> {
    return this.#options.store.bound(account.id, agent, resource)
  }

  /** The account's devices, the latest first; empty for no account. */
  async list(jid: BareJid): Promise<readonly Device[]> {
    const state = await this.state(jid)
    return state === undefined ? [] : this.#options.store.devices(state.id, this.#now())
  }
  /** Ends the device's tokens. It is forgotten only when it knows nothing else to log in by. */
  async revoke(jid: BareJid, device: Device): Promise<void> {
    const state = await this.state(jid)
    if (state === undefined) return
    await this.#options.store.revoke(state.id, device.agent, this.#now(), !device.hasPassword && !device.hasKey)
  }

  /** Removes what is over; to be called now and then. */
  purge(): Promise<number> {
    return this.#options.store.purge(this.#now() - this.#options.keptMs)
  }
}
