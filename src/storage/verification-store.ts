import type { Account } from '../account/store.ts'
import type {
  HeldCode,
  NewAccount,
  NewRequest,
  Refusal,
  Spending,
  VerificationStore,
} from '../account/verification-store.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { SqlAccountStore } from './account-store.ts'
import type { Database, Sql, Transaction } from './sql.ts'

/** A new window begins with the first spending after the old one's end; a full one takes nothing, and does not move. */
const SPEND = `
  insert into budget as b (kind, key, window_ms, spent, ends_at) values ($1, $2, $3, 1, $4)
  on conflict (kind, key, window_ms) do update set
    spent = case when b.ends_at <= $5 then 1 else b.spent + 1 end,
    ends_at = case when b.ends_at <= $5 then excluded.ends_at else b.ends_at end
  where b.ends_at <= $5 or b.spent < $6
  returning spent`
const BUDGET_END = 'select ends_at from budget where kind = $1 and key = $2 and window_ms = $3'
const REQUEST = `
  insert into verification (subject, state, code_hash, tries, expires_at) values ($1, 'requested', $2, 0, $3)
  on conflict (subject) do update set
    state = excluded.state, code_hash = excluded.code_hash, tries = excluded.tries, expires_at = excluded.expires_at,
    provider = null, ticket = null`
const FORMER = `
  select provider, ticket from verification where subject = $1 and expires_at > $2 and state in ('requested', 'sent')`
const LEARN = `
  update verification set code_hash = $3, provider = null, ticket = null
  where subject = $1 and code_hash = $2 and state in ('requested', 'sent')
  returning state`
const SETTLE = `
  update verification set state = $3, provider = $4, ticket = $5
  where subject = $1 and code_hash = $2 and state = 'requested'
  returning state`
const TRY = `
  update verification set tries = tries + 1
  where subject = $1 and expires_at > $2 and tries < $3 and state in ('requested', 'sent', 'confirmed')
  returning state, code_hash, expires_at, provider, ticket`
const STATE = 'select state, tries, expires_at from verification where subject = $1'
const END = `update verification set state = $2 where subject = $1 and state in ('requested', 'sent')`
const LOCK = `
  update verification set state = 'locked'
  where subject = $1 and code_hash = $2 and tries >= $3 and state in ('requested', 'sent')`
const CONFIRM = `
  update verification set state = 'confirmed'
  where subject = $1 and code_hash = $2 and expires_at > $3 and state in ('requested', 'sent')
  returning state`

/** Ends a transaction whose spending or creating is to be undone. */
class Undo<T> extends Error {
  readonly result: T
  constructor(result: T) {
    super('undone')
    this.result = result
  }
}

/** `VerificationStore` on either database. */
export class SqlVerificationStore implements VerificationStore {
  readonly #db: Database

  constructor(database: Database) {
    this.#db = database
  }

