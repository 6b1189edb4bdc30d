/** What may be bound; `undefined` is a mistake. Booleans and dates are stored as integers (ms since the epoch) in both dialects. */
export type Param = string | number | null | Uint8Array
/** A row as the driver gives it: integers as numbers (all ours fit 2^53), blobs as Uint8Array. */
export type Row = Readonly<Record<string, string | number | null | Uint8Array>>

/** One dialect's database, or a transaction on it. Statements use $1…$n in both dialects; each text is prepared once. */
export interface Sql {
  readonly dialect: 'postgres' | 'sqlite'
  /** @throws StoreError */
  query<R = Row>(text: string, params?: readonly Param[]): Promise<R[]>
}
export interface Transaction extends Sql {
  /** Runs several statements without parameters, for migrations: not prepared, no time limit. @throws StoreError */
  script(text: string): Promise<void>
}
export interface Database extends Sql {
  /**
   * Runs `work` in one transaction; rolls back when it throws. Serialisation failures and deadlocks are tried again, so `work`
   * may run more than once; it must ask only the `sql` it is given. @throws StoreError, and what `work` throws
   */
  transaction<T>(work: (sql: Transaction) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** `unavailable`: the database could not be asked or did not answer (retry later); `refused`: it said no to this statement. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly fault: 'unavailable' | 'refused'
  constructor(fault: 'unavailable' | 'refused', cause: unknown) {
    super(`database ${fault}`, { cause })
    this.fault = fault
  }
}
