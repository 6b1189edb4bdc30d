import assert from 'node:assert/strict'
import { openStores } from '../../src/storage/open.ts'
import { fill, pageCost, scatter } from '../helpers/page-cost.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { withPostgres } from '../helpers/test-database.ts'

const CONTACTS = ['bob@example.org', 'carol@example.org']

withPostgres('the last page of 1,000,000 entries reads at most 60 buffers, with a contact too', async (url, t) => {
  const stores = await openStores({ databaseUrl: url, dataDir: '' })
  t.after(() => stores.close())
  const { database } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const other = (await createAccount(stores, 'bob@example.org')).id
  await fill(database, id, 999_900, CONTACTS)
  await fill(database, other, 500_000, CONTACTS)
  await scatter(database, id, 110, CONTACTS, [other], 999_900)
  await database.query('analyze entry')
  for (const filter of [{}, { with: jid('bob@example.org') }]) {
    for (const edge of ['last', 'first'] as const) {
      const { buffers, steps } = await pageCost(stores, id, filter, edge)
      t.diagnostic(`${JSON.stringify(filter)} ${edge}: ${buffers} buffers, ${steps.join(' > ')}`)
      assert.ok(buffers <= 60, `${buffers} buffers`)
      if (edge === 'last') assert.ok(buffers >= 50, 'the entries lie on pages of their own')
    }
  }
})
