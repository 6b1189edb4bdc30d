import type { BareJid, Domain } from '../xmpp/jid.ts'
import type { LoginState } from './login-store.ts'

/** How an account's messages are shared out among its devices; see inbox/policy.ts. */
export const DELIVERIES = ['first-come', 'exclusive', 'every-device'] as const
export type Delivery = (typeof DELIVERIES)[number]

export interface Account {
  readonly id: number
  readonly jid: BareJid
  /** True when the localpart is the SHA-1 of a phone number: then it is treated like the number (never logged). */
  readonly isNumber: boolean
  readonly createdAt: number
  readonly disabledAt: number | undefined
  /** Undefined: the domain's policy. */
  readonly delivery: Delivery | undefined
  /** OpenPGP fingerprint recorded at the last registration, 40 upper-case hex. */
  readonly fingerprint: string | undefined
  /** See `LoginState`. */
  readonly epoch: number
}

export type ScramMechanism = 'SCRAM-SHA-1' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
/** RFC 5802 §3: what a server keeps of a password. */
export interface ScramSecrets {
  readonly mechanism: ScramMechanism
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** Tables `account` and `credential`. */
export interface AccountStore {
  /** Undefined when the name is taken. */
  create(account: {
    readonly jid: BareJid
    readonly isNumber: boolean
    readonly fingerprint: string | undefined
    readonly secrets: readonly ScramSecrets[]
  }): Promise<Account | undefined>
  find(jid: BareJid): Promise<Account | undefined>
  /** The account with what it keeps for one mechanism, or for any it has anything for, in one query. */
  credential(
    jid: BareJid,
    mechanism: ScramMechanism | 'any',
  ): Promise<{ readonly account: Account; readonly secrets: ScramSecrets | undefined } | undefined>
  list(domain: Domain, after: string, limit: number): Promise<readonly Account[]>
  /** What the account keeps secrets for; empty when there is none of either. */
  mechanisms(jid: BareJid): Promise<readonly ScramMechanism[]>
  /** Adds secrets of the same password, or replaces them one by one; false when credentials were taken away since `state`. */
  addSecrets(state: LoginState, secrets: readonly ScramSecrets[]): Promise<boolean>
  // Each of these three ends all tokens of the account (see `LoginState`).
  /** Replaces all secrets. */
  setSecrets(id: number, secrets: readonly ScramSecrets[]): Promise<void>
  setDisabled(id: number, at: number | undefined): Promise<void>
  /** Undefined: the domain's policy. */
  setDelivery(id: number, delivery: Delivery | undefined): Promise<void>
  setFingerprint(id: number, fingerprint: string): Promise<void>
  /** Removes the account and, by foreign keys, everything of it. */
  remove(id: number): Promise<void>
  /** The same if nobody has made or used it since; false, and nothing happens, if somebody has. */
  removeUnused(id: number, before: number): Promise<boolean>
}
