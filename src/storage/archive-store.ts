import { ARCHIVE_ALL, type ArchivingPreferences, type ArchivingRule } from '../account/archiving.ts'
import type {
  ArchiveBounds,
  ArchivedEntry,
  ArchiveEnd,
  ArchiveFilter,
  ArchivePage,
  ArchiveStore,
  KeptRetraction,
  PageBounds,
  Tombstone,
} from '../inbox/archive.ts'
import { contactKey } from '../inbox/contact-key.ts'
import { messageKey } from '../inbox/message-key.ts'
import { type BareJid, bareOf, isFull, type Jid } from '../xmpp/jid.ts'
import type { Database, Param, Sql } from './sql.ts'

/** How long after it was taken a message may have been committed, for `end` to find it. */
const LATE_MS = 86_400_000
/** How much the clock may have been set back between the two. */
const SKEW_MS = 60_000
const CANDIDATES = 20
/** Entries from before there was a message id to find them by. */
const UNKNOWN_CANDIDATES = 200
/** Of one step, which holds the lock of the log. */
const COUNTED_AT_ONCE = 2_000
const REMOVED_AT_ONCE = 500

interface EntryRow {
  readonly id: number
  readonly at: number
  readonly direction: number
  readonly peer: Jid
  readonly payload: Uint8Array
}
const COLUMNS = 'e.id, e.at, e.direction, e.peer, e.payload'
/** The only place where a stored payload is read. */
const entryOf = (row: EntryRow): ArchivedEntry => ({
  id: row.id,
  at: row.at,
  direction: row.direction === 0 ? 'sent' : 'received',
  peer: row.peer,
  payload: row.payload,
})

/** What differs between the dialects. */
interface Dialect {
  /** A condition: the column is among the numbers of the parameter `list(numbers)`. */
  readonly listed: (column: string, param: string) => string
  readonly list: (numbers: readonly number[]) => string
  /** A condition: entry `e` is open, given its log `l`. */
  readonly isOpen: string
  /** Ends a select that locks what it reads until the transaction ends. */
  readonly locking: string
}
/** Some known device has still to take entry `e` (policy `every-device`). */
const FOR_A_DEVICE = 'e.id > (select min(d.cursor) from device_cursor d where d.account_id = l.account_id)'
const POSTGRES: Dialect = {
  listed: (column, param) => `${column} = any (${param}::bigint[])`,
  list: (numbers) => `{${numbers.join(',')}}`,
  isOpen: `(e.wanted = 1 and (e.id > l.cursor or l.gaps @> e.id or ${FOR_A_DEVICE}))`,
  locking: ' for update',
}
const SQLITE: Dialect = {
  listed: (column, param) => `${column} in (select value from json_each(${param}))`,
  list: (numbers) => JSON.stringify(numbers),
  isOpen: `(e.wanted = 1 and (e.id > l.cursor
    or exists (select 1 from json_each(l.gaps) as g where e.id between g.value ->> 0 and g.value ->> 1)
    or ${FOR_A_DEVICE}))`,
  locking: '',
}

/** Tables `entry` (its archived part), `archive_preference`, `archive_usage` and `retraction` in either dialect. */
export class SqlArchiveStore implements ArchiveStore {
  readonly #database: Database
  readonly #dialect: Dialect

  constructor(database: Database) {
    this.#database = database
    this.#dialect = database.dialect === 'postgres' ? POSTGRES : SQLITE
  }

