import type { PushDevice, PushStore } from '../push/store.ts'
import { lockAccount } from './lock-account.ts'
import type { Database } from './sql.ts'

interface PushRow {
  readonly device: string
  readonly provider: string
  readonly token: string
  readonly used_at: number
}

/** Table `push_device` in either dialect. */
export class SqlPushStore implements PushStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  register({ account, device, provider, token, usedAt }: PushDevice, keep: number): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      if (!(await lockAccount(sql, account))) return false
      await sql.query(
        `insert into push_device (account_id, device, provider, token, used_at) values ($1, $2, $3, $4, $5)
         on conflict (account_id, device, provider) do update set token = excluded.token, used_at = excluded.used_at`,
        [account, device, provider, token, usedAt],
      )
      await sql.query(
        `delete from push_device where account_id = $1 and (device, provider) not in (
           select device, provider from push_device where account_id = $1
           order by case when device = $2 and provider = $3 then 0 else 1 end, used_at desc limit $4)`,
        [account, device, provider, keep],
      )
      return true
    })
  }

  async unregister(account: number, device: string, provider: string): Promise<boolean> {
    const gone = await this.#database.query(
      'delete from push_device where account_id = $1 and device = $2 and provider = $3 returning device',
      [account, device, provider],
    )
    return gone.length > 0
  }

  async of(account: number): Promise<readonly PushDevice[]> {
    const rows = await this.#database.query<PushRow>(
      'select device, provider, token, used_at from push_device where account_id = $1 order by device, provider',
      [account],
    )
    return rows.map(({ device, provider, token, used_at }) => ({ account, device, provider, token, usedAt: used_at }))
  }

  async used(account: number, device: string, at: number): Promise<void> {
    await this.#database.query('update push_device set used_at = $3 where account_id = $1 and device = $2', [
      account,
      device,
      at,
    ])
  }

  async claim({ account, device, provider }: PushDevice, at: number, before: number): ReturnType<PushStore['claim']> {
    const key = [account, device, provider]
    const claimed = await this.#database.query(
      `update push_device set woken_at = $4 where account_id = $1 and device = $2 and provider = $3
         and (woken_at is null or woken_at <= $5) returning device`,
      [...key, at, before],
    )
    if (claimed.length > 0) return true
    const [row] = await this.#database.query<{ woken_at: number | null }>(
      'select woken_at from push_device where account_id = $1 and device = $2 and provider = $3',
      key,
    )
    return row?.woken_at ?? undefined
  }

  async remove({ account, device, provider, token }: PushDevice): Promise<void> {
    await this.#database.query(
      'delete from push_device where account_id = $1 and device = $2 and provider = $3 and token = $4',
      [account, device, provider, token],
    )
  }

  async purge(before: number): Promise<number> {
    return (await this.#database.query('delete from push_device where used_at < $1 returning device', [before])).length
  }
}
