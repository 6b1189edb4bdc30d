import type { LoginState } from '../account/login-store.ts'
import type { Account, AccountStore, Delivery, ScramMechanism, ScramSecrets } from '../account/store.ts'
import type { BareJid, Domain } from '../xmpp/jid.ts'
import { domainOf } from '../xmpp/jid.ts'
import type { Database, Param, Sql } from './sql.ts'

/** SQLite's `returning` knows no alias. */
const RETURNED = 'id, jid, is_number, created_at, disabled_at, delivery, fingerprint, login_epoch'
/** Columns of `account as a`, for every statement that gives an `AccountRow`. */
export const ACCOUNT_COLUMNS =
  'a.id, a.jid, a.is_number, a.created_at, a.disabled_at, a.delivery, a.fingerprint, a.login_epoch'
export interface AccountRow {
  readonly id: number
  readonly jid: BareJid
  readonly is_number: number
  readonly created_at: number
  readonly disabled_at: number | null
  readonly delivery: Delivery | null
  readonly fingerprint: string | null
  readonly login_epoch: number
}
export const accountOf = (row: AccountRow): Account => ({
  id: row.id,
  jid: row.jid,
  isNumber: row.is_number !== 0,
  createdAt: row.created_at,
  disabledAt: row.disabled_at ?? undefined,
  delivery: row.delivery ?? undefined,
  fingerprint: row.fingerprint ?? undefined,
  epoch: row.login_epoch,
})

interface SecretsRow {
  readonly mechanism: ScramMechanism | null
  readonly salt: Uint8Array
  readonly iterations: number
  readonly stored_key: Uint8Array
  readonly server_key: Uint8Array
}

const SECRETS = `${ACCOUNT_COLUMNS}, c.mechanism, c.salt, c.iterations, c.stored_key, c.server_key`
const CREDENTIAL = `
  select ${SECRETS} from account a left join credential c on c.account_id = a.id and c.mechanism = $2 where a.jid = $1`
const ANY_CREDENTIAL = `
  select ${SECRETS} from account a left join credential c on c.account_id = a.id where a.jid = $1
  order by case c.mechanism when 'SCRAM-SHA-256' then 0 when 'SCRAM-SHA-512' then 1 else 2 end limit 1`

