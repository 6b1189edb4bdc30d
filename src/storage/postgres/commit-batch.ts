import type { Batch } from '../../inbox/store.ts'
import {
  type CommittedLog,
  type CommittedLogs,
  lingersFrom,
  type PlannedBatch,
  type PlannedLog,
} from '../batch-plan.ts'
import type { Range } from '../ranges.ts'
import { type Param, type Sql, StoreError } from '../sql.ts'
import { int8s, texts } from './arrays.ts'
import { sqlState } from './errors.ts'

/**
 * The whole batch as one statement, which is its own transaction: one round trip.
 *
 * `head` locks the logs in sorted order and computes from each log's *newest* row (`l`). `excluded` carries what is asked: its head
 * says how many ids (`excluded.head - $2 + 1`), its last the newest wanted one, its cursor the lead, its gaps the stretch of which
 * everything is taken (`PlannedLog.from`, `to`). It moves the cursor when the cursor has come to its beginning, and to the head when
 * nothing is wanted above its end. Gaps stay as they are: what is taken of them, and all else that needs a look at the
 * entries, is `TAKE`'s.
 * `gone` and `kept` join `head`, so they touch an entry only under its log's lock.
 */
const COMMIT = `
with head as (
  insert into log as l (account_id, head, last, prior, cursor, gaps, lingers)
  select p.account, $2::bigint - 1 + p.count, case p.tail when -1 then 0 else $2::bigint - 1 + p.count - p.tail end, 0,
    $2::bigint - 1 + p.lead, int8multirange(int8range(p.above, p.upto, '(]')), p.lingers
  from unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
    as p (account, count, lead, tail, above, upto, lingers)
  where p.count > 0 or exists (select from log s where s.account_id = p.account)
  order by p.account
  on conflict (account_id) do update set
    head = case when excluded.head < $2 then l.head else greatest(l.head, $2 - 1) + excluded.head - $2 + 1 end,
    last = case excluded.last when 0 then l.last else greatest(l.head, $2 - 1) + excluded.last - $2 + 1 end,
    prior = l.last,
    lingers = least(l.lingers, excluded.lingers),
    cursor = case
      when l.last <= l.cursor or (lower(excluded.gaps) <= l.cursor + 1 and l.last < upper(excluded.gaps))
        then case when excluded.head < $2 then l.head else greatest(l.head, $2 - 1) + excluded.cursor - $2 + 1 end
      when lower(excluded.gaps) <= l.cursor + 1 then greatest(l.cursor, least(l.head, upper(excluded.gaps) - 1))
      else l.cursor end
  returning account_id, head, prior, cursor, gaps, lingers
), told as (
  select string_agg(account_id || ':' || head || ':' || prior || ':' || cursor, ',') as logs,
    string_agg(account_id || ':' || upper(gaps), ',') filter (where not isempty(gaps)) as gapped,
    string_agg(account_id || ':' || lingers, ',') filter (where lingers is not null) as lingering
  from head
), kept as (
  insert into entry (account_id, id, at, direction, archived, wanted, contact, message, peer, payload)
  select h.account_id, h.head - n.back, n.at, n.marks & 1, n.marks >> 1 & 1, n.marks >> 2 & 1, n.contact, n.message, n.peer,
    substring($19::bytea from n.start::int for n.size::int)
  from unnest($11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
    $18::bigint[], $20::text[]) as n (account, back, at, marks, contact, message, start, size, peer)
  join head h on h.account_id = n.account
), settled as (
  insert into stream_mark as m (stream, covered, at)
  select decode(p.stream, 'hex'), p.covered::int8multirange, $3::bigint
  from unnest($21::text[], $22::text[]) as p (stream, covered) order by p.stream
  on conflict (stream) do update set covered = m.covered + excluded.covered, at = excluded.at
), done as (
  insert into batch (id, at, logs) select $1::bytea, $3::bigint, logs from told where logs is not null
)`
/** With takes, where there are some. */
const GONE = `, gone as (
  delete from entry e using head h, unnest($23::bigint[], $24::bigint[], $25::bigint[]) as t (account, first, last)
  where h.account_id = t.account and e.account_id = t.account and e.id between t.first and t.last and e.archived = 0
)`
/** With what is taken back, which few batches have. */
const WISHES = `, wishes as (
  insert into retraction (account_id, id, wish)
  select h.account_id, h.head - n.back, n.wish
  from unnest($26::bigint[], $27::bigint[], $28::text[]) as n (account, back, wish) join head h on h.account_id = n.account
)`
const TOLD = ' select * from told'
const TEXTS = { plain: COMMIT + TOLD, taking: COMMIT + GONE + TOLD, retracting: COMMIT + GONE + WISHES + TOLD }

