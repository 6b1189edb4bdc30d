import type {
  Device,
  DeviceLogin,
  LoginState,
  LoginStore,
  NewToken,
  StoredToken,
  TokenSlot,
  TokenUse,
} from '../account/login-store.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { ACCOUNT_COLUMNS, type AccountRow, accountOf } from './account-store.ts'
import type { Database } from './sql.ts'

const SEEN = `
  insert into device as d
    (account_id, agent, name, software, device, first_seen, last_seen, password_epoch, key_epoch)
  values ($1, $2, $3, $4, $5, $6, $6, $7, $8)
  on conflict (account_id, agent) do update set
    software = coalesce(excluded.software, d.software),
    device = coalesce(excluded.device, d.device),
    last_seen = excluded.last_seen,
    password_epoch = coalesce(excluded.password_epoch, d.password_epoch),
    key_epoch = coalesce(excluded.key_epoch, d.key_epoch)
  returning name, resource`
const TOO_MANY = `
  delete from device where account_id = $1 and agent in (
    select agent from device where account_id = $1 order by last_seen desc, agent limit 1000000 offset $2)`
const DEVICES = `
  select d.agent, d.name, d.software, d.device, d.resource, d.first_seen, d.last_seen,
    case when d.password_epoch = a.login_epoch then 1 else 0 end as has_password,
    case when d.key_epoch = a.login_epoch then 1 else 0 end as has_key,
    case when exists (
      select 1 from fast_token t
      where t.account_id = d.account_id and t.agent = d.agent and t.epoch = a.login_epoch and t.expires_at > $2
    ) then 1 else 0 end as has_token
  from device d join account a on a.id = d.account_id
  where d.account_id = $1 order by d.last_seen desc, d.agent`
const TOKENS = `
  select ${ACCOUNT_COLUMNS}, t.slot, t.mechanism, t.seed, t.issued_at, t.expires_at,
    case when t.epoch = a.login_epoch then 1 else 0 end as is_trusted
  from account a left join fast_token t on t.account_id = a.id and t.agent = $2 where a.jid = $1`
const ISSUE = `
  insert into fast_token (account_id, agent, slot, mechanism, seed, epoch, issued_at, expires_at)
  values ($1, $2, 'new', $3, $4, $5, $6, $7)
  on conflict (account_id, agent, slot) do update set
    mechanism = excluded.mechanism, seed = excluded.seed, epoch = excluded.epoch,
    issued_at = excluded.issued_at, expires_at = excluded.expires_at, count = 0`
/** The clocks of two nodes may differ: what is ended is over by each of them. */
const SKEW_MS = 10 * 60_000
const EXPIRE = 'update fast_token set expires_at = $3 where account_id = $1 and agent = $2 and expires_at > $3'
const USABLE = `
  account_id = $1 and agent = $2 and slot = $3 and seed = $4 and expires_at > $5
  and epoch = (select login_epoch from account where id = $1 and disabled_at is null)`

interface DeviceRow {
  readonly agent: Uint8Array
  readonly name: string
  readonly software: string | null
  readonly device: string | null
  readonly resource: string | null
  readonly first_seen: number
  readonly last_seen: number
  readonly has_password: number
  readonly has_key: number
  readonly has_token: number
}
interface TokenRow {
  readonly slot: TokenSlot | null
  readonly mechanism: string
  readonly seed: Uint8Array
  readonly issued_at: number
  readonly expires_at: number
  readonly is_trusted: number
}

