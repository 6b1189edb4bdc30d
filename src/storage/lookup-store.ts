import type { Looked, LookupBudget, LookupStore, Spender, Target } from '../account/lookup-store.ts'
import { type BareJid, domainOf } from '../xmpp/jid.ts'
import { eachText } from './each-text.ts'
import type { Database, Sql } from './sql.ts'

interface LookedRow {
  readonly mark: string
  readonly known: number
  readonly found: number
}
/** Whose rows are meant: the column, and what it holds. */
type Owner = readonly ['account_id', number] | readonly ['asker', string]

/** Table `lookup` in either dialect; reads `account` and `block`. */
export class SqlLookupStore implements LookupStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async look(asker: BareJid, targets: readonly Target[]): Promise<readonly Looked[]> {
    const each =
      this.#database.dialect === 'postgres' ? 'json_array_elements($1::json) as e(value)' : 'json_each($1) as e'
    const rows = await this.#database.query<LookedRow>(
      `select e.value ->> 1 as mark, case when l.target is null then 0 else 1 end as known,
         case when a.id is null or exists (select 1 from block b where b.account_id = a.id and b.jid in ($2, $3))
           then 0 else 1 end as found
       from ${each}
       left join lookup l on l.target = e.value ->> 1
       left join account a on a.jid = e.value ->> 0 and a.disabled_at is null`,
      [JSON.stringify(targets.map(({ jid, mark }) => [jid, mark])), asker, domainOf(asker)],
    )
    const byMark = new Map(rows.map((row) => [row.mark, row]))
    return targets.map(({ jid, mark }) => {
      const row = byMark.get(mark)
      return { jid, mark, isKnown: row?.known === 1, isFound: row?.found === 1 }
    })
  }

  spend(
    spender: Spender,
    marks: readonly string[],
    { count, windowMs }: LookupBudget,
    now: number,
  ): Promise<ReadonlySet<string>> {
    return this.#database.transaction(async (sql) => {
      const allowed = new Set<string>()
      const owner = await lockOwner(sql, spender)
      if (owner === undefined) return allowed
      const [column, value] = owner
      const known = await sql.query<{ target: string }>(
        `select target from lookup where target in (select e.value from ${eachText(sql, '$1')})`,
        [JSON.stringify(marks)],
      )
      for (const { target } of known) allowed.add(target)
      const [row] = await sql.query<{ spent: number }>(
        `select count(*) as spent from lookup where ${column} = $1 and at > $2`,
        [value, now - windowMs],
      )
      const left = Math.max(0, count - (row?.spent ?? 0))
      const bought = [...new Set(marks)].filter((mark) => !allowed.has(mark)).slice(0, left)
      if (bought.length === 0) return allowed
      await sql.query(
        `insert into lookup (${column}, target, at)
           select cast($1 as ${column === 'asker' ? 'text' : 'bigint'}), e.value, cast($2 as bigint) from ${eachText(sql, '$3')}`,
        [value, now, JSON.stringify(bought)],
      )
      for (const mark of bought) allowed.add(mark)
      return allowed
    })
  }

  async purge(before: number, beforeElsewhere: number): Promise<number> {
    const gone = await this.#database.query(
      'delete from lookup where at < $1 or (asker is not null and at < $2) returning target',
      [before, beforeElsewhere],
    )
    return gone.length
  }
}

/**
 * Requests of one asker come several at a time, on several nodes: they spend one after the other. Undefined where there is no such
 * account. On SQLite the transaction itself is the lock.
 */
async function lockOwner(sql: Sql, spender: Spender): Promise<Owner | undefined> {
  const isPostgres = sql.dialect === 'postgres'
  if ('mark' in spender) {
    if (isPostgres) await sql.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [spender.mark])
    return ['asker', spender.mark]
  }
  const [row] = await sql.query<{ id: number }>(
    // No stronger than that: rows that merely refer to the account are written meanwhile.
    isPostgres ? 'select id from account where jid = $1 for no key update' : 'select id from account where jid = $1',
    [spender.account],
  )
  return row === undefined ? undefined : ['account_id', row.id]
}
