import { lingersFrom, type PlannedBatch, type PlannedEntry, type PlannedLog, type PlannedMark } from '../batch-plan.ts'
import { join, type Range, subtract } from '../ranges.ts'
import type { Row } from '../sql.ts'
import type { Statements } from './statements.ts'

interface LogRow {
  readonly head: number
  readonly last: number
  readonly cursor: number
  /** JSON: ranges. */
  readonly gaps: string
  readonly lingers: number | null
}
interface Moved {
  readonly head: number
  readonly prior: number
}

const NEW_LOG: LogRow = { head: 0, last: 0, cursor: 0, gaps: '[]', lingers: null }

/**
 * Commits a planned batch in one transaction; runs in the worker. Rows: `account_id`, `head`, `prior` of each log with new
 * entries.
 */
export function commitBatch(db: Statements, batch: PlannedBatch): readonly Row[] {
  return db.transaction(() => {
    const done = db.get('select logs from batch where id = $1').get(batch.id)
    if (done !== undefined) return JSON.parse(String(done.logs)) as readonly Row[]
    const moved = new Map(batch.logs.map((log) => [log.account, moveLog(db, log, batch.first)]))
    for (const entry of batch.entries) insertEntry(db, batch, entry, moved.get(entry.account)?.head ?? 0)
    for (const { account, back, wish } of batch.retractions) {
      const id = (moved.get(account)?.head ?? 0) - back
      db.get('insert into retraction (account_id, id, wish) values ($1, $2, $3)').run(account, id, wish)
    }
    for (const mark of batch.marks) widenMark(db, mark, batch.at)
    const rows = batch.logs
      .filter((log) => log.count > 0)
      .map(({ account }) => ({ account_id: account, ...(moved.get(account) ?? { head: 0, prior: 0 }) }))
    if (rows.length > 0) {
      db.get('insert into batch (id, at, logs) values ($1, $2, $3)').run(batch.id, batch.at, JSON.stringify(rows))
    }
    return rows
  })
}

/** Gives the log its new head, cursor and gaps, and removes what was taken, is not archived and does not linger. */
function moveLog(db: Statements, log: PlannedLog, first: number): Moved {
  const { account, count, lead, tail, taken } = log
  const found = db.get('select head, last, cursor, gaps, lingers from log where account_id = $1').get(account) as
    | LogRow
    | undefined
  if (found === undefined && count === 0) return { head: 0, prior: 0 }
  const row = found ?? NEW_LOG
  const { cursor, gaps } = taken.length === 0 ? row : take(db, log, row)
  const base = Math.max(row.head, first - 1)
  const head = count === 0 ? row.head : base + count
  const last = tail < 0 ? row.last : head - tail
  const passed = count > 0 && cursor === row.head ? base + lead : cursor
  const from = lingersFrom(log)
  const lingers = from === undefined ? row.lingers : Math.min(row.lingers ?? from, from)
  db.get(
    `insert into log (account_id, head, last, cursor, gaps, lingers) values ($1, $2, $3, $4, $5, $6)
     on conflict (account_id) do update set
       head = excluded.head, last = excluded.last, cursor = excluded.cursor, gaps = excluded.gaps, lingers = excluded.lingers`,
  ).run(account, head, last, passed, gaps, lingers)
  return { head, prior: row.last }
}

function take(db: Statements, planned: PlannedLog, log: LogRow): Pick<LogRow, 'cursor' | 'gaps'> {
  const { account, from, to, taken, lingers } = planned
  for (const [first, last] of lingers ? [] : taken) {
    db.get('delete from entry where account_id = $1 and id between $2 and $3 and archived = 0').run(
      account,
      first,
      last,
    )
  }
  // Nothing is open below the stretch, and all in it is taken.
  if (to > 0 && from <= log.cursor && log.gaps === '[]') {
    const cursor = Math.max(log.cursor, Math.min(to, log.head))
    return { cursor: log.last <= cursor ? log.head : cursor, gaps: log.gaps }
  }
  const cursor = Math.max(log.cursor, Math.min(taken.at(-1)?.[1] ?? 0, log.head))
  const passed: readonly Range[] = cursor > log.cursor ? [[log.cursor + 1, cursor]] : []
  const before = JSON.parse(log.gaps) as readonly Range[]
  const gaps = subtract(join([...before, ...passed]), taken).flatMap((gap) => tighten(db, account, gap))
  const rest = tighten(db, account, [cursor + 1, log.head])
  return { cursor: rest.length === 0 ? log.head : cursor, gaps: JSON.stringify(gaps) }
}

/** The range from its first to its last wanted entry; nothing when there is none. */
function tighten(db: Statements, account: number, [from, to]: Range): readonly Range[] {
  if (from > to) return []
  const row = db
    .get(
      `select (select id from entry where account_id = $1 and id between $2 and $3 and wanted = 1 order by id limit 1) as f,
              (select id from entry where account_id = $1 and id between $2 and $3 and wanted = 1 order by id desc limit 1) as t`,
    )
    .get(account, from, to)
  return typeof row?.f === 'number' && typeof row.t === 'number' ? [[row.f, row.t]] : []
}

function insertEntry(db: Statements, { payloads }: PlannedBatch, entry: PlannedEntry, head: number): void {
  db.get(
    `insert into entry (account_id, id, at, direction, archived, wanted, contact, message, peer, payload)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
  ).run(
    entry.account,
    head - entry.back,
    entry.at,
    Number(entry.direction === 'received'),
    Number(entry.archived),
    Number(entry.wanted),
    entry.contact,
    entry.message,
    entry.peer,
    payloads.subarray(entry.start, entry.start + entry.size),
  )
}

function widenMark(db: Statements, { stream, covered }: PlannedMark, at: number): void {
  const key = Buffer.from(stream, 'hex')
  const before = db.get('select covered from stream_mark where stream = $1').get(key)
  const all =
    before === undefined ? covered : join([...(JSON.parse(String(before.covered)) as readonly Range[]), ...covered])
  db.get(
    `insert into stream_mark (stream, covered, at) values ($1, $2, $3)
     on conflict (stream) do update set covered = excluded.covered, at = excluded.at`,
  ).run(key, JSON.stringify(all), at)
}
