import type { KeyTransferStore, StoredTransfer } from '../keys/transfer-store.ts'
import type { BareJid } from '../xmpp/jid.ts'
import type { Database } from './sql.ts'

/** Table `key_transfer` in either dialect. */
export class SqlKeyTransferStore implements KeyTransferStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async put({ account, tokenHash, ring, expiresAt }: StoredTransfer): Promise<void> {
    await this.#database.query(
      `insert into key_transfer (account_id, token_hash, ring, expires_at) values ($1, $2, $3, $4)
       on conflict (account_id) do update set
         token_hash = excluded.token_hash, ring = excluded.ring, expires_at = excluded.expires_at`,
      [account, tokenHash, ring, expiresAt],
    )
  }

  take(tokenHash: Uint8Array, now: number): ReturnType<KeyTransferStore['take']> {
    return this.#database.transaction(async (sql) => {
      const [taken] = await sql.query<{ account_id: number; ring: Uint8Array; expires_at: number }>(
        'delete from key_transfer where token_hash = $1 returning account_id, ring, expires_at',
        [tokenHash],
      )
      if (taken === undefined || taken.expires_at <= now) return undefined
      const [account] = await sql.query<{ jid: BareJid }>('select jid from account where id = $1', [taken.account_id])
      return account && { jid: account.jid, ring: taken.ring }
    })
  }

  async expire(now: number): Promise<number> {
    const gone = await this.#database.query('delete from key_transfer where expires_at <= $1 returning account_id', [
      now,
    ])
    return gone.length
  }
}
