import assert from 'node:assert/strict'
import { openStores } from '../../src/storage/open.ts'
import { StoreError } from '../../src/storage/sql.ts'
import { cuttingProxy } from '../helpers/cutting-proxy.ts'
import { batch, createAccount, entry, idsOf, openOf, takesOf } from '../helpers/store-samples.ts'
import { withPostgres } from '../helpers/test-database.ts'

const unavailable = (error: unknown) => error instanceof StoreError && error.fault === 'unavailable'

withPostgres(
  'a batch whose answer is lost is unavailable, and committed once however often it is tried',
  async (url, t) => {
    const proxy = await cuttingProxy(url)
    t.after(() => proxy.close())
    const stores = await openStores({ databaseUrl: proxy.url, dataDir: '', connections: 1 })
    t.after(() => stores.close())
    const { id } = await createAccount(stores, 'alice@example.org')
    const [before] = await stores.inbox.commit(batch([entry(id, 'before')]))
    const lost = batch([entry(id, '1'), entry(id, '2')], [takesOf(id, [before?.id])])

    proxy.cutNextAnswer()
    await assert.rejects(stores.inbox.commit(lost), unavailable)
    const open = await openOf(stores.inbox, id)
    assert.deepEqual(
      open.map(([, body]) => body),
      ['1', '2'],
      'it was committed',
    )
    const again = await stores.inbox.commit(lost)
    assert.deepEqual(
      again,
      open.map(([one], i) => ({ id: one, prev: i === 0 ? before?.id : open[i - 1]?.[0] })),
    )
    assert.deepEqual(await openOf(stores.inbox, id), open)
  },
)

withPostgres('a COMMIT whose answer is lost is unavailable', async (url, t) => {
  const proxy = await cuttingProxy(url)
  t.after(() => proxy.close())
  const stores = await openStores({ databaseUrl: proxy.url, dataDir: '', connections: 1 })
  t.after(() => stores.close())
  const { id } = await createAccount(stores, 'alice@example.org')
  const lost = stores.database.transaction(async (sql) => {
    await sql.query('update account set disabled_at = $2 where id = $1', [id, 7])
    proxy.cutNextAnswer()
  })
  await assert.rejects(lost, unavailable)
  const [row] = await stores.database.query('select disabled_at from account where id = $1', [id])
  assert.equal(row?.disabled_at, 7)
})

withPostgres(
  'a batch whose connection is ended by the server is unavailable, and can be tried again',
  async (url, t) => {
    const stores = await openStores({ databaseUrl: url, dataDir: '', connections: 1 })
    t.after(() => stores.close())
    const other = await openStores({ databaseUrl: url, dataDir: '', connections: 2 })
    t.after(() => other.close())
    const { id } = await createAccount(stores, 'alice@example.org')
    await stores.inbox.commit(batch([entry(id, 'before')]))
    const [backend] = await stores.database.query('select pg_backend_pid() as pid')
    const blocked = batch([entry(id, 'after')])

    await other.database.transaction(async (sql) => {
      await sql.query('select from log where account_id = $1 for update', [id])
      const failing = assert.rejects(stores.inbox.commit(blocked), unavailable)
      await sql.query('select pg_terminate_backend($1)', [Number(backend?.pid)])
      await failing
    })
    const [one] = idsOf(await stores.inbox.commit(blocked))
    assert.deepEqual((await openOf(stores.inbox, id)).at(-1), [one, 'after'])
  },
)

withPostgres('a server that is gone is unavailable', async (url, t) => {
  const proxy = await cuttingProxy(url)
  const stores = await openStores({ databaseUrl: proxy.url, dataDir: '' })
  t.after(() => stores.close())
  await proxy.close()
  await assert.rejects(stores.database.query('select 1'), unavailable)
  await assert.rejects(stores.inbox.commit(batch([entry(1, 'x')])), unavailable)
})
