import type { NetworkServer, NetworkStore } from '../keys/network-store.ts'
import type { Domain } from '../xmpp/jid.ts'
import type { Database } from './sql.ts'

/** Table `network_server` in either dialect. */
export class SqlNetworkStore implements NetworkStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  put({ domain, fingerprint }: NetworkServer, at: number, max: number): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await sql.query(
        `insert into network_server (domain, fingerprint, added_at) values ($1, $2, $3)
         on conflict (domain) do update set fingerprint = excluded.fingerprint`,
        [domain, fingerprint, at],
      )
      const [row] = await sql.query<{ n: number }>('select count(*) as n from network_server')
      if ((row?.n ?? 0) <= max) return true
      await sql.query('delete from network_server where domain = $1', [domain])
      return false
    })
  }

  async remove(domain: Domain): Promise<boolean> {
    const gone = await this.#database.query('delete from network_server where domain = $1 returning domain', [domain])
    return gone.length > 0
  }

  async list(): Promise<readonly NetworkServer[]> {
    return await this.#database.query<{ domain: Domain; fingerprint: string }>(
      'select domain, fingerprint from network_server order by domain',
    )
  }
}
