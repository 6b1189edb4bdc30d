import type { Sql } from './sql.ts'

/**
 * Lets one transaction at a time pass for the account, so that what it counts stays true until it commits; false when there is no
 * such account. On SQLite the transaction itself is the lock.
 */
export async function lockAccount(sql: Sql, account: number): Promise<boolean> {
  // No stronger than that: rows that merely refer to the account are written meanwhile.
  const text =
    sql.dialect === 'postgres'
      ? 'select id from account where id = $1 for no key update'
      : 'select id from account where id = $1'
  return (await sql.query(text, [account])).length > 0
}