/** `LoginStore` in either dialect. */
export class SqlLoginStore implements LoginStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async state(jid: BareJid): Promise<LoginState | undefined> {
    const [row] = await this.#database.query<{ readonly id: number; readonly login_epoch: number }>(
      'select id, login_epoch from account where jid = $1',
      [jid],
    )
    return row && { id: row.id, epoch: row.login_epoch }
  }

  async seen(login: DeviceLogin, name: string, max: number): Promise<string | undefined> {
    const { account, agent, software, device, proof, at } = login
    const [row] = await this.#database.query<{ readonly name: string; readonly resource: string | null }>(SEEN, [
      account.id,
      agent,
      name,
      software ?? null,
      device ?? null,
      at,
      proof === 'password' ? account.epoch : null,
      proof === 'key' ? account.epoch : null,
    ])
    // A device keeps its first name: only with a new one there are more than before.
    if (row?.name === name) await this.#database.query(TOO_MANY, [account.id, max])
    return row?.resource ?? undefined
  }

  async bound(account: number, agent: Uint8Array, resource: string): Promise<void> {
    await this.#database.query('update device set resource = $3 where account_id = $1 and agent = $2', [
      account,
      agent,
      resource,
    ])
  }

  async devices(account: number, now: number): Promise<readonly Device[]> {
    const rows = await this.#database.query<DeviceRow>(DEVICES, [account, now])
    return rows.map((row) => ({
      agent: row.agent,
      name: row.name,
      software: row.software ?? undefined,
      device: row.device ?? undefined,
      resource: row.resource ?? undefined,
      firstSeen: row.first_seen,
      lastSeen: row.last_seen,
      hasPassword: row.has_password !== 0,
      hasKey: row.has_key !== 0,
      hasToken: row.has_token !== 0,
    }))
  }

  async revoke(account: number, agent: Uint8Array, now: number, forget: boolean): Promise<void> {
    if (forget) await this.#database.query('delete from device where account_id = $1 and agent = $2', [account, agent])
    else await this.#database.query(EXPIRE, [account, agent, now - SKEW_MS])
  }

  async tokens(jid: BareJid, agent: Uint8Array): ReturnType<LoginStore['tokens']> {
    const rows = await this.#database.query<AccountRow & TokenRow>(TOKENS, [jid, agent])
    const [first] = rows
    if (first === undefined) return undefined
    const tokens = rows.flatMap((row): StoredToken[] =>
      row.slot === null
        ? []
        : [
            {
              slot: row.slot,
              mechanism: row.mechanism,
              seed: row.seed,
              issuedAt: row.issued_at,
              expiresAt: row.expires_at,
              isTrusted: row.is_trusted !== 0,
            },
          ],
    )
    return { account: accountOf(first), state: { id: first.id, epoch: first.login_epoch }, tokens }
  }

  async issue({ account, agent, mechanism, seed, issuedAt, expiresAt }: NewToken): Promise<void> {
    await this.#database.query(ISSUE, [account.id, agent, mechanism, seed, account.epoch, issuedAt, expiresAt])
  }

  async use({ account, agent, slot, seed, now, count, invalidate }: TokenUse): Promise<boolean> {
    const params = [account, agent, slot, seed, now]
    const isPlain = count === undefined && slot === 'current' && !invalidate
    // What nothing is to be noted of costs no commit.
    if (isPlain) return (await this.#database.query(`select slot from fast_token where ${USABLE}`, params)).length > 0
    return this.#database.transaction(async (sql) => {
      const used =
        count === undefined
          ? await sql.query(`update fast_token set count = count where ${USABLE} returning slot`, params)
          : await sql.query(`update fast_token set count = $6 where ${USABLE} and count < $6 returning slot`, [
              ...params,
              count,
            ])
      if (used.length === 0) return false
      if (slot === 'new') {
        await sql.query(`delete from fast_token where account_id = $1 and agent = $2 and slot = 'current'`, [
          account,
          agent,
        ])
        await sql.query(`update fast_token set slot = 'current' where account_id = $1 and agent = $2`, [account, agent])
      }
      if (invalidate) await sql.query(EXPIRE, [account, agent, now - SKEW_MS])
      return true
    })
  }

  async purge(before: number): Promise<number> {
    const tokens = await this.#database.query('delete from fast_token where expires_at < $1 returning slot', [before])
    const devices = await this.#database.query('delete from device where last_seen < $1 returning name', [before])
    return tokens.length + devices.length
  }
}