/**
 * Takes that need a look at the entries. What it reads of `entry` and of `log` by `s` is the statement's snapshot, which may be older
 * than a lock it had to wait for. That is enough: ids are committed in order, so the snapshot holds every entry up to the head it
 * shows (`seen`), and above it nothing is concluded. The first case of the gaps is the usual one, everything up to the cursor
 * taken, and far cheaper than the second.
 */
const TAKE = `
with l as materialized (
  select l.account_id, l.cursor, l.gaps, p.taken::int8multirange as taken, p.lingers
  from unnest($1::bigint[], $2::text[], $3::bigint[]) as p (account, taken, lingers) join log l on l.account_id = p.account
  order by l.account_id for no key update of l
)
update log set cursor = r.cursor, gaps = r.gaps, lingers = least(log.lingers, r.lingers)
from (
  select l.account_id, l.lingers,
    case when c.cursor < c.seen and not exists (
      select from entry e
      where e.account_id = l.account_id and e.id > c.cursor and e.id <= c.seen and e.wanted = 1)
      then c.seen else c.cursor end as cursor,
    case when isempty(l.gaps) and not exists (
      select from entry e
      where e.account_id = l.account_id and e.id > l.cursor and e.id <= c.cursor and e.wanted = 1 and not l.taken @> e.id)
      then '{}' else (
        select coalesce(range_agg(case when upper(g) - 1 > c.seen then g
          when b.first is not null then int8range(b.first, b.last, '[]') end), '{}')
        from unnest(l.gaps + int8multirange(int8range(l.cursor, c.cursor, '(]')) - l.taken) as g
        cross join lateral (
          select
            (select e.id from entry e where e.account_id = l.account_id and e.id >= lower(g) and e.id < upper(g)
              and e.wanted = 1 order by e.id limit 1) as first,
            (select e.id from entry e where e.account_id = l.account_id and e.id >= lower(g) and e.id < upper(g)
              and e.wanted = 1 order by e.id desc limit 1) as last) as b
      ) end as gaps
  from l cross join lateral (
    select s.head as seen, greatest(l.cursor, least(s.head, upper(l.taken) - 1)) as cursor
    from log s where s.account_id = l.account_id) as c
) as r
where log.account_id = r.account_id`

/** `gone` once more, for entries that had left the archive when the log was locked, and not yet in the statement's snapshot. */
const GONE_SINCE = `
delete from entry e using unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t (account, first, last)
where e.account_id = t.account and e.id between t.first and t.last and e.archived = 0`

/** See `COMMIT`: numbers between signs. */
interface Told {
  readonly logs: string | null
  readonly gapped: string | null
  readonly lingering: string | null
}
interface ToldLog extends CommittedLog {
  readonly cursor: number
}

/** Commits a planned batch; `takesRefused`: see `Batch`. @throws StoreError */
export async function commitBatch(
  sql: Sql,
  batch: PlannedBatch,
  takesRefused?: Batch['takesRefused'],
): Promise<CommittedLogs> {
  const taking = batch.logs.filter(({ taken }) => taken.length > 0)
  let logs: ReadonlyMap<number, ToldLog>
  let left: readonly PlannedLog[]
  let late: readonly PlannedLog[] = []
  try {
    const [told] = await sql.query<Told>(...statementOf(batch, taking))
    logs = logsOf(told?.logs)
    left = taking.length === 0 || told === undefined ? [] : leftOf(taking, logs, told.gapped)
    late = lateOf(taking, told?.lingering)
  } catch (error) {
    if (!(error instanceof StoreError && isDone(error.cause))) throw error
    const [done] = await sql.query<{ logs: string }>('select logs from batch where id = $1', [batch.id])
    logs = logsOf(done?.logs)
    left = taking
  }
  if (left.length > 0) await takeLeft(sql, left, batch, takesRefused)
  // What left the archive before `TAKE` was still open then, and is nobody's now. What stays of it is swept (`InboxStore.sweep`).
  const gone = [...late, ...left.filter((log) => !log.lingers)]
  if (gone.length > 0) await sql.query(GONE_SINCE, takenOf(gone)).catch(() => undefined)
  return logs
}
/** Without an answer the batch comes again, and is found done. Refused it must not be halved: its entries are committed. */
async function takeLeft(
  sql: Sql,
  left: readonly PlannedLog[],
  { entries }: PlannedBatch,
  takesRefused: Batch['takesRefused'],
): Promise<void> {
  const params = [
    int8s(left, accountOf),
    texts(left, (log) => multirange(log.taken)),
    int8s(left, (log) => lingersFrom(log) ?? null),
  ]
  await sql.query(TAKE, params).catch((error: unknown) => {
    if (entries.length === 0 || !(error instanceof StoreError && error.fault === 'refused')) throw error
    takesRefused?.(error)
  })
}

