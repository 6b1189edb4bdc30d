import type { Looked, LookupBudget, LookupStore, Target } from '../account/lookup-store.ts'
import { type BareJid, domainOf } from '../xmpp/jid.ts'
import { eachText } from './each-text.ts'
import { lockAccount } from './lock-account.ts'
import type { Database } from './sql.ts'

interface LookedRow {
  readonly mark: string
  readonly known: number
  readonly found: number
}

/** Table `lookup` in either dialect; reads `account` and `block`. */
export class SqlLookupStore implements LookupStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async look(account: number, asker: BareJid, targets: readonly Target[]): Promise<readonly Looked[]> {
    const each =
      this.#database.dialect === 'postgres' ? 'json_array_elements($1::json) as e(value)' : 'json_each($1) as e'
    const rows = await this.#database.query<LookedRow>(
      `select e.value ->> 1 as mark, case when l.target is null then 0 else 1 end as known,
         case when a.id is null or exists (select 1 from block b where b.account_id = a.id and b.jid in ($3, $4))
           then 0 else 1 end as found
       from ${each}
       left join lookup l on l.account_id = $2 and l.target = e.value ->> 1
       left join account a on a.jid = e.value ->> 0 and a.disabled_at is null`,
      [JSON.stringify(targets.map(({ jid, mark }) => [jid, mark])), account, asker, domainOf(asker)],
    )
    const byMark = new Map(rows.map((row) => [row.mark, row]))
    return targets.map(({ jid, mark }) => {
      const row = byMark.get(mark)
      return { jid, mark, isKnown: row?.known === 1, isFound: row?.found === 1 }
    })
  }

  spend(
    account: number,
    marks: readonly string[],
    { count, windowMs }: LookupBudget,
    now: number,
  ): Promise<ReadonlySet<string>> {
    return this.#database.transaction(async (sql) => {
      const allowed = new Set<string>()
      // Requests of one account come several at a time: they spend one after the other.
      if (!(await lockAccount(sql, account))) return allowed
      const known = await sql.query<{ target: string }>(
        `select target from lookup where account_id = $1 and target in (select e.value from ${eachText(sql, '$2')})`,
        [account, JSON.stringify(marks)],
      )
      for (const { target } of known) allowed.add(target)
      const [row] = await sql.query<{ spent: number }>(
        'select count(*) as spent from lookup where account_id = $1 and at > $2',
        [account, now - windowMs],
      )
      const left = Math.max(0, count - (row?.spent ?? 0))
      const bought = [...new Set(marks)].filter((mark) => !allowed.has(mark)).slice(0, left)
      if (bought.length === 0) return allowed
      await sql.query(
        `insert into lookup (account_id, target, at)
         select cast($1 as bigint), e.value, cast($2 as bigint) from ${eachText(sql, '$3')}`,
        [account, now, JSON.stringify(bought)],
      )
      for (const mark of bought) allowed.add(mark)
      return allowed
    })
  }

  async purge(before: number): Promise<number> {
    return (await this.#database.query('delete from lookup where at < $1 returning target', [before])).length
  }
}
