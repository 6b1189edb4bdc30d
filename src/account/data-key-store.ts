/** The data key of an account, as it is stored. */
export interface StoredDataKey {
  /** `Account.id`. */
  readonly account: number
  /** `OperatorKey.id` of the key that wrapped it. */
  readonly operatorKey: string
  readonly wrapped: Uint8Array
}

/** Table `data_key`: at most one per account, gone with the account. */
export interface DataKeyStore {
  find(accounts: readonly number[]): Promise<readonly StoredDataKey[]>
  /** Adds those whose accounts have none; all or nothing. @throws StoreError refused when an account does not exist */
  add(keys: readonly StoredDataKey[]): Promise<void>
  /** Those that another operator key than this one has wrapped, of accounts above `after`, in their order. */
  notUnder(operatorKey: string, after: number, limit: number): Promise<readonly StoredDataKey[]>
  /** The same data keys wrapped anew; what is not as `from` says any more stays as it is. */
  rewrap(changes: readonly { readonly from: StoredDataKey; readonly to: StoredDataKey }[]): Promise<void>
  /** Ids of the operator keys that are in use. */
  operatorKeys(): Promise<readonly string[]>
  /** Removes at most so many data keys that this operator key has wrapped; returns how many those were. */
  forget(operatorKey: string, limit: number): Promise<number>
}
