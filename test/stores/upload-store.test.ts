import assert from 'node:assert/strict'
import { createAccount } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const DAY = 86_400_000
const QUOTA = { bytesPerDay: 100, filesPerDay: 4, total: 150, keptMs: 30 * DAY }
const idOf = (n: number) => n.toString(16).padStart(32, '0')
const upload = (account: number, n: number, size = 10) => ({
  id: idOf(n),
  account,
  name: `très cool ${n}.jpg`,
  type: 'image/jpeg',
  size,
})

withStores('a file is asked for, comes once, and can be found', async (stores) => {
  const { uploads } = stores
  const { id: account } = await createAccount(stores, 'romeo@example.org')
  assert.equal(await uploads.reserve(upload(account, 1), QUOTA, 1_000), undefined)
  const asked = { id: idOf(1), name: 'très cool 1.jpg', type: 'image/jpeg', size: 10, storedAt: undefined }
  assert.deepEqual(await uploads.find(idOf(1)), asked)
  assert.equal(await uploads.find(idOf(2)), undefined)
  assert.equal(await uploads.stored(idOf(2), 2_000), false)
  assert.equal(await uploads.stored(idOf(1), 2_000), true)
  assert.equal(await uploads.stored(idOf(1), 3_000), false, 'once')
  assert.deepEqual(await uploads.find(idOf(1)), { ...asked, storedAt: 2_000 })
  await stores.accounts.setDisabled(account, 5)
  assert.equal(await uploads.find(idOf(1)), undefined)
})

withStores('an account that is gone leaves files to be removed, and nobody finds them', async (stores) => {
  const { uploads } = stores
  const { id: account } = await createAccount(stores, 'romeo@example.org')
  await uploads.reserve(upload(account, 1), QUOTA, 1_000)
  await uploads.reserve(upload(account, 2), QUOTA, 1_000)
  await uploads.stored(idOf(1), 1_000)
  const before = { stored: 0, requested: 0 }
  assert.deepEqual(await uploads.over(before, 10), [])
  await stores.accounts.remove(account)
  assert.equal(await uploads.find(idOf(1)), undefined)
  assert.equal(await uploads.stored(idOf(2), 2_000), false, 'one under way is not kept')
  assert.deepEqual([...(await uploads.over(before, 10))].sort(), [idOf(1), idOf(2)])
  assert.equal((await uploads.over(before, 1)).length, 1)
  await uploads.remove([idOf(1)])
  assert.deepEqual(await uploads.over(before, 10), [idOf(2)])
  assert.deepEqual(await uploads.reserve(upload(account, 3), QUOTA, 1), { retryAt: undefined }, 'no such account')
})

withStores('what is over: kept long enough, or never come', async (stores) => {
  const { uploads } = stores
  const { id: account } = await createAccount(stores, 'romeo@example.org')
  for (const n of [1, 2, 3, 4]) await uploads.reserve(upload(account, n), QUOTA, n * 1_000)
  await uploads.stored(idOf(1), 10_000)
  await uploads.stored(idOf(2), 20_000)
  assert.deepEqual([...(await uploads.over({ stored: 10_000, requested: 3_000 }, 10))].sort(), [idOf(1), idOf(3)])
})

withStores('a day has its bytes and its files, and says when there is room again', async (stores) => {
  const { uploads } = stores
  const { id: account } = await createAccount(stores, 'romeo@example.org')
  const { id: other } = await createAccount(stores, 'juliet@example.org')
  const asks = (n: number, size: number, now: number) => uploads.reserve(upload(account, n, size), QUOTA, now)
  assert.equal(await asks(1, 40, 1_000), undefined)
  assert.equal(await asks(2, 40, 2_000), undefined)
  assert.deepEqual(await asks(3, 30, 3_000), { retryAt: 1_000 + DAY })
  assert.deepEqual(await asks(3, 70, 3_000), { retryAt: 2_000 + DAY }, 'when both are a day old')
  assert.deepEqual(await asks(3, 101, 3_000), { retryAt: undefined }, 'never')
  assert.equal(await asks(3, 10, 3_000), undefined)
  assert.equal(await asks(4, 10, 4_000), undefined)
  assert.deepEqual(await asks(5, 1, 5_000), { retryAt: 1_000 + DAY }, 'four files')
  assert.equal(await uploads.reserve(upload(other, 6, 90), QUOTA, 5_000), undefined, 'another account')
  assert.equal(await asks(5, 30, 1_000 + DAY), undefined, 'the first is a day old')
})

withStores('all that lies there has its bound', async (stores) => {
  const { uploads } = stores
  const { id: account } = await createAccount(stores, 'romeo@example.org')
  const asks = (n: number, size: number, now: number) => uploads.reserve(upload(account, n, size), QUOTA, now)
  assert.equal(await asks(1, 80, 1_000), undefined)
  await uploads.stored(idOf(1), 5_000)
  assert.equal(await asks(2, 60, 2 * DAY), undefined)
  assert.deepEqual(await asks(3, 20, 3 * DAY), { retryAt: 5_000 + QUOTA.keptMs })
  assert.deepEqual(await asks(3, 95, 3 * DAY), { retryAt: 2 * DAY + QUOTA.keptMs })
  assert.equal(await asks(3, 10, 3 * DAY), undefined)
  await uploads.remove([idOf(1)])
  assert.equal(await asks(4, 80, 3 * DAY), undefined, 'what is removed does not count')
})

withStores('connections at the same time do not get more than there is', async (stores) => {
  const { id: account } = await createAccount(stores, 'romeo@example.org')
  const all = [stores, await stores.second(), await stores.second()]
  const answers = await Promise.all(
    Array.from({ length: 9 }, (_, n) => all[n % 3]?.uploads.reserve(upload(account, n, 30), QUOTA, 1_000)),
  )
  assert.equal(answers.filter((answer) => answer === undefined).length, 3)
})
