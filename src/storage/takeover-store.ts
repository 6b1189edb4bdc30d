import type { Claim } from '../account/takeover.ts'
import type { LockSecrets, TakeoverStore } from '../account/takeover-store.ts'
import type { Database } from './sql.ts'

const TRY_LOCK = `
  update registration_lock set
    tries = case when tries_end_at <= $2 then 1 else tries + 1 end,
    tries_end_at = case when tries_end_at <= $2 then $3 else tries_end_at end
  where account_id = $1 and (tries_end_at <= $2 or tries < $4)
  returning salt, iterations, stored_key`

interface ClaimRow {
  readonly state: Claim['state']
  readonly asked_at: number
  readonly ripe_at: number
  readonly expires_at: number
}
interface LockRow {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly stored_key: Uint8Array
}

/** `TakeoverStore` in either dialect. */
export class SqlTakeoverStore implements TakeoverStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async claim(account: number, now: number): Promise<Claim | undefined> {
    const [row] = await this.#database.query<ClaimRow>(
      'select state, asked_at, ripe_at, expires_at from takeover where account_id = $1 and expires_at > $2',
      [account, now],
    )
    return row && { state: row.state, askedAt: row.asked_at, ripeAt: row.ripe_at, expiresAt: row.expires_at }
  }

  async told(account: number): Promise<void> {
    await this.#database.query('update takeover set told = 1 where account_id = $1', [account])
  }

  async answer(account: number, state: 'agreed' | 'refused', now: number, until: number): Promise<boolean> {
    const rows = await this.#database.query(
      'update takeover set state = $2, expires_at = $4 where account_id = $1 and expires_at > $3 returning state',
      [account, state, now, until],
    )
    return rows.length > 0
  }

  async setLock(account: number, secrets: LockSecrets | undefined): Promise<void> {
    if (secrets === undefined) {
      await this.#database.query('delete from registration_lock where account_id = $1', [account])
      return
    }
    await this.#database.query(
      `insert into registration_lock (account_id, salt, iterations, stored_key)
       values ($1, $2, $3, $4)
       on conflict (account_id) do update set salt = excluded.salt, iterations = excluded.iterations,
         stored_key = excluded.stored_key, tries = 0, tries_end_at = 0`,
      [account, secrets.salt, secrets.iterations, secrets.storedKey],
    )
  }

  async hasLock(account: number): Promise<boolean> {
    const rows = await this.#database.query('select iterations from registration_lock where account_id = $1', [account])
    return rows.length > 0
  }

  tryLock(account: number, tries: number, windowMs: number, now: number): ReturnType<TakeoverStore['tryLock']> {
    return this.#database.transaction(async (sql) => {
      const [lock] = await sql.query<LockRow>(TRY_LOCK, [account, now, now + windowMs, tries])
      if (lock !== undefined) {
        const secrets = { salt: lock.salt, iterations: lock.iterations, storedKey: lock.stored_key }
        return { outcome: 'open', secrets } as const
      }
      const [row] = await sql.query<{ tries_end_at: number }>(
        'select tries_end_at from registration_lock where account_id = $1',
        [account],
      )
      return row === undefined
        ? ({ outcome: 'none' } as const)
        : ({ outcome: 'refused', until: row.tries_end_at } as const)
    })
  }
}
