import type { Account } from '../account/store.ts'
import type { KeyListingStore } from '../keys/listing-store.ts'
import type { Domain } from '../xmpp/jid.ts'
import { ACCOUNT_COLUMNS, type AccountRow, accountOf } from './account-store.ts'
import type { Database } from './sql.ts'

const LISTED = `select ${ACCOUNT_COLUMNS} from key_listing l join account a on a.id = l.account_id`
/** Key IDs are easily made to be the same: nobody gets more work out of it than this. */
const MAX_SAME_KEY_ID = 4

/** Table `key_listing` in either dialect; reads `account`. */
export class SqlKeyListingStore implements KeyListingStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async has(account: number): Promise<boolean> {
    const found = await this.#database.query('select account_id from key_listing where account_id = $1', [account])
    return found.length > 0
  }
  async add(account: number, domain: Domain, hash: string): Promise<void> {
    await this.#database.query(
      `insert into key_listing (account_id, domain, hash)
       select id, cast($2 as text), cast($3 as text) from account where id = $1
       on conflict (account_id) do nothing`,
      [account, domain, hash],
    )
  }
  async remove(account: number): Promise<void> {
    await this.#database.query('delete from key_listing where account_id = $1', [account])
  }
  async byHash(domain: Domain, hash: string): Promise<Account | undefined> {
    const [row] = await this.#database.query<AccountRow>(
      `${LISTED} where l.domain = $1 and l.hash = $2 and a.disabled_at is null`,
      [domain, hash],
    )
    return row === undefined ? undefined : accountOf(row)
  }
  async byKeyId(keyId: string): Promise<readonly Account[]> {
    const rows = await this.#database.query<AccountRow>(
      `${LISTED} where substr(a.fingerprint, 25) = $1 and a.disabled_at is null order by a.id limit ${MAX_SAME_KEY_ID}`,
      [keyId],
    )
    return rows.map(accountOf)
  }
}
