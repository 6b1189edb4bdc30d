import type { NewUpload, QuotaReached, StoredUpload, UploadQuota, UploadStore } from '../uploads/store.ts'
import { eachText } from './each-text.ts'
import { lockAccount } from './lock-account.ts'
import type { Database, Sql } from './sql.ts'

const DAY_MS = 86_400_000

interface Used {
  readonly files: number
  readonly bytes: number
}

/** Table `upload` in either dialect; reads `account`. */
export class SqlUploadStore implements UploadStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  reserve(upload: NewUpload, quota: UploadQuota, now: number): Promise<QuotaReached | undefined> {
    return this.#database.transaction(async (sql) => {
      const { id, account, name, type, size } = upload
      // Requests of one account come several at a time: they are counted one after the other.
      if (!(await lockAccount(sql, account))) return { retryAt: undefined }
      const waits = [await waitForDay(sql, upload, quota, now), await waitForTotal(sql, upload, quota)]
      if (waits.some((wait) => wait !== 0)) {
        const isEver = !waits.includes(undefined)
        return { retryAt: isEver ? Math.max(...(waits as number[])) : undefined }
      }
      await sql.query(
        'insert into upload (id, account_id, name, type, size, requested_at) values ($1, $2, $3, $4, $5, $6)',
        [id, account, name, type, size, now],
      )
      return undefined
    })
  }

  async find(id: string): Promise<StoredUpload | undefined> {
    const [row] = await this.#database.query<StoredUpload & { readonly stored_at: number | null }>(
      `select u.id, u.name, u.type, u.size, u.stored_at from upload u join account a on a.id = u.account_id
       where u.id = $1 and a.disabled_at is null`,
      [id],
    )
    if (row === undefined) return undefined
    return { id: row.id, name: row.name, type: row.type, size: row.size, storedAt: row.stored_at ?? undefined }
  }

  async stored(id: string, now: number): Promise<boolean> {
    const done = await this.#database.query(
      'update upload set stored_at = $2 where id = $1 and stored_at is null and account_id is not null returning id',
      [id, now],
    )
    return done.length > 0
  }

  async over(
    before: { readonly stored: number; readonly requested: number },
    limit: number,
  ): Promise<readonly string[]> {
    const rows = await this.#database.query<{ id: string }>(
      `select id from upload where account_id is null or stored_at <= $1 or (stored_at is null and requested_at <= $2)
       limit $3`,
      [before.stored, before.requested, limit],
    )
    return rows.map(({ id }) => id)
  }

  async remove(ids: readonly string[]): Promise<void> {
    const each = eachText(this.#database, '$1')
    await this.#database.query(`delete from upload where id in (select e.value from ${each})`, [JSON.stringify(ids)])
  }
}

/** 0: it fits; undefined: it never will. */
async function waitForDay(
  sql: Sql,
  { account, size }: NewUpload,
  { bytesPerDay, filesPerDay }: UploadQuota,
  now: number,
): Promise<number | undefined> {
  if (size > bytesPerDay) return undefined
  const [used] = await sql.query<Used>(
    `select count(*) as files, cast(coalesce(sum(size), 0) as bigint) as bytes from upload
     where account_id = $1 and requested_at > $2`,
    [account, now - DAY_MS],
  )
  const { files, bytes } = used as Used
  if (files < filesPerDay && bytes + size <= bytesPerDay) return 0
  // The oldest whose going, with all before it, leaves enough.
  const [row] = await sql.query<{ at: number }>(
    `select min(at) as at from (
       select requested_at as at, row_number() over w as files, cast(sum(size) over w as bigint) as bytes
       from upload where account_id = $1 and requested_at > $2 window w as (order by requested_at, id)) as gone
     where files >= $3 and bytes >= $4`,
    [account, now - DAY_MS, files + 1 - filesPerDay, bytes + size - bytesPerDay],
  )
  return row === undefined ? undefined : row.at + DAY_MS
}
async function waitForTotal(
  sql: Sql,
  { account, size }: NewUpload,
  { total, keptMs }: UploadQuota,
): Promise<number | undefined> {
  if (size > total) return undefined
  const [used] = await sql.query<Pick<Used, 'bytes'>>(
    'select cast(coalesce(sum(size), 0) as bigint) as bytes from upload where account_id = $1',
    [account],
  )
  const { bytes } = used as Pick<Used, 'bytes'>
  if (bytes + size <= total) return 0
  const [row] = await sql.query<{ at: number }>(
    `select min(at) as at from (
       select coalesce(stored_at, requested_at) as at,
         cast(sum(size) over (order by coalesce(stored_at, requested_at), id) as bigint) as bytes
       from upload where account_id = $1) as gone
     where bytes >= $2`,
    [account, bytes + size - total],
  )
  return row === undefined ? undefined : row.at + keptMs
}
