import { StoreError } from '../sql.ts'

/** Classes and codes (PostgreSQL, Appendix A) that say nothing about the statement: the same one may succeed later. */
const UNAVAILABLE = /^(08|25006|28|3D|53|55P03|57|58|XX|40)/

/** PostgreSQL's SQLSTATE, where the server answered with one. */
export function sqlState(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** A serialisation failure or a deadlock: nothing happened, and the same again may succeed. */
export const isCollision = (error: unknown): boolean => {
  const state = sqlState(error)
  return state === '40001' || state === '40P01'
}

/** Without an SQLSTATE the fault is the connection's: what became of the statement is unknown. */
export function storeError(error: unknown): StoreError {
  const state = sqlState(error)
  if (state === undefined) return new StoreError('unavailable', error)
  return new StoreError(UNAVAILABLE.test(state) ? 'unavailable' : 'refused', new SqlError(state, error))
}

/** What may be logged of a server's error: its details, and the texts of class 22, quote the values. */
class SqlError extends Error {
  override readonly name = 'SqlError'
  readonly code: string
  readonly constraint: string | undefined
  constructor(code: string, error: unknown) {
    super(error instanceof Error && !code.startsWith('22') ? error.message : 'bad value')
    this.code = code
    if (error instanceof Error && 'constraint' in error) this.constraint = String(error.constraint)
  }
}

/** The connection is of no more use: it broke, or the answer to a statement is still owed. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof StoreError) || error.fault !== 'unavailable') return false
  // Class 08: connection exception; 57P: the server ended the connection, which may not have reached us yet.
  const state = sqlState(error.cause)
  return state === undefined || state.startsWith('08') || state.startsWith('57P')
}
