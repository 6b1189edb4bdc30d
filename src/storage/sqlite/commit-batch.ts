import type { PlannedBatch, PlannedEntry, PlannedLog, PlannedMark } from '../batch-plan.ts'
import { join, type Range, subtract } from '../ranges.ts'
import type { Row } from '../sql.ts'
import type { Statements } from './statements.ts'

interface LogRow {
  readonly head: number
  readonly cursor: number
  /** JSON: ranges. */
  readonly gaps: string
}

const NEW_LOG: LogRow = { head: 0, cursor: 0, gaps: '[]' }

/** Commits a planned batch in one transaction; runs in the worker. Rows: `account_id`, `head` of each log with new entries. */
export function commitBatch(db: Statements, batch: PlannedBatch): readonly Row[] {
  return db.transaction(() => {
    const done = db.get('select heads from batch where id = $1').get(batch.id)
    if (done !== undefined) return JSON.parse(String(done.heads)) as readonly Row[]
    const heads = new Map(batch.logs.map((log) => [log.account, moveLog(db, log, batch.first)]))
    for (const entry of batch.entries) insertEntry(db, batch, entry, heads.get(entry.account) ?? 0)
    for (const mark of batch.marks) widenMark(db, mark, batch.at)
    const rows = batch.logs
      .filter((log) => log.count > 0)
      .map(({ account }) => ({ account_id: account, head: heads.get(account) ?? 0 }))
    if (rows.length > 0) {
      db.get('insert into batch (id, at, heads) values ($1, $2, $3)').run(batch.id, batch.at, JSON.stringify(rows))
    }
    return rows
  })
}

/** Gives the log its new head, cursor and gaps, and removes what was taken and is not archived; returns the head. */
function moveLog(db: Statements, { account, count, lead, taken }: PlannedLog, first: number): number {
  const found = db.get('select head, cursor, gaps from log where account_id = $1').get(account) as LogRow | undefined
  if (found === undefined && count === 0) return 0
  const log = found ?? NEW_LOG
  const { cursor, gaps } = taken.length === 0 ? log : take(db, account, log, taken)
  const base = Math.max(log.head, first - 1)
  const head = count === 0 ? log.head : base + count
  const passed = count > 0 && cursor === log.head ? base + lead : cursor
  db.get(
    `insert into log (account_id, head, cursor, gaps) values ($1, $2, $3, $4)
     on conflict (account_id) do update set head = excluded.head, cursor = excluded.cursor, gaps = excluded.gaps`,
  ).run(account, head, passed, gaps)
  return head
}

function take(db: Statements, account: number, log: LogRow, taken: readonly Range[]): Pick<LogRow, 'cursor' | 'gaps'> {
  const cursor = Math.max(log.cursor, Math.min(taken.at(-1)?.[1] ?? 0, log.head))
  const passed: readonly Range[] = cursor > log.cursor ? [[log.cursor + 1, cursor]] : []
  const before = JSON.parse(log.gaps) as readonly Range[]
  const gaps = subtract(join([...before, ...passed]), taken).flatMap((gap) => tighten(db, account, gap))
  for (const [from, to] of taken) {
    db.get('delete from entry where account_id = $1 and id between $2 and $3 and archived = 0').run(account, from, to)
  }
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
    `insert into entry (account_id, id, at, direction, archived, wanted, contact, peer, payload)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
  ).run(
    entry.account,
    head - entry.back,
    entry.at,
    Number(entry.direction === 'received'),
    Number(entry.archived),
    Number(entry.wanted),
    entry.contact,
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