  async page(account: number, filter: ArchiveFilter, bounds: PageBounds): Promise<ArchivePage> {
    const { text, params } = this.pageQuery(account, filter, bounds)
    const rows = await this.#database.query<EntryRow & { matched: number }>(text, params)
    const entries = rows.slice(0, bounds.entries)
    const isComplete = (rows[0]?.matched ?? 0) === entries.length
    if (bounds.edge === 'last') entries.reverse()
    return { entries: entries.map(entryOf), isComplete }
  }
  /** The page's statement: one entry more than the page has, and of those no more than its bytes allow. There are few texts. */
  pageQuery(account: number, filter: ArchiveFilter, { edge, entries, bytes }: PageBounds): Statement {
    const where = this.#where(account, filter)
    const order = edge === 'first' ? 'asc' : 'desc'
    const limit = where.params.length + 1
    const text = `
      select id, at, direction, peer, payload, matched from (
        select p.*, count(*) over () as matched,
          sum(octet_length(p.payload)) over (order by p.id ${order} rows between unbounded preceding and 1 preceding) as ahead
        from (
          select ${COLUMNS} from entry e where ${where.text} order by e.id ${order} limit $${limit}
        ) as p
      ) as q
      where ahead is null or ahead < $${limit + 1}
      order by id ${order}`
    return { text, params: [...where.params, entries + 1, bytes] }
  }

