import type { DataKeyStore, StoredDataKey } from '../account/data-key-store.ts'
import type { Database } from './sql.ts'

interface DataKeyRow {
  readonly account_id: number
  readonly operator_key: string
  readonly wrapped: Uint8Array
}

/** What differs between the dialects. */
interface Dialect {
  /** A condition: the account is among the numbers of `$1`, which is `list(numbers)`. */
  readonly listed: string
  readonly list: (accounts: readonly number[]) => string
  /** Adds the keys of `$1`, a JSON array; in their order, so that two who add the same wait for each other one way only. */
  readonly add: string
}
const POSTGRES: Dialect = {
  listed: 'account_id = any ($1::bigint[])',
  list: (accounts) => `{${accounts.join(',')}}`,
  add: `
    insert into data_key (account_id, operator_key, wrapped)
    select account, operator_key, decode(wrapped, 'hex')
    from json_to_recordset($1::json) as k (account bigint, operator_key text, wrapped text) order by account
    on conflict (account_id) do nothing`,
}
const SQLITE: Dialect = {
  listed: 'account_id in (select value from json_each($1))',
  list: (accounts) => JSON.stringify(accounts),
  add: `
    insert into data_key (account_id, operator_key, wrapped)
    select value ->> 'account', value ->> 'operator_key', unhex(value ->> 'wrapped') from json_each($1) where true
    on conflict (account_id) do nothing`,
}

/** Table `data_key` in either dialect. */
export class SqlDataKeyStore implements DataKeyStore {
  readonly #database: Database
  readonly #dialect: Dialect

  constructor(database: Database) {
    this.#database = database
    this.#dialect = database.dialect === 'postgres' ? POSTGRES : SQLITE
  }

  async find(accounts: readonly number[]): Promise<readonly StoredDataKey[]> {
    const { listed, list } = this.#dialect
    const rows = await this.#database.query<DataKeyRow>(
      `select account_id, operator_key, wrapped from data_key where ${listed}`,
      [list(accounts)],
    )
    return rows.map(keyOf)
  }

  async add(keys: readonly StoredDataKey[]): Promise<void> {
    const rows = keys.map(({ account, operatorKey, wrapped }) => ({
      account,
      operator_key: operatorKey,
      wrapped: Buffer.from(wrapped).toString('hex'),
    }))
    await this.#database.query(this.#dialect.add, [JSON.stringify(rows)])
  }

  async notUnder(operatorKey: string, after: number, limit: number): Promise<readonly StoredDataKey[]> {
    const rows = await this.#database.query<DataKeyRow>(
      `select account_id, operator_key, wrapped from data_key
       where account_id > $2 and operator_key <> $1 order by account_id limit $3`,
      [operatorKey, after, limit],
    )
    return rows.map(keyOf)
  }

  async rewrap(changes: Parameters<DataKeyStore['rewrap']>[0]): Promise<void> {
    if (changes.length === 0) return
    await this.#database.transaction(async (sql) => {
      for (const { from, to } of changes) {
        await sql.query(
          'update data_key set operator_key = $3, wrapped = $4 where account_id = $1 and operator_key = $2',
          [from.account, from.operatorKey, to.operatorKey, to.wrapped],
        )
      }
    })
  }

  /** From one to the next in the index: there are few of them, and many data keys. */
  async operatorKeys(): Promise<readonly string[]> {
    const found: string[] = []
    for (;;) {
      const [row] = await this.#database.query<{ operator_key: string }>(
        'select operator_key from data_key where operator_key > $1 order by operator_key limit 1',
        [found.at(-1) ?? ''],
      )
      if (row === undefined) return found
      found.push(row.operator_key)
    }
  }

  async forget(operatorKey: string, limit: number): Promise<number> {
    const rows = await this.#database.query(
      `delete from data_key where account_id in (
         select account_id from data_key where operator_key = $1 limit $2) returning account_id`,
      [operatorKey, limit],
    )
    return rows.length
  }
}

const keyOf = (row: DataKeyRow): StoredDataKey => ({
  account: row.account_id,
  operatorKey: row.operator_key,
  wrapped: row.wrapped,
})