/** Tables `account` and `credential` in either dialect. */
export class SqlAccountStore implements AccountStore {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database
    this.#now = now
  }

  create(account: Parameters<AccountStore['create']>[0]): Promise<Account | undefined> {
    return this.#database.transaction((sql) => insertAccount(sql, account, this.#now()))
  }

  async find(jid: BareJid): Promise<Account | undefined> {
    const [row] = await this.#database.query<AccountRow>(`select ${ACCOUNT_COLUMNS} from account a where a.jid = $1`, [
      jid,
    ])
    return row === undefined ? undefined : accountOf(row)
  }

  async credential(jid: BareJid, mechanism: ScramMechanism | 'any'): ReturnType<AccountStore['credential']> {
    const [row] =
      mechanism === 'any'
        ? await this.#database.query<AccountRow & SecretsRow>(ANY_CREDENTIAL, [jid])
        : await this.#database.query<AccountRow & SecretsRow>(CREDENTIAL, [jid, mechanism])
    return row === undefined ? undefined : { account: accountOf(row), secrets: secretsOf(row) }
  }

  /** Pages in order of the JID: `after` is the last one's, or empty. */
  async list(domain: Domain, after: string, limit: number): Promise<readonly Account[]> {
    const rows = await this.#database.query<AccountRow>(
      `select ${ACCOUNT_COLUMNS} from account a where a.domain = $1 and a.jid > $2 order by a.jid limit $3`,
      [domain, after, limit],
    )
    return rows.map(accountOf)
  }

  async mechanisms(jid: BareJid): Promise<readonly ScramMechanism[]> {
    const rows = await this.#database.query<{ readonly mechanism: ScramMechanism }>(
      'select c.mechanism from account a join credential c on c.account_id = a.id where a.jid = $1',
      [jid],
    )
    return rows.map((row) => row.mechanism)
  }

  addSecrets(state: LoginState, secrets: readonly ScramSecrets[]): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      // The row stays locked, so that no password is changed in between.
      const same = await sql.query(
        'update account set login_epoch = login_epoch where id = $1 and login_epoch = $2 returning id',
        [state.id, state.epoch],
      )
      if (same.length === 0) return false
      for (const { mechanism } of secrets)
        await sql.query('delete from credential where account_id = $1 and mechanism = $2', [state.id, mechanism])
      await insertSecrets(sql, state.id, secrets)
      return true
    })
  }

  setSecrets(id: number, secrets: readonly ScramSecrets[]): Promise<void> {
    return this.#database.transaction(async (sql) => {
      await sql.query('update account set login_epoch = login_epoch + 1 where id = $1', [id])
      await sql.query('delete from credential where account_id = $1', [id])
      await insertSecrets(sql, id, secrets)
    })
  }

  async setDisabled(id: number, at: number | undefined): Promise<void> {
    await this.#database.query('update account set disabled_at = $2, login_epoch = login_epoch + 1 where id = $1', [
      id,
      at ?? null,
    ])
  }

  async setDelivery(id: number, delivery: Delivery | undefined): Promise<void> {
    await this.#database.query('update account set delivery = $2 where id = $1', [id, delivery ?? null])
  }

  async setFingerprint(id: number, fingerprint: string): Promise<void> {
    await this.#database.query('update account set fingerprint = $2, login_epoch = login_epoch + 1 where id = $1', [
      id,
      fingerprint,
    ])
  }

  async remove(id: number): Promise<void> {
    await this.#database.query('delete from account where id = $1', [id])
  }

  async removeUnused(id: number, before: number): Promise<boolean> {
    const rows = await this.#database.query(
      `delete from account where id = $1 and created_at < $2 and disabled_at is null
       and not exists (select 1 from last_active l where l.account_id = $1 and l.at >= $2) returning id`,
      [id, before],
    )
    return rows.length > 0
  }
}

const secretsOf = (row: SecretsRow): ScramSecrets | undefined =>
  row.mechanism === null
    ? undefined
    : {
        mechanism: row.mechanism,
        salt: row.salt,
        iterations: row.iterations,
        storedKey: row.stored_key,
        serverKey: row.server_key,
      }

/** Within a transaction; undefined when the name is taken. */
export async function insertAccount(
  sql: Sql,
  { jid, isNumber, fingerprint, secrets }: Parameters<AccountStore['create']>[0],
  now: number,
): Promise<Account | undefined> {
  const [row] = await sql.query<AccountRow>(
    `insert into account (jid, domain, is_number, created_at, fingerprint) values ($1, $2, $3, $4, $5)
     on conflict (jid) do nothing returning ${RETURNED}`,
    [jid, domainOf(jid), Number(isNumber), now, fingerprint ?? null],
  )
  if (row === undefined) return undefined
  await insertSecrets(sql, row.id, secrets)
  return accountOf(row)
}

/** Within a transaction; false where the account has not that former key. */
export async function replaceFingerprint(sql: Sql, id: number, former: string, fingerprint: string): Promise<boolean> {
  const rows = await sql.query(
    `update account set fingerprint = $3, login_epoch = login_epoch + 1 where id = $1 and fingerprint = $2 returning id`,
    [id, former, fingerprint],
  )
  return rows.length > 0
}

/** There are as many texts of this as there are mechanisms. */
async function insertSecrets(sql: Sql, account: number, secrets: readonly ScramSecrets[]): Promise<void> {
  if (secrets.length === 0) return
  const tuples = secrets.map((_, i) => `($1, ${[2, 3, 4, 5, 6].map((n) => `$${n + 5 * i}`).join(', ')})`)
  const params = secrets.flatMap((s): Param[] => [s.mechanism, s.salt, s.iterations, s.storedKey, s.serverKey])
  await sql.query(
    `insert into credential (account_id, mechanism, salt, iterations, stored_key, server_key) values ${tuples.join(', ')}`,
    [account, ...params],
  )
}