  async count(account: number, filter: ArchiveFilter, upTo: number): Promise<number | undefined> {
    const { text, params } = this.#where(account, filter)
    const [row] = await this.#database.query<{ found: number }>(
      `select count(*) as found from (select 1 from entry e where ${text} limit $${params.length + 1}) as c`,
      [...params, upTo + 1],
    )
    const found = row?.found ?? 0
    return found > upTo ? undefined : found
  }

  async hasAll(account: number, ids: readonly number[]): Promise<boolean> {
    const wanted = [...new Set(ids)]
    const [row] = await this.#database.query<{ found: number }>(
      `select count(*) as found from entry e
       where e.account_id = $1 and e.archived = 1 and ${this.#dialect.listed('e.id', '$2')}`,
      [account, this.#dialect.list(wanted)],
    )
    return row?.found === wanted.length
  }

  async ends(account: number): ReturnType<ArchiveStore['ends']> {
    const end = (order: string) =>
      `select * from (
        select e.id, e.at from entry e where e.account_id = $1 and e.archived = 1 order by e.id ${order} limit 1) as ${order}_end`
    const [first, last] = await this.#database.query<ArchiveEnd>(`${end('asc')} union all ${end('desc')} order by id`, [
      account,
    ])
    return first === undefined || last === undefined ? undefined : { first, last }
  }

  async candidates(
    account: number,
    contact: BareJid,
    direction: ArchivedEntry['direction'],
    stanzaId: string,
    before: number,
  ): Promise<readonly ArchivedEntry[]> {
    const find = async (condition: string, limit: number, extra: readonly Param[]) => {
      const rows = await this.#database.query<EntryRow>(
        `select ${COLUMNS} from entry e
         where e.account_id = $1 and e.contact = $2 and e.archived = 1 and e.direction = $3 and e.id < $5 and ${condition}
         order by e.id desc limit $4`,
        [account, contactKey(contact), direction === 'sent' ? 0 : 1, limit, before, ...extra],
      )
      return rows.filter((row) => bareOf(row.peer) === contact).map(entryOf)
    }
    const found = await find('e.message = $6', CANDIDATES, [messageKey(stanzaId)])
    return found.length > 0 ? found : find('e.message is null', UNKNOWN_CANDIDATES, [])
  }

  /** Gives an archived entry, if it is still there, another payload; under the lock of the log. */
  async #replace(sql: Sql, account: number, id: number, payload: Uint8Array): Promise<void> {
    const [old] = await sql.query<{ size: number }>(
      'select octet_length(payload) as size from entry where account_id = $1 and id = $2 and archived = 1',
      [account, id],
    )
    if (old === undefined) return
    await sql.query('update entry set payload = $3 where account_id = $1 and id = $2', [account, id, payload])
    await this.#forget(sql, account, [{ id, size: old.size - payload.length }], 'shrunk')
  }

  async retracting(after: number, limit: number): Promise<readonly number[]> {
    const rows = await this.#database.query<{ account_id: number }>(
      'select distinct account_id from retraction where account_id > $1 order by account_id limit $2',
      [after, limit],
    )
    return rows.map((row) => row.account_id)
  }
  async retractions(account: number, limit: number): Promise<readonly KeptRetraction[]> {
    const rows = await this.#database.query<{ id: number; wish: string }>(
      'select id, wish from retraction where account_id = $1 order by id limit $2',
      [account, limit],
    )
    return rows.map(({ id, wish }) => ({ id, ...(JSON.parse(wish) as Omit<KeptRetraction, 'id'>) }))
  }
  retract(account: number, retraction: number, buried: readonly Tombstone[]): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await this.#lock(sql, account)
      const [wish] = await sql.query('delete from retraction where account_id = $1 and id = $2 returning id', [
        account,
        retraction,
      ])
      if (wish === undefined) return false
      for (const { id, payload } of buried) await this.#replace(sql, account, id, payload)
      return true
    })
  }

  remove(account: number, filter: ArchiveFilter, limit: number): Promise<number> {
    return this.#database.transaction(async (sql) => {
      await this.#lock(sql, account)
      const { text, params } = this.#where(account, filter)
      const rows = await sql.query<Sized & { is_open: number }>(
        `select e.id, octet_length(e.payload) as size, case when ${this.#dialect.isOpen} then 1 else 0 end as is_open
         from entry e join log l on l.account_id = e.account_id
         where ${text} order by e.id limit $${params.length + 1}`,
        [...params, limit],
      )
      const isOpen = rows.filter((row) => row.is_open === 1)
      const { listed, list } = this.#dialect
      if (isOpen.length > 0) {
        // Not the archive's any more, and gone as soon as a device has taken it.
        await sql.query(`update entry set archived = 0 where account_id = $1 and ${listed('id', '$2')}`, [
          account,
          list(isOpen.map(({ id }) => id)),
        ])
        // What another device has taken already is not removed by a take any more, but by `InboxStore.sweep`; and a take that is
        // under way, and saw all this as archived, looks again where the log says that something lingers.
        await sql.query('update log set lingers = $2 where account_id = $1 and (lingers is null or lingers > $2)', [
          account,
          isOpen[0]?.id ?? 0,
        ])
      }
      await this.#delete(
        sql,
        account,
        rows.filter((row) => row.is_open === 0),
      )
      await this.#forget(sql, account, rows, 'gone')
      return rows.length
    })
  }

  async late(account: number, filter: Parameters<ArchiveStore['late']>[1], after: number, limit: number) {
    const params: Param[] = [account, Math.max(after, idAt(filter.end + LATE_MS)), limit]
    const conditions = [`e.at <= $${params.push(filter.end)}`, ...this.#peerIs(filter.with, params)]
    const rows = await this.#database.query<{ id: number; matches: number }>(
      `select e.id, case when ${conditions.join(' and ')} then 1 else 0 end as matches from entry e
       where e.account_id = $1 and e.archived = 1 and e.id > $2 order by e.id limit $3`,
      params,
    )
    return {
      ids: rows.filter((row) => row.matches === 1).map((row) => row.id),
      last: rows.length < limit ? undefined : rows.at(-1)?.id,
    }
  }

  async untidy(after: number, limit: number, { before, entries, bytes }: ArchiveBounds) {
    const rows = await this.#database.query<{ account_id: number; needs: number }>(
      `select a.account_id, case when a.head > a.counted_to or a.entries > $3 or a.bytes > $4 or a.oldest < $5
         then 1 else 0 end as needs
       from (
         select l.account_id, l.head, coalesce(u.counted_to, 0) as counted_to, coalesce(u.entries, 0) as entries,
           coalesce(u.bytes, 0) as bytes, (
             select e.id from entry e where e.account_id = l.account_id and e.archived = 1 order by e.id limit 1
           ) as oldest
         from log l left join archive_usage u on u.account_id = l.account_id
         where l.account_id > $1 order by l.account_id limit $2
       ) as a order by a.account_id`,
      [after, limit, entries, bytes, idAt(before)],
    )
    return {
      accounts: rows.filter((row) => row.needs === 1).map((row) => row.account_id),
      last: rows.at(-1)?.account_id,
    }
  }

  tidy(account: number, bounds: ArchiveBounds): Promise<{ readonly removed: number; readonly isDone: boolean }> {
    return this.#database.transaction(async (sql) => {
      const log = await this.#lock(sql, account)
      if (log === undefined) return { removed: 0, isDone: true }
      const usage = await this.#counted(sql, account, log.head)
      if (usage.counted_to < log.head) return { removed: 0, isDone: false }
      const isOver = usage.entries > bounds.entries || usage.bytes > bounds.bytes
      const rows = await sql.query<Sized>(
        `select e.id, octet_length(e.payload) as size from entry e join log l on l.account_id = e.account_id
         where e.account_id = $1 and e.archived = 1 and e.id < $2 and not ${this.#dialect.isOpen}
         order by e.id limit $3`,
        [account, isOver ? Number.MAX_SAFE_INTEGER : idAt(bounds.before), REMOVED_AT_ONCE],
      )
      const gone = beyond(rows, usage, bounds)
      await this.#delete(sql, account, gone)
      await this.#forget(sql, account, gone, 'gone')
      return { removed: gone.length, isDone: gone.length < REMOVED_AT_ONCE }
    })
  }

  async usage(account: number): ReturnType<ArchiveStore['usage']> {
    const [row] = await this.#database.query<{ entries: number; bytes: number }>(
      'select entries, bytes from archive_usage where account_id = $1',
      [account],
    )
    return row ?? { entries: 0, bytes: 0 }
  }

  async setPreferences(account: number, { rule, always, never }: ArchivingPreferences): Promise<void> {
    await this.#database.query(
      `insert into archive_preference (account_id, rule, lists) select id, $2, $3 from account where id = $1
       on conflict (account_id) do update set rule = excluded.rule, lists = excluded.lists`,
      [account, rule, JSON.stringify({ always: [...always], never: [...never] })],
    )
  }

  /** Conditions on an entry `e`. Ids of the filter and those that its times amount to are one range, for the index. */
  #where(account: number, filter: ArchiveFilter): Statement {
    const { after = 0, before = Number.MAX_SAFE_INTEGER, start, end, ids } = filter
    const from = Math.max(after, start === undefined ? 0 : idAt(start - SKEW_MS) - 1)
    const to = Math.min(before, end === undefined ? Number.MAX_SAFE_INTEGER : idAt(end + LATE_MS) + 1)
    const params: Param[] = [account, from, to]
    const param = (value: Param): string => `$${params.push(value)}`
    const parts = ['e.account_id = $1 and e.archived = 1 and e.id > $2 and e.id < $3']
    parts.push(...this.#peerIs(filter.with, params))
    if (start !== undefined) parts.push(`e.at >= ${param(start)}`)
    if (end !== undefined) parts.push(`e.at <= ${param(end)}`)
    if (ids !== undefined) parts.push(this.#dialect.listed('e.id', param(this.#dialect.list(ids))))
    return { text: parts.join(' and '), params }
  }

  /** Conditions on the other side of an entry `e`; what they need is added to `params`. */
  #peerIs(peer: ArchiveFilter['with'], params: Param[]): readonly string[] {
    if (peer === undefined) return []
    const param = (value: Param): string => `$${params.push(value)}`
    const contact = `e.contact = ${param(contactKey(bareOf(peer)))}`
    const same = `e.peer = ${param(peer)}`
    if (isFull(peer)) return [contact, same]
    const prefix = param(`${peer}/`)
    return [contact, `(${same} or substr(e.peer, 1, length(cast(${prefix} as text))) = ${prefix})`]
  }

  /** Keeps commits from moving the cursor meanwhile: what is open stays so until the transaction ends. */
  async #lock(sql: Sql, account: number): Promise<{ readonly head: number } | undefined> {
    const [log] = await sql.query<{ head: number }>(
      `select head from log where account_id = $1${this.#dialect.locking}`,
      [account],
    )
    return log
  }

  async #delete(sql: Sql, account: number, entries: readonly Sized[]): Promise<void> {
    if (entries.length === 0) return
    const { listed, list } = this.#dialect
    await sql.query(`delete from entry where account_id = $1 and ${listed('id', '$2')}`, [
      account,
      list(entries.map(({ id }) => id)),
    ])
  }

  /** What left the archive, or shrank, is taken off what was counted of it. */
  async #forget(sql: Sql, account: number, changed: readonly Sized[], how: 'gone' | 'shrunk'): Promise<void> {
    if (changed.length === 0) return
    const [usage] = await sql.query<{ counted_to: number }>(
      'select counted_to from archive_usage where account_id = $1',
      [account],
    )
    if (usage === undefined) return
    const counted = changed.filter(({ id }) => id <= usage.counted_to)
    const bytes = counted.reduce((sum, { size }) => sum + size, 0)
    await sql.query('update archive_usage set entries = entries - $2, bytes = bytes - $3 where account_id = $1', [
      account,
      how === 'gone' ? counted.length : 0,
      bytes,
    ])
  }

  /** Counts on from where the last step ended, as far as one step may. */
  async #counted(sql: Sql, account: number, head: number): Promise<Usage> {
    const [known] = await sql.query<Usage>(
      'select counted_to, entries, bytes from archive_usage where account_id = $1',
      [account],
    )
    const before = known ?? { counted_to: 0, entries: 0, bytes: 0 }
    if (before.counted_to >= head) return before
    const [more] = await sql.query<{ found: number; bytes: number; last: number }>(
      `select count(*) as found, coalesce(sum(size), 0) as bytes, coalesce(max(id), 0) as last from (
         select e.id, octet_length(e.payload) as size from entry e
         where e.account_id = $1 and e.archived = 1 and e.id > $2 order by e.id limit $3) as c`,
      [account, before.counted_to, COUNTED_AT_ONCE],
    )
    const found = more?.found ?? 0
    const usage: Usage = {
      counted_to: found < COUNTED_AT_ONCE ? head : (more?.last ?? head),
      entries: before.entries + found,
      bytes: before.bytes + (more?.bytes ?? 0),
    }
    await sql.query(
      `insert into archive_usage (account_id, counted_to, entries, bytes) values ($1, $2, $3, $4)
       on conflict (account_id) do update
         set counted_to = excluded.counted_to, entries = excluded.entries, bytes = excluded.bytes`,
      [account, usage.counted_to, usage.entries, usage.bytes],
    )
    return usage
  }
}

