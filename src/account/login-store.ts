import type { BareJid } from '../xmpp/jid.ts'
import type { Account } from './store.ts'

/** How a device has shown that it belongs to its account. */
export type Proof = 'password' | 'key' | 'token'

/** An account as a login finds it; `epoch` rises with everything that takes credentials away. */
export interface LoginState {
  readonly id: number
  readonly epoch: number
}

/** One login of a device. */
export interface DeviceLogin {
  readonly account: LoginState
  /** Hash of what the device calls itself, 32 bytes. */
  readonly agent: Uint8Array
  /** What it says of itself; undefined keeps what it said before. */
  readonly software: string | undefined
  readonly device: string | undefined
  readonly proof: Proof
  readonly at: number
}

/** A device as its owner sees it. Times are ms since the epoch. */
export interface Device {
  readonly agent: Uint8Array
  /** Names it to its owner; random. */
  readonly name: string
  readonly software: string | undefined
  readonly device: string | undefined
  /** What it has bound last. */
  readonly resource: string | undefined
  readonly firstSeen: number
  readonly lastSeen: number
  /** It has shown the password, or the key, that is still the account's. */
  readonly hasPassword: boolean
  readonly hasKey: boolean
  /** It has a token that is good. */
  readonly hasToken: boolean
}

export type TokenSlot = 'current' | 'new'
export interface StoredToken {
  readonly slot: TokenSlot
  readonly mechanism: string
  /** 32 random bytes; the token is made of them (see `Tokens`). */
  readonly seed: Uint8Array
  readonly issuedAt: number
  readonly expiresAt: number
  /** Nothing has taken the account's credentials away since it was given. */
  readonly isTrusted: boolean
}
export interface NewToken extends Omit<StoredToken, 'slot' | 'isTrusted'> {
  readonly account: LoginState
  readonly agent: Uint8Array
}
export interface TokenUse {
  readonly account: number
  readonly agent: Uint8Array
  readonly slot: TokenSlot
  readonly seed: Uint8Array
  readonly now: number
  /** Must be above every count before. */
  readonly count: number | undefined
  /** Ends all tokens of the device: they expire now. */
  readonly invalidate: boolean
}

/** Tables `device` and `fast_token`. */
export interface LoginStore {
  /** Undefined: no such account. */
  state(jid: BareJid): Promise<LoginState | undefined>
  /** Notes a login; the account's devices that were away longest go when there are more than `max`. @returns the resource bound last */
  seen(login: DeviceLogin, name: string, max: number): Promise<string | undefined>
  bound(account: number, agent: Uint8Array, resource: string): Promise<void>
  /** The latest first. */
  devices(account: number, now: number): Promise<readonly Device[]>
  /** Ends the device's tokens: they expire now; with `forget` the device is gone as well. */
  revoke(account: number, agent: Uint8Array, now: number, forget: boolean): Promise<void>

  /** The account and the tokens that this device may have. */
  tokens(
    jid: BareJid,
    agent: Uint8Array,
  ): Promise<
    { readonly account: Account; readonly state: LoginState; readonly tokens: readonly StoredToken[] } | undefined
  >
  /** Puts it into the slot `new`, in place of one that was never used. The device must be known. */
  issue(token: NewToken): Promise<void>
  /** Notes its use, in one transaction; a new one becomes the current. @returns false when it may not be used (any more) */
  use(use: TokenUse): Promise<boolean>
  /** Removes devices that were last seen before, and tokens that expired before: till then they are known as expired. */
  purge(before: number): Promise<number>
}
