import type { BlockStore } from '../roster/block-store.ts'
import { RosterError } from '../roster/roster-error.ts'
import type { Jid } from '../xmpp/jid.ts'
import { eachText } from './each-text.ts'
import { lockAccount } from './lock-account.ts'
import type { Database } from './sql.ts'

/** Table `block` in either dialect. */
export class SqlBlockStore implements BlockStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  add(account: number, jids: readonly Jid[], maxItems: number): Promise<void> {
    return this.#database.transaction(async (sql) => {
      if (!(await lockAccount(sql, account))) throw new RosterError('no-account')
      await sql.query(
        // `where true`: SQLite would take `on conflict` for a join's condition.
        `insert into block (account_id, jid) select cast($1 as bigint), e.value from ${eachText(sql, '$2')} where true
         on conflict do nothing`,
        [account, JSON.stringify(jids)],
      )
      const [row] = await sql.query<{ items: number }>('select count(*) as items from block where account_id = $1', [
        account,
      ])
      if ((row?.items ?? 0) > maxItems) throw new RosterError('full')
    })
  }

  async remove(account: number, jids: readonly Jid[] | 'all'): Promise<void> {
    if (jids === 'all') await this.#database.query('delete from block where account_id = $1', [account])
    else
      await this.#database.query(
        `delete from block where account_id = $1 and jid in (select e.value from ${eachText(this.#database, '$2')})`,
        [account, JSON.stringify(jids)],
      )
  }
}
