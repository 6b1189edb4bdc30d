import type { ArchivingRule } from '../account/archiving.ts'
import { RosterError } from '../roster/roster-error.ts'
import type { RosterItem, RosterStore, Subscription } from '../roster/store.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'
import { ACCOUNT_COLUMNS, type AccountRow, accountOf } from './account-store.ts'
import { preferencesOf } from './archive-store.ts'
import type { Database, Sql } from './sql.ts'

/** Tombstones kept per roster; a client that missed more changes than that gets the whole roster. */
const TOMBSTONES = 100

const COLUMNS =
  'i.contact, i.name, i.groups, i.subscription, i.pending_out, i.pending_in, i.approved, i.listed, i.version, i.removed'
interface ItemRow {
  readonly contact: BareJid
  readonly name: string | null
  readonly groups: string
  readonly subscription: Subscription
  readonly pending_out: number
  readonly pending_in: Uint8Array | null
  readonly approved: number
  readonly listed: number
  readonly version: number
  readonly removed: number
}
/** Of the table `archive_preference`, where there is a row. */
interface ArchivingRow {
  readonly archiving: ArchivingRule | null
  readonly archiving_lists: string | null
}
type Joined = ItemRow | { readonly contact: null }

/** Tables `roster` and `roster_item` in either dialect; reads `block` for the view. */
export class SqlRosterStore implements RosterStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async load(jid: BareJid): ReturnType<RosterStore['load']> {
    const rows = await this.#database.query<
      AccountRow & ArchivingRow & { roster_version: number; blocked: Jid | null } & Joined
    >(
      `select ${ACCOUNT_COLUMNS}, p.rule as archiving, case when row_number() over () = 1 then p.lists end as archiving_lists,
         coalesce(r.version, 0) as roster_version, null as blocked, ${COLUMNS}
       from account a left join archive_preference p on p.account_id = a.id left join roster r on r.account_id = a.id
       left join roster_item i on i.account_id = a.id and i.removed = 0
       where a.jid = $1
       union all
       select ${ACCOUNT_COLUMNS}, null, null, 0, b.jid, null, null, null, null, null, null, null, null, null, null
       from account a join block b on b.account_id = a.id
       where a.jid = $1`,
      [jid],
    )
    // Nothing says that the first part of the union comes first.
    const first = rows.find((row) => row.blocked === null)
    if (first === undefined) return undefined
    // The lists may be long, and come with one row only.
    const lists = rows.find((row) => row.archiving_lists !== null)?.archiving_lists ?? null
    const blocked: Jid[] = []
    for (const row of rows) if (row.blocked !== null) blocked.push(row.blocked)
    return {
      account: accountOf(first),
      archiving: preferencesOf(first.archiving, lists),
      items: rows.filter(hasItem).map(itemOf),
      version: first.roster_version,
      blocked,
    }
  }

  change(
    account: number,
    contact: BareJid,
    change: (item: RosterItem | undefined) => RosterItem | undefined,
    maxItems: number,
  ): ReturnType<RosterStore['change']> {
    return this.#database.transaction(async (sql) => {
      const { version, forgotten } = await lock(sql, account)
      const [row] = await sql.query<ItemRow>(
        `select ${COLUMNS} from roster_item i where i.account_id = $1 and i.contact = $2`,
        [account, contact],
      )
      const before = row === undefined || row.removed !== 0 ? undefined : itemOf(row)
      const wish = change(before)
      if (wish === before) return { before, after: before, version }
      if (before === undefined) await checkRoom(sql, account, maxItems)
      const after = wish === undefined ? undefined : { ...wish, contact, version: version + 1 }
      await write(sql, account, contact, after, version + 1)
      const lost = after === undefined ? await bury(sql, account) : 0
      await sql.query('update roster set version = $2, forgotten = $3 where account_id = $1', [
        account,
        version + 1,
        Math.max(forgotten, lost),
      ])
      return { before, after, version: version + 1 }
    })
  }

  async since(account: number, version: number): ReturnType<RosterStore['since']> {
    const rows = await this.#database.query<{ now: number; forgotten: number } & Joined>(
      `select coalesce(r.version, 0) as now, coalesce(r.forgotten, 0) as forgotten, ${COLUMNS}
       from account a left join roster r on r.account_id = a.id
       left join roster_item i on i.account_id = a.id and i.version > $2
       where a.id = $1 order by i.version`,
      [account, version],
    )
    const first = rows[0]
    if (first === undefined || version > first.now || version < first.forgotten) return undefined
    const changes = rows.filter(hasItem).map((row) => ({
      contact: row.contact,
      item: row.removed === 0 ? itemOf(row) : undefined,
      version: row.version,
    }))
    return { changes, version: first.now }
  }
}

/** Locks the roster by its row, which is made where there is none. @throws RosterError no-account */
async function lock(sql: Sql, account: number): Promise<{ readonly version: number; readonly forgotten: number }> {
  const [row] = await sql.query<{ version: number; forgotten: number }>(
    `insert into roster as r (account_id, version) select id, 0 from account where id = $1
     on conflict (account_id) do update set version = r.version returning version, forgotten`,
    [account],
  )
  if (row === undefined) throw new RosterError('no-account')
  return row
}

async function checkRoom(sql: Sql, account: number, maxItems: number): Promise<void> {
  const [row] = await sql.query<{ items: number }>(
    'select count(*) as items from roster_item where account_id = $1 and removed = 0',
    [account],
  )
  if ((row?.items ?? 0) >= maxItems) throw new RosterError('full')
}

/** Writes the item, or a tombstone. */
async function write(sql: Sql, account: number, contact: BareJid, item: RosterItem | undefined, version: number) {
  await sql.query(
    `insert into roster_item (account_id, contact, name, groups, subscription, pending_out, pending_in, approved, listed, version, removed)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict (account_id, contact) do update set name = excluded.name, groups = excluded.groups,
       subscription = excluded.subscription, pending_out = excluded.pending_out, pending_in = excluded.pending_in,
       approved = excluded.approved, listed = excluded.listed, version = excluded.version, removed = excluded.removed`,
    [
      account,
      contact,
      item?.name ?? null,
      JSON.stringify(item?.groups ?? []),
      item?.subscription ?? 'none',
      Number(item?.pendingOut ?? false),
      item?.pendingIn ?? null,
      Number(item?.approved ?? false),
      Number(item?.listed ?? false),
      version,
      Number(item === undefined),
    ],
  )
}

/** Removes the tombstones that are too many; returns the version of the newest that went, or 0. */
async function bury(sql: Sql, account: number): Promise<number> {
  const [oldest] = await sql.query<{ version: number }>(
    'select version from roster_item where account_id = $1 and removed = 1 order by version desc limit 1 offset $2',
    [account, TOMBSTONES],
  )
  if (oldest === undefined) return 0
  await sql.query('delete from roster_item where account_id = $1 and removed = 1 and version <= $2', [
    account,
    oldest.version,
  ])
  return oldest.version
}

/** A left join's row, and with an item. */
const hasItem = <R>(row: R & Joined): row is R & ItemRow => row.contact !== null
const itemOf = (row: ItemRow): RosterItem => ({
  contact: row.contact,
  name: row.name ?? undefined,
  groups: JSON.parse(row.groups) as readonly string[],
  subscription: row.subscription,
  pendingOut: row.pending_out !== 0,
  pendingIn: row.pending_in ?? undefined,
  approved: row.approved !== 0,
  listed: row.listed !== 0,
  version: row.version,
})
