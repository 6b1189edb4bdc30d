import type { Delivery } from '../account/store.ts'

/** An account as the operator sees it. */
export interface AccountSummary {
  readonly jid: string
  /** The localpart is made from a phone number. */
  readonly isNumber: boolean
  /** Ms since the epoch. */
  readonly createdAt: number
  readonly isDisabled: boolean
  /** Undefined: the domain's policy. */
  readonly delivery: Delivery | undefined
  /** OpenPGP fingerprint of its key, upper-case hex. */
  readonly fingerprint: string | undefined
  /** Connected resources; undefined where that is not known, because no server runs. */
  readonly sessions: number | undefined
}

/** What an account's archive holds. */
export interface HistorySummary {
  readonly messages: number
  /** Ms since the epoch; undefined when there is nothing. */
  readonly oldest: number | undefined
  readonly newest: number | undefined
}

/** The server's OpenPGP key. */
export interface ServerKey {
  /** Upper-case hex. */
  readonly fingerprint: string
  readonly userId: string
  /** Ms since the epoch. */
  readonly createdAt: number
  /** Whether it certifies; the others only verify what they have certified. */
  readonly isCurrent: boolean
}

/** Another server of the network. */
export interface NetworkServer {
  readonly domain: string
  /** Of its OpenPGP key, upper-case hex. */
  readonly fingerprint: string
}

/** One step of a rotation of the keys of encryption at rest. */
export interface InboxKeyRotation {
  /** Of the operator key that wraps now. */
  readonly operatorKey: string
  readonly rewrapped: number
  /** Data keys that no line of the key file unwraps. */
  readonly left: number
  /** Where the next step begins; undefined: all is done. */
  readonly last: number | undefined
}

/**
 * What an operator can do: over the running server's socket, or on the store when none runs. Every change is announced, so
 * that a disabled account's sessions end at once. All methods reject with AdminError.
 */
export interface Admin {
  addAccount(jid: string, password: string): Promise<void>
  /** In the order of their JIDs, those after `after`. */
  listAccounts(after: string | undefined, limit: number): Promise<readonly AccountSummary[]>
  showAccount(jid: string): Promise<AccountSummary>
  setDisabled(jid: string, disabled: boolean): Promise<void>
  setPassword(jid: string, password: string): Promise<void>
  /** How its messages are shared out among its devices; undefined: as the domain's. */
  setDelivery(jid: string, delivery: Delivery | undefined): Promise<void>
  /** Whether anybody may fetch its OpenPGP key over HTTP. */
  isKeyListed(jid: string): Promise<boolean>
  setKeyListed(jid: string, isListed: boolean): Promise<void>
  deleteAccount(jid: string): Promise<void>
  showHistory(jid: string): Promise<HistorySummary>
  /** Removes an account's archive, or what is older than `before` (ms since the epoch); how many messages. */
  deleteHistory(jid: string, before: number | undefined): Promise<number>
  /** The current one first; empty when there is none yet. */
  serverKeys(): Promise<readonly ServerKey[]>
  /** Makes the server's key; the existing one when there is one. */
  initServerKey(): Promise<ServerKey>
  /** Makes a new one the current one. */
  rotateServerKey(): Promise<ServerKey>
  /** The same with a key that is brought: an OpenPGP secret key, armoured or binary, in base64. */
  importServerKey(key: string): Promise<ServerKey>
  /** What this former key has certified holds no longer. */
  forgetServerKey(fingerprint: string): Promise<void>
  /** Lists another server for clients, or gives it another fingerprint. */
  addNetworkServer(domain: string, fingerprint: string): Promise<void>
  removeNetworkServer(domain: string): Promise<void>
  networkServers(): Promise<readonly NetworkServer[]>
  /** One step of wrapping the accounts' data keys under the newest operator key, from the account after `after` on; 0 begins. */
  rotateInboxKeys(after: number): Promise<InboxKeyRotation>
  /** Destroys some of the data keys under this operator key, and with them what they sealed; returns how many, 0 when none is left. */
  forgetInboxKeys(operatorKey: string): Promise<number>
}

export const ADMIN_FAULTS = ['invalid', 'not-found', 'exists', 'unavailable'] as const
export type AdminFault = (typeof ADMIN_FAULTS)[number]

/** Why an operator's wish was not met; the message is for the operator. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly fault: AdminFault
  constructor(fault: AdminFault, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.fault = fault
  }
}
