import type { ExpiredKey, KeyStore, NewKey, StoredKey, StoredServerKey } from '../keys/store.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { replaceFingerprint } from './account-store.ts'
import type { Database, Sql } from './sql.ts'

/** Keys that are over, in one look. */
const EXPIRED_AT_ONCE = 100

interface KeyRow {
  readonly fingerprint: string
  readonly ring: Uint8Array
}
interface ServerKeyRow extends KeyRow {
  readonly sealed: Uint8Array
  readonly created_at: number
  readonly is_current: number | null
}

/** Tables `public_key` and `server_key` in either dialect. */
export class SqlKeyStore implements KeyStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async find(account: number): Promise<StoredKey | undefined> {
    const [row] = await this.#database.query<KeyRow>('select fingerprint, ring from public_key where account_id = $1', [
      account,
    ])
    return row && { account, fingerprint: row.fingerprint, ring: row.ring }
  }

  put(key: NewKey): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      // Whoever gives the account another key waits, or is waited for.
      const locking = sql.dialect === 'postgres' ? ' for share' : ''
      const [row] = await sql.query<{ fingerprint: string | null }>(
        `select fingerprint from account where id = $1${locking}`,
        [key.account],
      )
      if (row?.fingerprint !== key.fingerprint) return false
      await putRing(sql, key)
      return true
    })
  }

  follow(key: NewKey, former: string): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      if (!(await replaceFingerprint(sql, key.account, former, key.fingerprint))) return false
      // The secret key that may be on its way to another device is the former one's.
      await sql.query('delete from key_transfer where account_id = $1', [key.account])
      await putRing(sql, key)
      return true
    })
  }

  async expired(now: number): Promise<readonly ExpiredKey[]> {
    const rows = await this.#database.query<{ account: number; jid: BareJid; fingerprint: string }>(
      `select k.account_id as account, a.jid, k.fingerprint
       from public_key k join account a on a.id = k.account_id
       where k.expires_at <= $1 order by k.expires_at limit ${EXPIRED_AT_ONCE}`,
      [now],
    )
    return rows.map(({ account, jid, fingerprint }) => ({ account, jid, fingerprint }))
  }

  endTokens({ account, fingerprint }: ExpiredKey, now: number): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      const isOver = 'select account_id from public_key where account_id = $1 and fingerprint = $2 and expires_at <= $3'
      if ((await sql.query(isOver, [account, fingerprint, now])).length === 0) return false
      if (!(await replaceFingerprint(sql, account, fingerprint, fingerprint))) return false
      await sql.query('delete from key_transfer where account_id = $1', [account])
      return true
    })
  }

  async ended({ account, fingerprint }: ExpiredKey, now: number): Promise<void> {
    await this.#database.query(
      'update public_key set expires_at = null where account_id = $1 and fingerprint = $2 and expires_at <= $3',
      [account, fingerprint, now],
    )
  }

  async serverKeys(): Promise<readonly StoredServerKey[]> {
    const rows = await this.#database.query<ServerKeyRow>(
      'select fingerprint, ring, sealed, created_at, is_current from server_key order by created_at desc, fingerprint',
    )
    return rows.map((row) => ({
      fingerprint: row.fingerprint,
      ring: row.ring,
      sealed: row.sealed,
      createdAt: row.created_at,
      isCurrent: row.is_current !== null,
    }))
  }

  async addFirstServerKey({ fingerprint, ring, sealed, createdAt }: Omit<StoredServerKey, 'isCurrent'>): Promise<void> {
    await this.#database.query(
      `insert into server_key (fingerprint, ring, sealed, created_at, is_current) values ($1, $2, $3, $4, 1)
       on conflict do nothing`,
      [fingerprint, ring, sealed, createdAt],
    )
  }

  makeCurrent({ fingerprint, ring, sealed, createdAt }: Omit<StoredServerKey, 'isCurrent'>): Promise<void> {
    return this.#database.transaction(async (sql) => {
      // Whoever does the same at this time comes after; on SQLite the transaction itself is the lock.
      if (sql.dialect === 'postgres') await sql.query('select fingerprint from server_key order by 1 for update')
      await sql.query('update server_key set is_current = null where is_current = 1')
      await sql.query(
        `insert into server_key (fingerprint, ring, sealed, created_at, is_current) values ($1, $2, $3, $4, 1)
         on conflict (fingerprint) do update set ring = excluded.ring, sealed = excluded.sealed, is_current = 1`,
        [fingerprint, ring, sealed, createdAt],
      )
    })
  }

  async removeServerKey(fingerprint: string): Promise<boolean> {
    const gone = await this.#database.query(
      'delete from server_key where fingerprint = $1 and is_current is null returning fingerprint',
      [fingerprint],
    )
    return gone.length > 0
  }
}

async function putRing(sql: Sql, { account, fingerprint, ring, expiresAt }: NewKey): Promise<void> {
  await sql.query(
    `insert into public_key (account_id, fingerprint, ring, expires_at) values ($1, $2, $3, $4)
     on conflict (account_id) do update set
       fingerprint = excluded.fingerprint, ring = excluded.ring, expires_at = excluded.expires_at`,
    [account, fingerprint, ring, Number.isFinite(expiresAt) ? expiresAt : null],
  )
}
