import type { Batch, DeviceCursor, InboxStore, Placed, StoredEntry } from '../inbox/store.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { type CommittedLogs, type PlannedBatch, placesOf, planBatch } from './batch-plan.ts'
import { commitBatch } from './postgres/commit-batch.ts'
import type { Database } from './sql.ts'
import type { SqliteDatabase } from './sqlite/database.ts'

/** How long a batch may be tried again, and a lost stream be asked for, in ms. */
const KEPT_FOR = 24 * 3_600_000
/** Entries that expire in one batch. */
const EXPIRE_AT_ONCE = 500
/** Entries of accounts that are gone, removed in one step. */
const CLEARED_AT_ONCE = 2_000

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
  readonly isPostgres: boolean
  /** A column of ranges as a table `g`, one row each. */
  readonly ranges: (column: string) => string
  /** The bounds of such a row, both included. */
  readonly first: string
  readonly last: string
  /** Whether a column is among the numbers of `$1`, which is `list(numbers)`. */
  readonly listed: (column: string) => string
  readonly list: (numbers: readonly number[]) => string
  readonly commit: (plan: PlannedBatch, takesRefused: Batch['takesRefused']) => Promise<CommittedLogs>
}

const onPostgres = (database: Database): Dialect => ({
  isPostgres: true,
  ranges: (column) => `unnest(${column}) as g`,
  first: 'lower(g)',
  last: 'upper(g) - 1',
  listed: (column) => `${column} = any ($1::bigint[])`,
  list: (numbers) => `{${numbers.join(',')}}`,
  commit: (plan, takesRefused) => commitBatch(database, plan, takesRefused),
})
const onSqlite = (database: SqliteDatabase): Dialect => ({
  isPostgres: false,
  ranges: (column) => `json_each(${column}) as g`,
  first: 'g.value ->> 0',
  last: 'g.value ->> 1',
  listed: (column) => `${column} in (select value from json_each($1))`,
  list: (numbers) => JSON.stringify(numbers),
  // In one transaction with the entries: refused takes refuse the batch.
  commit: (plan) => database.commitBatch(plan),
})

/** Tables `log`, `entry`, `removed_log`, `batch` and `stream_mark`. */
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

  async commit(batch: Batch): Promise<readonly Placed[]> {
    if (batch.entries.length === 0 && batch.takes.length === 0) return []
    return placesOf(batch.entries, await this.#dialect.commit(planBatch(batch, this.#now()), batch.takesRefused))
  }

  async read(account: number, after: number, since: number | undefined, limit: number): ReturnType<InboxStore['read']> {
    const rows = await this.#database.query<{ last: number } & (EntryRow | { readonly id: null })>(this.#texts.read, [
      account,
      after,
      since ?? Number.MAX_SAFE_INTEGER,
      limit,
    ])
    return { entries: rows.filter(isEntry).map(entryOf), last: rows[0]?.last ?? 0 }
  }

  async lasts(accounts: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const rows = await this.#database.query(this.#texts.lasts, [this.#dialect.list(accounts)])
    return new Map(rows.map((row) => [Number(row.account_id), Number(row.last)]))
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
    await this.#database.query('delete from device_cursor where seen_at < $1', [before])
    let expired = 0
    for (;;) {
      const rows = await this.#database.query<{ account_id: number; id: number }>(this.#texts.expired, [
        // Ids are the time they were kept at, in µs: what was imported may be far older, and waits as long as all else.
        before * 1_000,
        EXPIRE_AT_ONCE,
      ])
      if (rows.length === 0) return expired
      const takes = Map.groupBy(rows, (row) => row.account_id)
      await this.commit({
        id: crypto.getRandomValues(new Uint8Array(16)),
        entries: [],
        takes: [...takes].map(([account, taken]) => ({
          account,
          ids: taken.map(({ id }) => id),
          from: undefined,
          lingers: false,
        })),
      })
      expired += rows.length
    }
  }

  async lingering(after: number, limit: number): ReturnType<InboxStore['lingering']> {
    return await this.#database.query<{ account: number; jid: BareJid }>(this.#texts.lingering, [after, limit])
  }

  async sweep(account: number): Promise<void> {
    await this.#database.transaction(async (sql) => {
      // Locks the log, so that no batch takes anything between the look and the deed.
      const [row] = await sql.query<{ lingers: number | null }>(this.#texts.lock, [account])
      if (row === undefined || row.lingers === null) return
      await sql.query(this.#texts.sweep, [account, row.lingers])
      await sql.query(this.#texts.swept, [account])
    })
  }

  clear(): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      // Whoever else is at it has locked its account; a commit to its log cannot come any more.
      const [gone] = await sql.query<{ account_id: number }>(this.#texts.removed)
      if (gone === undefined) return false
      const { account_id: account } = gone
      const [step] = await sql.query<{ found: number; last: number | null }>(
        `select count(*) as found, max(id) as last from (
           select id from entry where account_id = $1 order by id limit $2) as e`,
        [account, CLEARED_AT_ONCE],
      )
      await sql.query('delete from entry where account_id = $1 and id <= $2', [account, step?.last ?? 0])
      if (step?.found !== CLEARED_AT_ONCE) await sql.query('delete from removed_log where account_id = $1', [account])
      return true
    })
  }

  async deviceCursor(account: number, device: string): Promise<number | undefined> {
    const [row] = await this.#database.query<{ cursor: number }>(
      'select cursor from device_cursor where account_id = $1 and device = $2',
      [account, device],
    )
    return row?.cursor
  }

  async saveDevices(cursors: readonly DeviceCursor[], keep: number): Promise<void> {
    const at = this.#now()
    await this.#database.transaction(async (sql) => {
      for (const { account, device, cursor } of cursors) {
        const [known] = await sql.query<{ cursor: number }>(
          'select cursor from device_cursor where account_id = $1 and device = $2',
          [account, device],
        )
        await sql.query(this.#texts.saveDevice, [account, device, cursor, at])
        if (known === undefined) await sql.query(this.#texts.forgetDevices, [account, keep])
      }
    })
  }
}