  request(request: NewRequest, account: BareJid, spendings: readonly Spending[], now: number) {
    return this.#spending(spendings, now, async (sql) => {
      if ((await accountsIn(sql, now).find(account)) !== undefined) return { outcome: 'taken' } as const
      const [former] = await sql.query<HeldRow>(FORMER, [request.subject, now])
      await sql.query(REQUEST, [request.subject, request.codeHash, request.expiresAt])
      return { outcome: 'requested', former: former && heldOf(former) } as const
    })
  }

  async settle(request: NewRequest, state: 'sent' | 'expired', held?: HeldCode): Promise<boolean> {
    const { subject, codeHash } = request
    const rows = await this.#db.query(SETTLE, [subject, codeHash, state, held?.provider ?? null, held?.ticket ?? null])
    return rows.length > 0
  }

  async learn(request: NewRequest, codeHash: Uint8Array): Promise<boolean> {
    return (await this.#db.query(LEARN, [request.subject, request.codeHash, codeHash])).length > 0
  }

  attempt(subject: Uint8Array, spendings: readonly Spending[], maxTries: number, now: number) {
    return this.#spending(spendings, now, async (sql) => {
      const [row] = await sql.query<OpenRow>(TRY, [subject, now, maxTries])
      if (row === undefined) return { outcome: await closedState(sql, subject, maxTries, now) } as const
      const outcome = row.state === 'confirmed' ? 'confirmed' : 'open'
      return { outcome, codeHash: row.code_hash, expiresAt: row.expires_at, held: heldOf(row) } as const
    })
  }

  async lock(subject: Uint8Array, codeHash: Uint8Array, maxTries: number): Promise<void> {
    await this.#db.query(LOCK, [subject, codeHash, maxTries])
  }

  confirm(request: NewRequest, account: NewAccount, now: number): Promise<Account | 'gone' | 'taken'> {
    return this.#undoable(async (sql) => {
      const confirmed = await sql.query(CONFIRM, [request.subject, request.codeHash, now])
      if (confirmed.length === 0) return 'gone'
      const made = await accountsIn(sql, now).create(account)
      if (made === undefined) throw new Undo('taken' as const)
      return made
    })
  }

  spend(spendings: readonly Spending[], now: number) {
    return this.#spending(spendings, now, async () => ({ outcome: 'spent' }) as const)
  }

  async purge(now: number): Promise<number> {
    const requests = await this.#db.query('delete from verification where expires_at <= $1 returning subject', [now])
    const budgets = await this.#db.query('delete from budget where ends_at <= $1 returning kind', [now])
    return requests.length + budgets.length
  }

  /** Spends all budgets or none, then does the work, in one transaction. */
  #spending<T>(
    spendings: readonly Spending[],
    now: number,
    work: (sql: Transaction) => Promise<T>,
  ): Promise<T | Refusal> {
    return this.#undoable<T | Refusal>(async (sql) => {
      for (const { kind, key, windowMs, limit } of spendings) {
        const ends = now + windowMs
        const spent = limit > 0 ? await sql.query(SPEND, [kind, key, windowMs, ends, now, limit]) : []
        if (spent.length > 0) continue
        const [row] = await sql.query<{ readonly ends_at: number }>(BUDGET_END, [kind, key, windowMs])
        throw new Undo<Refusal>({ outcome: 'refused', until: row?.ends_at ?? ends })
      }
      return work(sql)
    })
  }

  async #undoable<T>(work: (sql: Transaction) => Promise<T>): Promise<T> {
    try {
      return await this.#db.transaction(work)
    } catch (error) {
      if (error instanceof Undo) return error.result as T
      throw error
    }
  }
}

/** The accounts' own store, at work inside a transaction of ours. */
function accountsIn(sql: Transaction, now: number): SqlAccountStore {
  const database: Database = {
    dialect: sql.dialect,
    query: (text, params) => sql.query(text, params),
    transaction: (work) => work(sql),
    close: async () => undefined,
  }
  return new SqlAccountStore(database, () => now)
}

interface HeldRow {
  readonly provider: string | null
  readonly ticket: string | null
}
interface OpenRow extends HeldRow {
  readonly state: string
  readonly code_hash: Uint8Array
  readonly expires_at: number
}

function heldOf({ provider, ticket }: HeldRow): HeldCode | undefined {
  return provider === null || ticket === null ? undefined : { provider, ticket }
}

/** Why no try was to be had; notes it where time or tries ran out unseen. */
async function closedState(sql: Sql, subject: Uint8Array, maxTries: number, now: number) {
  const [row] = await sql.query<{ state: string; tries: number; expires_at: number }>(STATE, [subject])
  if (row === undefined) return 'none'
  if (row.state === 'locked') return 'locked'
  const state = row.state !== 'expired' && row.expires_at > now && row.tries >= maxTries ? 'locked' : 'expired'
  await sql.query(END, [subject, state])
  return state
}
