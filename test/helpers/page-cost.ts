import type { ArchiveFilter } from '../../src/inbox/archive.ts'
import { contactKey } from '../../src/inbox/contact-key.ts'
import { SqlArchiveStore } from '../../src/storage/archive-store.ts'
import type { Stores } from '../../src/storage/open.ts'
import type { Database } from '../../src/storage/sql.ts'
import { jid } from './store-samples.ts'

interface Plan {
  readonly 'Node Type': string
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Plan[]
}
/** What one page of the archive costs PostgreSQL, planned as the server has it planned. */
export interface PageCost {
  readonly buffers: number
  /** Names of the plan's steps. */
  readonly steps: readonly string[]
}

/** The last page of 50 entries, or another. */
export async function pageCost(
  stores: Stores,
  account: number,
  filter: ArchiveFilter = {},
  edge: 'first' | 'last' = 'last',
): Promise<PageCost> {
  const bounds = { edge, entries: 50, bytes: 2 ** 20 }
  const { text, params } = new SqlArchiveStore(stores.database).pageQuery(account, filter, bounds)
  const written = params.map((param) => (typeof param === 'number' ? String(param) : `'${String(param)}'`))
  return explained(stores.database, text, written)
}

/** The plan of a statement executed with these literals, under the settings of the server's own connections. */
export function explained(database: Database, text: string, params: readonly string[]): Promise<PageCost> {
  return database.transaction(async (sql) => {
    await sql.script(`prepare explained as ${text}`)
    const [row] = await sql.query<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }>(
      `explain (analyze, buffers, format json) execute explained (${params.join(', ')})`,
    )
    await sql.script('deallocate explained')
    const plan = row?.['QUERY PLAN'][0]?.Plan
    if (plan === undefined) throw new Error('no plan')
    return { buffers: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], steps: stepsOf(plan) }
  })
}
const stepsOf = (plan: Plan): string[] => [plan['Node Type'], ...(plan.Plans ?? []).flatMap(stepsOf)]

/** Archived messages of 200 bytes, one each second: `count` for the account, with one of its contacts in turn. */
export async function fill(
  database: Database,
  account: number,
  count: number,
  contacts: readonly string[],
  first = 0,
): Promise<void> {
  const peers = contacts.map((contact) => `(${contactKey(jid(contact))}, '${contact}/phone')`).join(', ')
  await database.transaction((sql) =>
    sql.script(`
      insert into entry (account_id, id, at, direction, archived, wanted, contact, peer, payload)
      select ${account}, (1700000000000 + n * 1000) * 1000, 1700000000000 + n * 1000, n % 2, 1, 0, p.contact, p.peer,
        convert_to(repeat('x', 200), 'UTF8')
      from generate_series(${first}::bigint, ${first + count - 1}::bigint) as n
      join (select row_number() over () - 1 as i, v.* from (values ${peers}) as v (contact, peer)) as p
        on p.i = n % ${contacts.length}
      order by n`),
  )
}
/** The same, each message among 30 of others, as they lie on a busy server: every entry is on a page of its own. */
export async function scatter(
  database: Database,
  account: number,
  count: number,
  contacts: readonly string[],
  others: readonly number[],
  first: number,
): Promise<void> {
  for (let n = first; n < first + count; n++) {
    await fill(database, account, 1, contacts, n)
    for (const other of others) await fill(database, other, 30 / others.length, contacts, n * 30)
  }
}
