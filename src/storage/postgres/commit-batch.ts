import { lingersFrom, type PlannedBatch, type PlannedLog } from '../batch-plan.ts'
import type { Range } from '../ranges.ts'
import { type Param, type Row, type Sql, StoreError } from '../sql.ts'
import { sqlState } from './errors.ts'

/**
 * The whole batch as one statement, which is its own transaction: one round trip.
 *
 * `head` locks the logs in sorted order and computes from each log's *newest* row. What it reads of `entry` and of `log` by
 * select is the statement's snapshot, which may be older than a lock it had to wait for. That is enough: ids are committed in
 * order, so the snapshot holds every entry up to the head it shows (`seen`), and above it nothing is concluded. `excluded` carries
 * what is asked: its head says how many ids (`excluded.head - $2 + 1`), its last the newest wanted one, its cursor the lead, its gaps
 * what was taken.
 * The first case of the gaps is the usual one, everything up to the cursor taken, and far cheaper than the second.
 * `gone` and `kept` join `head`, so they touch an entry only under its log's lock.
 */
const commitText = (more: string): string => `
with head as (
  insert into log as l (account_id, head, last, prior, cursor, gaps, lingers)
  select p.account, $2::bigint - 1 + p.count, case p.tail when -1 then 0 else $2::bigint - 1 + p.count - p.tail end, 0,
    $2::bigint - 1 + p.lead, case when s.account_id is null then '{}' else p.taken::int8multirange end, p.lingers
  from unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $22::bigint[], $23::bigint[])
    as p (account, count, lead, taken, tail, lingers)
  left join log s on s.account_id = p.account
  where p.count > 0 or s.account_id is not null
  order by p.account
  on conflict (account_id) do update set
    head = case when excluded.head < $2 then l.head else greatest(l.head, $2 - 1) + excluded.head - $2 + 1 end,
    last = case excluded.last when 0 then l.last else greatest(l.head, $2 - 1) + excluded.last - $2 + 1 end,
    prior = l.last,
    lingers = least(l.lingers, excluded.lingers),
    (cursor, gaps) = (
      select
        case when r.cursor = l.head and excluded.head >= $2
          then greatest(l.head, $2 - 1) + excluded.cursor - $2 + 1 else r.cursor end,
        r.gaps
      from (
        select l.cursor, l.gaps where isempty(excluded.gaps)
        union all
        select
          case when c.cursor < c.seen and not exists (
            select from entry e
            where e.account_id = l.account_id and e.id > c.cursor and e.id <= c.seen and e.wanted = 1)
            then c.seen else c.cursor end,
          case when isempty(l.gaps) and not exists (
            select from entry e
            where e.account_id = l.account_id and e.id > l.cursor and e.id <= c.cursor and e.wanted = 1
              and not excluded.gaps @> e.id)
            then '{}' else (
              select coalesce(range_agg(case when upper(g) - 1 > c.seen then g
                when b.first is not null then int8range(b.first, b.last, '[]') end), '{}')
              from unnest(l.gaps + int8multirange(int8range(l.cursor, c.cursor, '(]')) - excluded.gaps) as g
              cross join lateral (
                select
                  (select e.id from entry e where e.account_id = l.account_id and e.id >= lower(g) and e.id < upper(g)
                    and e.wanted = 1 order by e.id limit 1) as first,
                  (select e.id from entry e where e.account_id = l.account_id and e.id >= lower(g) and e.id < upper(g)
                    and e.wanted = 1 order by e.id desc limit 1) as last) as b
            ) end
        from (
          select s.head as seen, greatest(l.cursor, least(s.head, upper(excluded.gaps) - 1)) as cursor
          from log s where s.account_id = l.account_id) as c
        where not isempty(excluded.gaps)
      ) as r
    )
  returning account_id, head, prior, lingers
), gone as (
  delete from entry e using head h, unnest($18::bigint[], $19::bigint[], $20::bigint[]) as t (account, first, last)
  where h.account_id = t.account and e.account_id = t.account and e.id between t.first and t.last and e.archived = 0
), kept as (
  insert into entry (account_id, id, at, direction, archived, wanted, contact, message, peer, payload)
  select h.account_id, h.head - n.back, n.at, n.marks & 1, n.marks >> 1 & 1, n.marks >> 2 & 1, n.contact, n.message, n.peer,
    substring($14::bytea from n.start for n.size)
  from unnest($8::bigint[], $9::bigint[], $10::bigint[], $11::smallint[], $12::text[], $13::int[], $15::int[], $21::int[], $24::int[])
    as n (account, back, at, marks, peer, start, size, contact, message)
  join head h on h.account_id = n.account
), settled as (
  insert into stream_mark as m (stream, covered, at)
  select decode(p.stream, 'hex'), p.covered::int8multirange, $3::bigint
  from unnest($16::text[], $17::text[]) as p (stream, covered) order by p.stream
  on conflict (stream) do update set covered = m.covered + excluded.covered, at = excluded.at
), done as (
  insert into batch (id, at, logs)
  select $1::bytea, $3::bigint, string_agg(h.account_id || ':' || h.head || ':' || h.prior, ',')
  from head h join unnest($4::bigint[], $5::bigint[]) as p (account, count) on h.account_id = p.account
  where p.count > 0
  having count(*) > 0
)${more}
select account_id, head, prior, lingers from head`
const COMMIT = commitText('')
/** The same with what is taken back, which few batches have. */
const COMMIT_RETRACTING = commitText(`, wishes as (
  insert into retraction (account_id, id, wish)
  select h.account_id, h.head - n.back, n.wish
  from unnest($25::bigint[], $26::bigint[], $27::text[]) as n (account, back, wish) join head h on h.account_id = n.account
)`)

