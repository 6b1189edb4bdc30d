import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStores } from '../../src/storage/open.ts'
import { createAccount } from '../helpers/store-samples.ts'
import { startTestServers } from '../helpers/test-server.ts'

const DAY_MS = 86_400_000

test('accounts that nobody has used for account.inactive_after go, those of operators stay', {
  timeout: 60_000,
}, async (t) => {
  const config = {
    account: { registration: ['open'], inactive_after: '30d', inactive_except: ['desk@localhost'] },
    features: { commands: { operators: ['admin@localhost'] } },
  }
  const stores = await openStores({ databaseUrl: undefined, dataDir: ':memory:' })
  t.after(() => stores.close())
  await stores.migrate()
  for (const name of ['gone', 'used', 'desk', 'admin']) await createAccount(stores, `${name}@localhost`)
  const old = Date.now() - 31 * DAY_MS
  await stores.database.query('update account set created_at = $1', [old])
  const used = await stores.accounts.find('used@localhost' as never)
  await stores.activity.put(new Map([[used?.id ?? 0, old + 2 * DAY_MS]]))
  const servers = await startTestServers(2, config, stores)
  t.after(() => servers.stop())
  while ((await stores.accounts.find('gone@localhost' as never)) !== undefined);
  const left = await stores.accounts.list('localhost' as never, '', 10)
  assert.deepEqual(
    left.map(({ jid }) => jid),
    ['admin@localhost', 'desk@localhost', 'used@localhost'],
  )
  assert.ok(servers.logged.some((line) => line.includes('unused accounts removed')))
})