interface Statement {
  readonly text: string
  readonly params: readonly Param[]
}
interface Sized {
  readonly id: number
  readonly size: number
}
interface Usage {
  readonly counted_to: number
  readonly entries: number
  readonly bytes: number
}

/** The lowest id that an entry of that time may have; ids fit 2^53, times need not. */
const idAt = (ms: number): number => Math.min(Math.max(0, ms * 1000), Number.MAX_SAFE_INTEGER - 1)

/** The entries, the oldest first, that have to go until what is left is within the bounds. */
function beyond(rows: readonly Sized[], usage: Usage, bounds: ArchiveBounds): readonly Sized[] {
  let entries = usage.entries - bounds.entries
  let bytes = usage.bytes - bounds.bytes
  const oldest = idAt(bounds.before)
  const kept = rows.findIndex(({ id, size }) => {
    if (id >= oldest && entries <= 0 && bytes <= 0) return true
    entries--
    bytes -= size
    return false
  })
  return kept < 0 ? rows : rows.slice(0, kept)
}

/** What the row of `archive_preference` says; everything is archived where there is none. */
export function preferencesOf(rule: ArchivingRule | null, lists: string | null): ArchivingPreferences {
  if (rule === null || lists === null) return ARCHIVE_ALL
  const { always, never } = JSON.parse(lists) as { readonly always: readonly Jid[]; readonly never: readonly Jid[] }
  return { rule, always: new Set(always), never: new Set(never) }
}
