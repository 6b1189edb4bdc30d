import assert from 'node:assert/strict'
import { planBatch } from '../../src/storage/batch-plan.ts'
import { openStores, type Stores } from '../../src/storage/open.ts'
import { commitBatch } from '../../src/storage/postgres/commit-batch.ts'
import type { Sql } from '../../src/storage/sql.ts'
import { archived, commit } from '../helpers/archive-samples.ts'
import { batch, createAccount, entry, takesOf, text } from '../helpers/store-samples.ts'
import { withPostgres } from '../helpers/test-database.ts'

/** The database, with some work done right before the statement that takes what needs a look at the entries. */
function withBetween(
  { database }: Stores,
  work: () => Promise<unknown>,
): { readonly sql: Sql; readonly times: () => number } {
  let times = 0
  const sql: Sql = {
    dialect: 'postgres',
    query: async (statement, params) => {
      if (statement.includes('update log set cursor')) {
        times++
        await work()
      }
      return database.query(statement, params)
    },
  }
  return { sql, times: () => times }
}
/** What is in an account's log, archived or not. */
async function stored({ database }: Stores, account: number): Promise<readonly string[]> {
  const rows = await database.query<{ payload: Uint8Array }>(
    'select payload from entry where account_id = $1 order by id',
    [account],
  )
  return rows.map(({ payload }) => text(payload))
}
/** Two stores on one database, as of two nodes, with one account. */
async function twoNodes(databaseUrl: string, t: { after(work: () => unknown): void }) {
  const [stores, other] = [
    await openStores({ databaseUrl, dataDir: '' }),
    await openStores({ databaseUrl, dataDir: '' }),
  ]
  t.after(() => Promise.all([stores.close(), other.close()]))
  const { id } = await createAccount(stores, 'alice@example.org')
  return { stores, other, id }
}

for (const beside of [[], ['new']])
  withPostgres(
    `what lingers is not forgotten by a sweep between the two statements of its take, ${beside.length} entries beside it`,
    async (url, t) => {
      const { stores, other, id } = await twoNodes(url, t)
      const [taken] = await commit(stores, [entry(id, 'taken')])
      const { sql, times } = withBetween(stores, () => other.inbox.sweep(id))
      const takes = [takesOf(id, [taken], true)]
      await commitBatch(
        sql,
        planBatch(
          batch(
            beside.map((body) => entry(id, body)),
            takes,
          ),
          Date.now(),
        ),
      )
      assert.equal(times(), 1)
      assert.deepEqual(await stored(stores, id), ['taken', ...beside], 'somebody has still to read it')
      assert.equal((await stores.inbox.lingering(0, 9)).length, 1)
      await stores.inbox.sweep(id)
      assert.deepEqual(await stored(stores, id), beside)
    },
  )

withPostgres('takes that are refused beside entries are told, and the entries are kept', async (url, t) => {
  const { stores, id } = await twoNodes(url, t)
  const [first, , third] = await commit(stores, [entry(id, '1'), entry(id, '2'), entry(id, '3')])
  // The statement of the batch moves the head; that of the takes the cursor alone.
  await stores.database.query(`create function no() returns trigger language plpgsql as
    $$ begin if old.head = new.head then raise exception 'no takes'; end if; return new; end $$`)
  await stores.database.query('create trigger no before update on log for each row execute function no()')
  const refused: unknown[] = []
  const placed = await stores.inbox.commit({
    ...batch([entry(id, '4')], [takesOf(id, [first, third])]),
    takesRefused: (cause) => void refused.push(cause),
  })
  assert.equal(placed.length, 1)
  assert.equal(refused.length, 1)
  assert.match(String((refused[0] as Error).cause), /no takes/)
  assert.deepEqual(await stored(stores, id), ['2', '4'], 'what nobody archives went with the batch')
})

for (const beside of [[], ['new']])
  withPostgres(
    `what leaves the archive between the two statements of its take is gone, ${beside.length} entries beside it`,
    async (url, t) => {
      const { stores, other, id } = await twoNodes(url, t)
      const [taken] = await commit(stores, [archived(id, 'taken', { wanted: true })])
      const { sql, times } = withBetween(stores, async () => {
        assert.equal(await other.archive.remove(id, {}, 9), 1)
        assert.deepEqual(await stored(stores, id), ['taken', ...beside], 'it still waits')
      })
      const takes = [takesOf(id, [taken])]
      await commitBatch(
        sql,
        planBatch(
          batch(
            beside.map((body) => entry(id, body)),
            takes,
          ),
          Date.now(),
        ),
      )
      assert.equal(times(), 1)
      assert.deepEqual(await stored(stores, id), beside)
    },
  )
