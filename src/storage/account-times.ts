import type { Database } from './sql.ts'

/** Notes the latest time of each account, in ms since the epoch, in a table of `account_id` and `at`; those of gone accounts are left out. */
export async function putTimes(
  database: Database,
  table: 'last_active' | 'last_seen',
  times: ReadonlyMap<number, number>,
): Promise<void> {
  const each = database.dialect === 'postgres' ? 'json_array_elements($1::json) as e(value)' : 'json_each($1) as e'
  await database.query(
    `insert into ${table} as l (account_id, at)
     select a.id, cast(e.value ->> 1 as bigint) from ${each} join account a on a.id = cast(e.value ->> 0 as bigint)
     where true
     on conflict (account_id) do update set at = excluded.at where l.at < excluded.at`,
    [JSON.stringify([...times])],
  )
}
