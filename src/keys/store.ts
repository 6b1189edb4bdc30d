import type { BareJid } from '../xmpp/jid.ts'

/** The key of an account, as others get it. */
export interface StoredKey {
  /** `Account.id`. */
  readonly account: number
  /** 40 upper-case hex. */
  readonly fingerprint: string
  /** Transferable public key, binary, with our certification. */
  readonly ring: Uint8Array
}

/** A key to be kept. */
export interface NewKey extends StoredKey {
  /** When it ceases to be good for the account by itself, in ms since the epoch; Infinity: never. */
  readonly expiresAt: number
}
/** An account whose key is over. */
export interface ExpiredKey {
  readonly account: number
  readonly jid: BareJid
  readonly fingerprint: string
}

/** One of the server's own keys. */
export interface StoredServerKey {
  readonly fingerprint: string
  readonly ring: Uint8Array
  /** The secret key, sealed by the root secret. */
  readonly sealed: Uint8Array
  /** Ms since the epoch. */
  readonly createdAt: number
  /** Exactly one is current; the others only verify. */
  readonly isCurrent: boolean
}

/** Tables `public_key` and `server_key`. */
export interface KeyStore {
  find(account: number): Promise<StoredKey | undefined>
  /** Keeps what is known of the account's key; false where it is not the account's, or not any more. */
  put(key: NewKey): Promise<boolean>
  /** Makes it the account's key in the place of `former`, which may be the same, and ends its tokens, that of a secret key on its way too; false, and nothing happens, where that is not its key any more. */
  follow(key: NewKey, former: string): Promise<boolean>
  /** Keys that are over, and of which `ended` was not yet said; some of them, the oldest first. */
  expired(now: number): Promise<readonly ExpiredKey[]>
  /** Ends the tokens of an account whose key is over, that of a secret key on its way too; false where it is not, or not its key any more. */
  endTokens(key: ExpiredKey, now: number): Promise<boolean>
  /** All that the key had opened has ended. */
  ended(key: ExpiredKey, now: number): Promise<void>
  serverKeys(): Promise<readonly StoredServerKey[]>
  /** Makes it the current key if there is none yet; otherwise nothing happens. */
  addFirstServerKey(key: Omit<StoredServerKey, 'isCurrent'>): Promise<void>
  /** Makes it the current key, new or known; the one before stays, and only verifies from then on. */
  makeCurrent(key: Omit<StoredServerKey, 'isCurrent'>): Promise<void>
  /** Forgets a key that is not the current one: what it has certified holds no longer. Whether there was one. */
  removeServerKey(fingerprint: string): Promise<boolean>
}
