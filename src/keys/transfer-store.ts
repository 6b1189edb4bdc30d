import type { Account } from '../account/store.ts'

/** A secret key on its way to another device of its owner. */
export interface StoredTransfer {
  /** `Account.id`. */
  readonly account: number
  /** SHA-256 of the token. */
  readonly tokenHash: Uint8Array
  /** The secret keyring, as the client encrypted it. */
  readonly ring: Uint8Array
  /** Ms since the epoch. */
  readonly expiresAt: number
}

/** Table `key_transfer`. */
export interface KeyTransferStore {
  /** One per account: it replaces the one before. */
  put(transfer: StoredTransfer): Promise<void>
  /** Gives it once: it is gone afterwards. Undefined when there is none, or its time is over. */
  take(tokenHash: Uint8Array, now: number): Promise<(Pick<Account, 'jid'> & Pick<StoredTransfer, 'ring'>) | undefined>
  /** Removes those whose time is over; returns how many. */
  expire(now: number): Promise<number>
}
