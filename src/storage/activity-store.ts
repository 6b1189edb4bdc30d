import type { ActivityStore } from '../account/activity.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { putTimes } from './account-times.ts'
import type { Database } from './sql.ts'

/** Tables `last_active` and `lease` in either dialect. */
export class SqlActivityStore implements ActivityStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async put(times: ReadonlyMap<number, number>): Promise<void> {
    await putTimes(this.#database, 'last_active', times)
  }

  async unused(before: number, limit: number, skip: number): ReturnType<ActivityStore['unused']> {
    return await this.#database.query<{ id: number; jid: BareJid }>(
      `select a.id, a.jid from account a left join last_active l on l.account_id = a.id
       where a.created_at < $1 and coalesce(l.at, 0) < $1 and a.disabled_at is null
       order by coalesce(l.at, 0), a.id limit $2 offset $3`,
      [before, limit, skip],
    )
  }

  async lease(name: string, now: number, until: number): Promise<boolean> {
    const rows = await this.#database.query(
      `insert into lease as l (name, ends_at) values ($1, $3)
       on conflict (name) do update set ends_at = excluded.ends_at where l.ends_at <= $2 returning name`,
      [name, now, until],
    )
    return rows.length > 0
  }
}
