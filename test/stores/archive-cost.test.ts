import assert from 'node:assert/strict'
import { SqlArchiveStore } from '../../src/storage/archive-store.ts'
import { openStores } from '../../src/storage/open.ts'
import type { Database, Param } from '../../src/storage/sql.ts'
import { explained, fill, pageCost, scatter } from '../helpers/page-cost.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { withPostgres } from '../helpers/test-database.ts'

const CONTACTS = ['bob@example.org', 'carol@example.org']
/** 51 entries, each on a page of its own, and the way to them in the index. */
const MOST = 60

withPostgres('the last page of 10,000 entries reads at most 60 buffers, whatever others have', async (url, t) => {
  const stores = await openStores({ databaseUrl: url, dataDir: '' })
  t.after(() => stores.close())
  const { database } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const others = [
    (await createAccount(stores, 'bob@example.org')).id,
    (await createAccount(stores, 'carol@example.org')).id,
  ]
  await fill(database, id, 9_900, CONTACTS)
  await scatter(database, id, 110, CONTACTS, others, 9_900)
  const filters = [
    {},
    { with: jid('bob@example.org') },
    { end: 1_700_000_000_000 + 5_000_000 * 1_000 },
    { start: 1_700_000_000_000 + 9_950 * 1_000 },
    { with: jid('carol@example.org'), before: (1_700_000_000_000 + 9_990 * 1_000) * 1_000 },
  ]
  const costs = async (): Promise<readonly number[]> => {
    const found: number[] = []
    for (const filter of filters) {
      const { buffers, steps } = await pageCost(stores, id, filter)
      t.diagnostic(`${JSON.stringify(filter)}: ${buffers} buffers, ${steps.join(' > ')}`)
      assert.ok(buffers <= MOST, `${JSON.stringify(filter)}: ${buffers} buffers`)
      assert.ok(buffers >= 50, 'the entries lie on pages of their own')
      assert.ok(!steps.includes('Sort'), steps.join(' > '))
      found.push(buffers)
    }
    return found
  }
  const alone = await costs()
  for (const other of others) await fill(database, other, 30_000, CONTACTS, 1_000_000)
  await database.query('analyze entry')
  const among = await costs()
  // One level more of the index is what others may cost.
  for (const [i, buffers] of among.entries()) assert.ok(buffers <= (alone[i] ?? 0) + 1, `${alone[i]} → ${buffers}`)
})

withPostgres('a message is looked for among the index rows of its conversation', async (url, t) => {
  const stores = await openStores({ databaseUrl: url, dataDir: '' })
  t.after(() => stores.close())
  const { id } = await createAccount(stores, 'alice@example.org')
  await fill(stores.database, id, 10_000, CONTACTS)
  await stores.database.query('update entry set message = 4711 where id = 1700000000000 * 1000')
  await stores.database.query('update entry set message = 1 where message is null')
  await stores.database.query('analyze entry')
  const asked: { readonly text: string; readonly params: readonly unknown[] }[] = []
  const spy = openSpy(stores.database, asked)
  await spy.candidates(id, jid('bob@example.org'), 'sent', 'm1', Number.MAX_SAFE_INTEGER)
  const { text, params } = asked[0] ?? { text: '', params: [] }
  const { buffers } = await explained(stores.database, text, [...params.slice(0, 5).map(String), '4711'])
  t.diagnostic(`${buffers} buffers`)
  assert.ok(buffers <= 150, `${buffers} buffers for 5,000 messages`)
})

/** A store that notes what it asks. */
function openSpy(database: Database, asked: { readonly text: string; readonly params: readonly unknown[] }[]) {
  return new SqlArchiveStore({
    dialect: database.dialect,
    query: (text: string, params: readonly Param[] = []) => {
      asked.push({ text, params })
      return database.query(text, params)
    },
    transaction: (work) => database.transaction(work),
    close: () => database.close(),
  })
}
