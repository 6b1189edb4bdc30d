import type { Param, Row } from '../sql.ts'
import type { PackedBatch } from './packed-batch.ts'

/** What the main thread asks the worker, one by one in the order sent. */
export type Request =
  | { readonly kind: 'query'; readonly text: string; readonly params: readonly Param[] }
  | { readonly kind: 'script'; readonly text: string }
  | { readonly kind: 'commit'; readonly batch: PackedBatch }
  | { readonly kind: 'close' }

/** What one request came to: rows (none for a script), or a fault. */
export type Reply =
  | { readonly rows: readonly Row[] }
  | { readonly fault: 'unavailable' | 'refused'; readonly message: string }

/** The worker's first message: undefined once the database is open, else the line for the operator. */
export interface Opened {
  readonly startError: string | undefined
}

/** What the worker is started with; without a folder the database is in memory. */
export interface WorkerOptions {
  readonly folder: string | undefined
}
