import type { Batch, InboxStore, StoredEntry } from '../inbox/store.ts'
import { idsOf, type PlannedBatch, planBatch } from './batch-plan.ts'
import { commitBatch } from './postgres/commit-batch.ts'
import type { Database, Row } from './sql.ts'
import type { SqliteDatabase } from './sqlite/database.ts'

/** How long a batch may be tried again, and a lost stream be asked for, in ms. */
const KEPT_FOR = 24 * 3_600_000
/** Entries that expire in one batch. */
const EXPIRE_AT_ONCE = 500

interface EntryRow {
  readonly account_id: number
  readonly id: number
  readonly at: number
  readonly direction: number
  readonly archived: number
  readonly wanted: number
  readonly peer: string
  readonly payload: Uint8Array
}

/** What differs between the dialects. */
interface Dialect {
  /** A column of ranges as a table `g`, one row each. */
  readonly ranges: (column: string) => string
  /** The bounds of such a row, both included. */
  readonly first: string
  readonly last: string
  /** Whether a column is among the numbers of `$1`, which is `list(numbers)`. */
  readonly listed: (column: string) => string
  readonly list: (numbers: readonly number[]) => string
  readonly commit: (plan: PlannedBatch) => Promise<readonly Row[]>
}

const onPostgres = (database: Database): Dialect => ({
  ranges: (column) => `unnest(${column}) as g`,
  first: 'lower(g)',
  last: 'upper(g) - 1',
  listed: (column) => `${column} = any ($1::bigint[])`,
  list: (numbers) => `{${numbers.join(',')}}`,
  commit: (plan) => commitBatch(database, plan),
})
const onSqlite = (database: SqliteDatabase): Dialect => ({
  ranges: (column) => `json_each(${column}) as g`,
  first: 'g.value ->> 0',
  last: 'g.value ->> 1',
  listed: (column) => `${column} in (select value from json_each($1))`,
  list: (numbers) => JSON.stringify(numbers),
  commit: (plan) => database.commitBatch(plan),
})

/** Tables `log`, `entry`, `batch` and `stream_mark`. */
export class SqlInboxStore implements InboxStore {
  readonly #database: Database
  readonly #dialect: Dialect
  readonly #now: () => number
  readonly #texts: ReturnType<typeof textsFor>

  static postgres(database: Database, now: () => number = Date.now): SqlInboxStore {
    return new SqlInboxStore(database, onPostgres(database), now)
  }

  static sqlite(database: SqliteDatabase, now: () => number = Date.now): SqlInboxStore {
    return new SqlInboxStore(database, onSqlite(database), now)
  }

  private constructor(database: Database, dialect: Dialect, now: () => number) {
    this.#database = database
    this.#dialect = dialect
    this.#now = now
    this.#texts = textsFor(dialect)
  }

  async commit(batch: Batch): Promise<readonly number[]> {
    if (batch.entries.length === 0 && batch.takes.length === 0) return []
    const rows = await this.#dialect.commit(planBatch(batch, this.#now()))
    return idsOf(batch.entries, headsOf(rows))
  }

  async open(account: number, after: number, limit: number): ReturnType<InboxStore['open']> {
    const rows = await this.#database.query<{ head: number } & (EntryRow | { readonly id: null })>(this.#texts.open, [
      account,
      after,
      limit,
    ])
    return { entries: rows.filter(isEntry).map(entryOf), head: rows[0]?.head ?? 0 }
  }

  async heads(accounts: readonly number[]): Promise<ReadonlyMap<number, number>> {
    return headsOf(await this.#database.query(this.#texts.heads, [this.#dialect.list(accounts)]))
  }

  async waiting(account: number): ReturnType<InboxStore['waiting']> {
    const [row] = await this.#database.query<{ entries: number; bytes: number }>(this.#texts.waiting, [account])
    return { entries: row?.entries ?? 0, bytes: row?.bytes ?? 0 }
  }

  async lastSettled(stream: Uint8Array): Promise<number | undefined> {
    const [row] = await this.#database.query<{ settled: number }>(this.#texts.settled, [stream])
    return row?.settled
  }

  /** What expires is taken, by nobody: an archived entry stays in the archive. */
  async expire(before: number): Promise<number> {
    const old = this.#now() - KEPT_FOR
    await this.#database.query('delete from batch where at < $1', [old])
    await this.#database.query('delete from stream_mark where at < $1', [old])
    let expired = 0
    for (;;) {
      const rows = await this.#database.query<{ account_id: number; id: number }>(this.#texts.expired, [
        before,
        EXPIRE_AT_ONCE,
      ])
      if (rows.length === 0) return expired
      const takes = Map.groupBy(rows, (row) => row.account_id)
      await this.commit({
        id: crypto.getRandomValues(new Uint8Array(16)),
        entries: [],
        takes: [...takes].map(([account, taken]) => ({ account, ids: taken.map(({ id }) => id) })),
      })
      expired += rows.length
    }
  }
}

/**
 * The statements, each prepared once. What is open lies in the gaps, and above the cursor; `cross join` tells SQLite the order
 * in which to look.
 */
function textsFor({ ranges, first, last, listed }: Dialect) {
  const inGaps = `log l cross join ${ranges('l.gaps')} cross join entry e
    where e.account_id = l.account_id and e.id between ${first} and ${last} and e.wanted = 1`
  const aboveCursor = `log l cross join entry e where e.account_id = l.account_id and e.id > l.cursor and e.wanted = 1`
  return {
    open: `
      select h.head, o.* from (select coalesce((select head from log where account_id = $1), 0) as head) as h
      left join (
        select * from (select e.* from ${inGaps} and l.account_id = $1 and e.id > $2 order by e.id limit $3) as a
        union all
        select * from (select e.* from ${aboveCursor} and l.account_id = $1 and e.id > $2 order by e.id limit $3) as b
        order by id limit $3
      ) as o on true
      order by o.id`,
    heads: `select account_id, head from log where ${listed('account_id')}`,
    waiting: `
      select count(*) as entries, coalesce(sum(size), 0) as bytes from (
        select octet_length(e.payload) as size from ${inGaps} and l.account_id = $1
        union all
        select octet_length(e.payload) as size from ${aboveCursor} and l.account_id = $1
      ) as o`,
    settled: `
      select ${last} as settled from stream_mark m cross join ${ranges('m.covered')}
      where m.stream = $1 order by ${first} limit 1`,
    expired: `
      select e.account_id, e.id from ${inGaps} and e.at < $1
      union all
      select e.account_id, e.id from ${aboveCursor} and e.at < $1
      limit $2`,
  }
}

const isEntry = <R>(row: R & (EntryRow | { readonly id: null })): row is R & EntryRow => row.id !== null
const entryOf = (row: EntryRow): StoredEntry => ({
  account: row.account_id,
  id: row.id,
  direction: row.direction === 0 ? 'sent' : 'received',
  archived: row.archived !== 0,
  wanted: row.wanted !== 0,
  peer: row.peer,
  payload: row.payload,
  at: row.at,
})
const headsOf = (rows: readonly Row[]): ReadonlyMap<number, number> =>
  new Map(rows.map((row) => [Number(row.account_id), Number(row.head)]))
