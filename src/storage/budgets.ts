import type { Refusal, Source, Spending } from '../account/verification-store.ts'
import type { Database, Sql, Transaction } from './sql.ts'

/** A new window begins with the first spending after the old one's end; a full one takes nothing, and does not move. */
const SPEND = `
  insert into budget as b (kind, key, window_ms, spent, ends_at) values ($1, $2, $3, 1, $4)
  on conflict (kind, key, window_ms) do update set
    spent = case when b.ends_at <= $5 then 1 else b.spent + 1 end,
    ends_at = case when b.ends_at <= $5 then excluded.ends_at else b.ends_at end
  where b.ends_at <= $5 or b.spent < $6
  returning spent`
/** Those of the budgets that have nothing left, in order. */
const FULL: Readonly<Record<Sql['dialect'], string>> = {
  postgres: `
    select e.n - 1 as place, b.ends_at from json_array_elements($1::json) with ordinality as e(value, n)
    cross join lateral (
      select * from budget where kind = e.value ->> 0 and key = decode(e.value ->> 1, 'hex')
        and window_ms = (e.value ->> 2)::bigint
      offset 0 -- each by its key, whatever the planner thinks of the whole table
    ) b
    where b.ends_at > $2 and b.spent >= (e.value ->> 3)::int order by 1`,
  sqlite: `
    select e.key as place, b.ends_at from json_each($1) as e
    join budget b on b.kind = e.value ->> 0 and b.key = unhex(e.value ->> 1) and b.window_ms = e.value ->> 2
    where b.ends_at > $2 and b.spent >= e.value ->> 3 order by 1`,
}
const BUDGET_END = 'select ends_at from budget where kind = $1 and key = $2 and window_ms = $3'
/** What was longer ago counts half, with each period again. */
const SENT = `
  insert into reputation as r (kind, key, sent, confirmed, ends_at) values ($1, $2, 1, 0, $3)
  on conflict (kind, key) do update set
    sent = case when r.ends_at <= $4 then r.sent / 2 else r.sent end + 1,
    confirmed = case when r.ends_at <= $4 then r.confirmed / 2 else r.confirmed end,
    ends_at = case when r.ends_at <= $4 then excluded.ends_at else r.ends_at end`
const CONFIRMED = 'update reputation set confirmed = confirmed + 1 where kind = $1 and key = $2 and confirmed < sent'
/** The share of codes that people ask for, do not get, or ask for twice is far below three of four. */
const PROVED = 'select kind from reputation where kind = $1 and key = $2 and sent <= 4 * confirmed'
const REPUTATION_PERIOD_MS = 7 * 86_400_000
const REPUTATION_PERIODS = 12

/** Ends a transaction whose spending or creating is to be undone. */
export class Undo<T> extends Error {
  readonly result: T
  constructor(result: T) {
    super('undone')
    this.result = result
  }
}

/** Tables `budget` and `reputation`: what codes may be asked for, and who has shown that they are wanted. */
export class Budgets {
  readonly #db: Database

  constructor(database: Database) {
    this.#db = database
  }

  /** Spends all budgets or none, then does the work, in one transaction. */
  async spending<T>(
    spendings: readonly Spending[],
    now: number,
    work: (sql: Transaction) => Promise<T>,
  ): Promise<T | Refusal> {
    return (await this.#refusal(spendings, now)) ?? this.#spend(spendings, now, work)
  }

  /** A transaction that what is thrown as `Undo` ends; it gives that. */
  async undoable<T>(work: (sql: Transaction) => Promise<T>): Promise<T> {
    try {
      return await this.#db.transaction(work)
    } catch (error) {
      if (error instanceof Undo) return error.result as T
      throw error
    }
  }
  /** A code is on its way to each of these. */
  async sent(sql: Sql, sources: readonly Source[], now: number): Promise<void> {
    for (const { kind, key } of sources) await sql.query(SENT, [kind, key, now + REPUTATION_PERIOD_MS, now])
  }
  /** It came, and was entered. */
  async confirmed(sql: Sql, sources: readonly Source[]): Promise<void> {
    for (const { kind, key } of sources) await sql.query(CONFIRMED, [kind, key])
  }
  async purge(now: number): Promise<number> {
    const budgets = await this.#db.query('delete from budget where ends_at <= $1 returning kind', [now])
    const unheardOf = now - REPUTATION_PERIODS * REPUTATION_PERIOD_MS
    const sources = await this.#db.query('delete from reputation where ends_at <= $1 returning kind', [unheardOf])
    return budgets.length + sources.length
  }

  /** What can be seen without a lock: a flood, nearly all of which is refused, costs a query or a few, and holds nobody up. */
  async #refusal(spendings: readonly Spending[], now: number): Promise<Refusal | undefined> {
    if (spendings.length === 0) return undefined
    const asked = spendings.map(({ kind, key, windowMs, limit }) => [
      kind,
      Buffer.from(key).toString('hex'),
      windowMs,
      limit,
    ])
    const full = await this.#db.query<{ readonly place: number; readonly ends_at: number }>(FULL[this.#db.dialect], [
      JSON.stringify(asked),
      now,
    ])
    const known = new Map<string, boolean>()
    for (const { place, ends_at: until } of full) {
      const { kind = '', unless = [] } = spendings[place] ?? {}
      if (!(await hasProved(this.#db, unless, known))) return { outcome: 'refused', kind, until }
    }
    return undefined
  }

  #spend<T>(spendings: readonly Spending[], now: number, work: (sql: Transaction) => Promise<T>): Promise<T | Refusal> {
    return this.undoable<T | Refusal>(async (sql) => {
      const known = new Map<string, boolean>()
      for (const { kind, key, windowMs, limit, unless = [] } of spendings) {
        if (await hasProved(sql, unless, known)) continue
        const ends = now + windowMs
        const spent = limit > 0 ? await sql.query(SPEND, [kind, key, windowMs, ends, now, limit]) : []
        if (spent.length > 0) continue
        const [row] = await sql.query<{ readonly ends_at: number }>(BUDGET_END, [kind, key, windowMs])
        throw new Undo<Refusal>({ outcome: 'refused', kind, until: row?.ends_at ?? ends })
      }
      return work(sql)
    })
  }
}

/** Whether one of the sources has; `known`: what was asked before in this transaction. */
async function hasProved(sql: Sql, sources: readonly Source[], known: Map<string, boolean>): Promise<boolean> {
  for (const { kind, key } of sources) {
    const name = `${kind} ${key}`
    const proved = known.get(name) ?? (await sql.query(PROVED, [kind, key])).length > 0
    known.set(name, proved)
    if (proved) return true
  }
  return false
}
