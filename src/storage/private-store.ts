import type { PrivateElement, PrivateStore } from '../account/private-store.ts'
import { lockAccount } from './lock-account.ts'
import type { Database } from './sql.ts'

/** Ends a transaction whose writing is to be undone. */
class Full extends Error {}

/** Table `private_xml` in either dialect. */
export class SqlPrivateStore implements PrivateStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async find(account: number, ns: string, name: string): Promise<Uint8Array | undefined> {
    const [row] = await this.#database.query<{ payload: Uint8Array }>(
      'select payload from private_xml where account_id = $1 and ns = $2 and name = $3',
      [account, ns, name],
    )
    return row?.payload
  }

  async put(
    account: number,
    elements: readonly PrivateElement[],
    quota: { readonly elements: number; readonly bytes: number },
  ): Promise<'kept' | 'full' | 'no-account'> {
    try {
      return await this.#database.transaction(async (sql) => {
        if (!(await lockAccount(sql, account))) return 'no-account'
        for (const { ns, name, payload } of elements) {
          if (payload.length === 0) {
            await sql.query('delete from private_xml where account_id = $1 and ns = $2 and name = $3', [
              account,
              ns,
              name,
            ])
          } else {
            await sql.query(
              `insert into private_xml (account_id, ns, name, payload) values ($1, $2, $3, $4)
               on conflict (account_id, ns, name) do update set payload = excluded.payload`,
              [account, ns, name, payload],
            )
          }
        }
        const [row] = await sql.query<{ elements: number; bytes: number }>(
          `select count(*) as elements, coalesce(sum(octet_length(payload) + octet_length(ns) + octet_length(name)), 0) as bytes
           from private_xml where account_id = $1`,
          [account],
        )
        if ((row?.elements ?? 0) > quota.elements || (row?.bytes ?? 0) > quota.bytes) throw new Full()
        return 'kept'
      })
    } catch (error) {
      if (error instanceof Full) return 'full'
      throw error
    }
  }
}