/** `gone` once more, for entries that had left the archive when the statement got its lock, and not yet in its snapshot. */
const GONE_SINCE = `
delete from entry e using unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t (account, first, last)
where e.account_id = t.account and e.id between t.first and t.last and e.archived = 0`

interface CommittedRow extends Row {
  readonly account_id: number
  readonly lingers: number | null
}

/** Commits a planned batch. Rows: `account_id`, `head`, `prior` of each log touched. @throws StoreError */
export async function commitBatch(sql: Sql, batch: PlannedBatch): Promise<readonly Row[]> {
  try {
    const rows = await sql.query<CommittedRow>(...statementOf(batch))
    const late = lateOf(batch, rows)
    // The batch is committed whatever comes of this; what is left is swept (`InboxStore.sweep`).
    if (late.length > 0) await sql.query(GONE_SINCE, takenOf(late)).catch(() => undefined)
    return rows
  } catch (error) {
    if (!(error instanceof StoreError && isDone(error.cause))) throw error
    const [done] = await sql.query<{ logs: string }>('select logs from batch where id = $1', [batch.id])
    return (done?.logs ?? '').split(',').map((log) => {
      const [account_id, head, prior] = log.split(':')
      return { account_id: Number(account_id), head: Number(head), prior: Number(prior) }
    })
  }
}

/** Logs in which something may linger among what was taken for good. */
function lateOf({ logs }: PlannedBatch, rows: readonly CommittedRow[]): readonly PlannedLog[] {
  const from = new Map<number, number>()
  for (const { account_id: account, lingers } of rows) if (lingers !== null) from.set(account, lingers)
  if (from.size === 0) return []
  return logs.filter(({ account, lingers, taken }) => {
    const last = taken.at(-1)?.[1]
    return !lingers && last !== undefined && last >= (from.get(account) ?? Number.POSITIVE_INFINITY)
  })
}

/** The batch's id is there already: it was committed before. */
const isDone = (cause: unknown): boolean =>
  sqlState(cause) === '23505' && cause instanceof Error && 'constraint' in cause && cause.constraint === 'batch_pkey'

function statementOf(batch: PlannedBatch): [string, Param[]] {
  const params = paramsOf(batch)
  const { retractions } = batch
  if (retractions.length === 0) return [COMMIT, params]
  params.push(
    numbers(retractions.map(({ account }) => account)),
    numbers(retractions.map(({ back }) => back)),
    texts(retractions.map(({ wish }) => wish)),
  )
  return [COMMIT_RETRACTING, params]
}
function paramsOf({ id, first, at, logs, entries, payloads, marks }: PlannedBatch): Param[] {
  const [goneOf, goneFirst, goneLast] = takenOf(logs.filter((log) => !log.lingers))
  return [
    id,
    first,
    at,
    numbers(logs.map((log) => log.account)),
    numbers(logs.map((log) => log.count)),
    numbers(logs.map((log) => log.lead)),
    texts(logs.map((log) => multirange(log.taken))),
    numbers(entries.map((entry) => entry.account)),
    numbers(entries.map((entry) => entry.back)),
    numbers(entries.map((entry) => entry.at)),
    numbers(
      entries.map((e) => Number(e.direction === 'received') | (Number(e.archived) << 1) | (Number(e.wanted) << 2)),
    ),
    texts(entries.map((entry) => entry.peer)),
    numbers(entries.map((entry) => entry.start + 1)),
    payloads,
    numbers(entries.map((entry) => entry.size)),
    texts(marks.map((mark) => mark.stream)),
    texts(marks.map((mark) => multirange(mark.covered))),
    goneOf,
    goneFirst,
    goneLast,
    numbers(entries.map((entry) => entry.contact)),
    numbers(logs.map((log) => log.tail)),
    `{${logs.map((log) => lingersFrom(log) ?? 'null').join(',')}}`,
    `{${entries.map((entry) => entry.message ?? 'null').join(',')}}`,
  ]
}

/** Ranges of ids, each with its account. */
const takenOf = (logs: readonly PlannedLog[]): readonly [string, string, string] => [
  numbers(logs.flatMap(({ account, taken }) => taken.map(() => account))),
  numbers(logs.flatMap(({ taken }) => taken.map(([from]) => from))),
  numbers(logs.flatMap(({ taken }) => taken.map(([, to]) => to))),
]
const numbers = (values: readonly number[]): string => `{${values.join(',')}}`
const texts = (values: readonly string[]): string =>
  `{${values.map((value) => `"${value.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
const multirange = (ranges: readonly Range[]): string => `{${ranges.map(([from, to]) => `[${from},${to}]`).join(',')}}`
