import assert from 'node:assert/strict'
import type { PushDevice } from '../../src/push/store.ts'
import { createAccount } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const device = (account: number, name: string, other: Partial<PushDevice> = {}): PushDevice => ({
  account,
  device: name,
  provider: 'gcm',
  token: `token of ${name}`,
  usedAt: 1_000,
  ...other,
})

withStores('devices are registered, replaced, and go with their account', async ({ push, accounts, ...stores }) => {
  const all = { push, accounts, ...stores }
  const romeo = (await createAccount(all, 'romeo@example.org')).id
  const juliet = (await createAccount(all, 'juliet@example.org')).id
  assert.equal(await push.register(device(romeo, 'phone'), 5), true)
  assert.equal(await push.register(device(romeo, 'phone', { provider: 'other' }), 5), true)
  assert.equal(await push.register(device(romeo, 'phone', { token: 'newer', usedAt: 2_000 }), 5), true)
  assert.equal(await push.register(device(juliet, 'phone'), 5), true)
  assert.equal(await push.register(device(juliet + 100, 'phone'), 5), false, 'no such account')
  assert.deepEqual(await push.of(romeo), [
    device(romeo, 'phone', { token: 'newer', usedAt: 2_000 }),
    device(romeo, 'phone', { provider: 'other' }),
  ])
  assert.equal(await push.unregister(romeo, 'phone', 'gcm'), true)
  assert.equal(await push.unregister(romeo, 'phone', 'gcm'), false)
  assert.deepEqual(await push.of(romeo), [device(romeo, 'phone', { provider: 'other' })])
  await accounts.remove(romeo)
  assert.deepEqual(await push.of(romeo), [])
  assert.equal((await push.of(juliet)).length, 1)
})

withStores('of many devices the ones used last stay, the new one in any case', async ({ push, ...stores }) => {
  const romeo = (await createAccount({ push, ...stores }, 'romeo@example.org')).id
  for (const [i, name] of ['a', 'b', 'c'].entries()) await push.register(device(romeo, name, { usedAt: 5_000 - i }), 2)
  assert.deepEqual(
    (await push.of(romeo)).map((d) => d.device),
    ['a', 'c'],
  )
  await push.used(romeo, 'c', 9_000)
  await push.register(device(romeo, 'd', { usedAt: 1 }), 2)
  assert.deepEqual(
    (await push.of(romeo)).map(({ device: name, usedAt }) => [name, usedAt]),
    [
      ['c', 9_000],
      ['d', 1],
    ],
  )
  assert.equal(await push.purge(9_000), 1)
  assert.deepEqual(
    (await push.of(romeo)).map((d) => d.device),
    ['c'],
  )
})

withStores('a device is woken once in a while, whoever wants to', async (stores) => {
  const romeo = (await createAccount(stores, 'romeo@example.org')).id
  const phone = device(romeo, 'phone')
  await stores.push.register(phone, 5)
  const others = await Promise.all([stores.second(), stores.second()])
  const first = await Promise.all([stores, ...others].map(({ push }) => push.claim(phone, 50_000, 40_000)))
  assert.deepEqual(first.toSorted(), [50_000, 50_000, true].toSorted(), 'exactly one')
  assert.equal(await stores.push.claim(phone, 59_999, 49_999), 50_000)
  assert.equal(await stores.push.claim(phone, 60_000, 50_000), true)
  // A new token is the same device.
  await stores.push.register({ ...phone, token: 'newer' }, 5)
  assert.equal(await stores.push.claim(phone, 60_001, 50_001), 60_000)
  await stores.push.remove(phone)
  assert.equal((await stores.push.of(romeo)).length, 1, 'the service knows the newer token')
  await stores.push.remove({ ...phone, token: 'newer' })
  assert.equal(await stores.push.claim(phone, 90_000, 80_000), undefined)
})
