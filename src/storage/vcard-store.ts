import type { VcardStore } from '../account/vcard-store.ts'
import type { Database } from './sql.ts'

/** Table `vcard` in either dialect. */
export class SqlVcardStore implements VcardStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async find(account: number): Promise<Uint8Array | undefined> {
    const [row] = await this.#database.query<{ payload: Uint8Array }>(
      'select payload from vcard where account_id = $1',
      [account],
    )
    return row?.payload
  }

  async put(account: number, payload: Uint8Array | undefined): Promise<void> {
    if (payload === undefined) await this.#database.query('delete from vcard where account_id = $1', [account])
    else
      await this.#database.query(
        `insert into vcard (account_id, payload) select id, $2 from account where id = $1
         on conflict (account_id) do update set payload = excluded.payload`,
        [account, payload],
      )
  }
}