/**
 * The statements, each prepared once. What is open lies in the gaps, and above the cursor; `cross join` tells SQLite the order
 * in which to look.
 */
function textsFor({ ranges, first, last, listed, isPostgres }: Dialect) {
  const inGaps = `log l cross join ${ranges('l.gaps')} cross join entry e
    where e.account_id = l.account_id and e.id between ${first} and ${last} and e.wanted = 1`
  const aboveCursor = `log l cross join entry e where e.account_id = l.account_id and e.id > l.cursor and e.wanted = 1`
  /** Of an entry below the cursor of log `$1`. */
  const isOpen = `exists (
    select 1 from log l cross join ${ranges('l.gaps')}
    where l.account_id = $1 and e.id between ${first} and ${last})`
  return {
    // Three parts: open below the cursor, open above it, and above `since` what was taken meanwhile, which lies below the cursor too.
    read: `
      select h.last, o.* from (select coalesce((select last from log where account_id = $1), 0) as last) as h
      left join (
        select * from (
          select e.* from ${inGaps} and l.account_id = $1 and e.id > $2 and e.id <= $3 order by e.id limit $4) as a
        union all
        select * from (
          select e.* from ${aboveCursor} and l.account_id = $1 and e.id > $2 order by e.id limit $4) as b
        union all
        select * from (
          select e.* from log l cross join entry e
          where l.account_id = $1 and e.account_id = $1 and e.id > $2 and e.id > $3 and e.id <= l.cursor and e.wanted = 1
          order by e.id limit $4) as c
        order by id limit $4
      ) as o on true
      order by o.id`,
    lasts: `select account_id, last from log where ${listed('account_id')}`,
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
      select e.account_id, e.id from ${inGaps} and e.id < $1
      union all
      select e.account_id, e.id from ${aboveCursor} and e.id < $1
      limit $2`,
    lingering: `
      select a.id as account, a.jid from log l join account a on a.id = l.account_id
      where l.lingers is not null and l.account_id > $1 order by l.account_id limit $2`,
    lock: isPostgres
      ? 'select lingers from log where account_id = $1 for update'
      : 'select lingers from log where account_id = $1',
    removed: `select account_id from removed_log order by account_id limit 1${isPostgres ? ' for update skip locked' : ''}`,
    sweep: `
      delete from entry as e where account_id = $1 and id >= $2 and archived = 0 and id <= coalesce(
        (select min(cursor) from device_cursor where account_id = $1), (select cursor from log where account_id = $1))
      and id <= (select cursor from log where account_id = $1) and not ${isOpen}`,
    swept: `
      update log set lingers = (
        select min(e.id) from entry e where e.account_id = $1 and e.id >= log.lingers and e.id <= log.cursor and e.archived = 0
          and not ${isOpen})
      where account_id = $1`,
    saveDevice: `
      insert into device_cursor as d (account_id, device, cursor, seen_at) values ($1, $2, $3, $4)
      on conflict (account_id, device) do update set
        cursor = case when excluded.cursor > d.cursor then excluded.cursor else d.cursor end, seen_at = excluded.seen_at`,
    forgetDevices: `
      delete from device_cursor where account_id = $1 and device not in (
        select device from device_cursor where account_id = $1 order by seen_at desc limit $2)`,
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
