/** An uploaded file, or one that a slot was given for. */
export interface StoredUpload {
  /** 32 hex digits. */
  readonly id: string
  readonly name: string
  /** Media type, as it was asked for. */
  readonly type: string
  readonly size: number
  /** Ms since the epoch; undefined: it has not come yet. */
  readonly storedAt: number | undefined
}
export interface NewUpload extends Omit<StoredUpload, 'storedAt'> {
  /** `Account.id`. */
  readonly account: number
}

/** What one account may have and do; what was asked for counts like what has come. */
export interface UploadQuota {
  readonly bytesPerDay: number
  readonly filesPerDay: number
  readonly total: number
  /** How long a file lies here. */
  readonly keptMs: number
}
/** It does not fit; `retryAt`, in ms since the epoch, is when it will if nothing else comes; undefined: never. */
export interface QuotaReached {
  readonly retryAt: number | undefined
}

/** Table `upload`. Rows outlive their account, so that the files go before them. */
export interface UploadStore {
  /** Reserves room; undefined when it is done. An account that is gone has none. */
  reserve(upload: NewUpload, quota: UploadQuota, now: number): Promise<QuotaReached | undefined>
  /** Of an account that exists and is not disabled. */
  find(id: string): Promise<StoredUpload | undefined>
  /** The file has come; false when it had before, or its account is gone. */
  stored(id: string, now: number): Promise<boolean>
  /** Ids of some whose account is gone, which came before `stored`, or were asked for before `requested` and did not come. */
  over(before: { readonly stored: number; readonly requested: number }, limit: number): Promise<readonly string[]>
  remove(ids: readonly string[]): Promise<void>
}
