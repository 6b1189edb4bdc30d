import type { LastSeenStore } from '../account/last-seen-store.ts'
import { type BareJid, bareOf, domainOf, type FullJid } from '../xmpp/jid.ts'
import { putTimes } from './account-times.ts'
import { eachText } from './each-text.ts'
import type { Database } from './sql.ts'

/** Table `last_seen` in either dialect; reads `roster_item` and `block` for who may know. */
export class SqlLastSeenStore implements LastSeenStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async put(ends: ReadonlyMap<number, number>): Promise<void> {
    await putTimes(this.#database, 'last_seen', ends)
  }

  async find(account: number): Promise<number | undefined> {
    const [row] = await this.#database.query<{ at: number }>('select at from last_seen where account_id = $1', [
      account,
    ])
    return row?.at
  }

  async ofContacts(asker: FullJid, contacts: readonly BareJid[]): Promise<ReadonlyMap<BareJid, number>> {
    const rows = await this.#database.query<{ jid: BareJid; at: number }>(
      `select a.jid, l.at from ${eachText(this.#database, '$2')} join account a on a.jid = e.value
       join last_seen l on l.account_id = a.id
       join roster_item i on i.account_id = a.id and i.contact = $1 and i.removed = 0 and i.subscription in ('from', 'both')
       where a.disabled_at is null
       and not exists (select 1 from block b where b.account_id = a.id and b.jid in ($1, $3, $4))`,
      [bareOf(asker), JSON.stringify(contacts), asker, domainOf(asker)],
    )
    return new Map(rows.map(({ jid, at }) => [jid, at]))
  }
}