function logsOf(told: string | null | undefined): ReadonlyMap<number, ToldLog> {
  const numbers = numbersIn(told)
  const logs = new Map<number, ToldLog>()
  for (let i = 0; i + 3 < numbers.length; i += 4) {
    const [account, head, prior, cursor] = [at(numbers, i), at(numbers, i + 1), at(numbers, i + 2), at(numbers, i + 3)]
    logs.set(account, { head, prior, cursor })
  }
  return logs
}
function pairsOf(told: string | null): ReadonlyMap<number, number> {
  const numbers = numbersIn(told)
  const pairs = new Map<number, number>()
  for (let i = 0; i + 1 < numbers.length; i += 2) pairs.set(at(numbers, i), at(numbers, i + 1))
  return pairs
}
const at = (numbers: readonly number[], index: number): number => numbers[index] ?? 0
/** All numbers of the text, which has one other character between each two. */
function numbersIn(text: string | null | undefined): readonly number[] {
  if (text == null) return []
  const numbers: number[] = []
  let number = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit >= 0 && digit <= 9) {
      number = number * 10 + digit
    } else {
      numbers.push(number)
      number = 0
    }
  }
  numbers.push(number)
  return numbers
}

/** Logs that are there and whose takes did not move the cursor, or may lie in gaps. */
function leftOf(
  taking: readonly PlannedLog[],
  logs: ReadonlyMap<number, ToldLog>,
  gapped: string | null,
): readonly PlannedLog[] {
  const gapsOf = pairsOf(gapped)
  return taking.filter(({ account, from, to }) => {
    const log = logs.get(account)
    return log !== undefined && (to === 0 || log.cursor < to || (gapsOf.get(account) ?? 0) > from + 1)
  })
}

/** Logs in which something may linger among what was taken for good. */
function lateOf(taking: readonly PlannedLog[], lingering: string | null = null): readonly PlannedLog[] {
  if (taking.length === 0 || lingering === null) return []
  const from = pairsOf(lingering)
  return taking.filter(({ account, lingers, taken }) => {
    const last = taken.at(-1)?.[1]
    return !lingers && last !== undefined && last >= (from.get(account) ?? Number.POSITIVE_INFINITY)
  })
}

/** The batch's id is there already: it was committed before. */
const isDone = (cause: unknown): boolean =>
  sqlState(cause) === '23505' && cause instanceof Error && 'constraint' in cause && cause.constraint === 'batch_pkey'

function statementOf(batch: PlannedBatch, taking: readonly PlannedLog[]): [string, Param[]] {
  const params = paramsOf(batch)
  const { retractions } = batch
  const isRetracting = retractions.length > 0
  if (!isRetracting && taking.length === 0) return [TEXTS.plain, params]
  params.push(...takenOf(taking.filter((log) => !log.lingers)))
  if (!isRetracting) return [TEXTS.taking, params]
  params.push(
    int8s(retractions, accountOf),
    int8s(retractions, ({ back }) => back),
    texts(retractions, ({ wish }) => wish),
  )
  return [TEXTS.retracting, params]
}
function paramsOf({ id, first, at, logs, entries, payloads, marks }: PlannedBatch): Param[] {
  return [
    id,
    first,
    at,
    int8s(logs, accountOf),
    int8s(logs, ({ count }) => count),
    int8s(logs, ({ lead }) => lead),
    int8s(logs, ({ tail }) => tail),
    int8s(logs, ({ from }) => from),
    int8s(logs, ({ to }) => to),
    int8s(logs, (log) => lingersFrom(log) ?? null),
    int8s(entries, accountOf),
    int8s(entries, ({ back }) => back),
    int8s(entries, ({ at }) => at),
    int8s(entries, (e) => Number(e.direction === 'received') | (Number(e.archived) << 1) | (Number(e.wanted) << 2)),
    int8s(entries, ({ contact }) => contact),
    int8s(entries, ({ message }) => message),
    int8s(entries, ({ start }) => start + 1),
    int8s(entries, ({ size }) => size),
    payloads,
    texts(entries, ({ peer }) => peer),
    texts(marks, ({ stream }) => stream),
    texts(marks, ({ covered }) => multirange(covered)),
  ]
}

/** Ranges of ids, each with its account. */
function takenOf(logs: readonly PlannedLog[]): [Buffer, Buffer, Buffer] {
  const ranges = logs.flatMap(({ account, taken }) => taken.map(([first, last]) => ({ account, first, last })))
  return [int8s(ranges, accountOf), int8s(ranges, ({ first }) => first), int8s(ranges, ({ last }) => last)]
}
const accountOf = ({ account }: { readonly account: number }): number => account
const multirange = (ranges: readonly Range[]): string => `{${ranges.map(([from, to]) => `[${from},${to}]`).join(',')}}`
