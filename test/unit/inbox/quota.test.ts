import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { Quota } from '../../../src/inbox/quota.ts'
import { FakeStore, turn, unavailable } from './fake-store.ts'

const JULIET = 1
let store: FakeStore
beforeEach(() => {
  mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
  store = new FakeStore()
})
afterEach(() => mock.timers.reset())

test('an account nobody has written to has room', () => {
  assert.equal(new Quota(store, 1, 1).hasRoom(JULIET), true)
})

test('what the store has counts from the first entry on', async () => {
  store.counted = { entries: 3, bytes: 30 }
  const quota = new Quota(store, 3, 1_000)
  quota.added(JULIET, 10)
  await turn()
  assert.equal(quota.hasRoom(JULIET), false)
})

test('entries and bytes are bounded, each by itself', async () => {
  for (const [maxEntries, maxBytes] of [
    [3, 1_000],
    [1_000, 30],
  ] as const) {
    const quota = new Quota(store, maxEntries, maxBytes)
    for (let i = 0; i < 3; i++) {
      assert.equal(quota.hasRoom(JULIET), true)
      quota.added(JULIET, 10)
      await turn()
    }
    assert.equal(quota.hasRoom(JULIET), false)
    assert.equal(quota.hasRoom(2), true)
  }
})

test('what is taken makes room, of the average size', async () => {
  const quota = new Quota(store, 1_000, 30)
  quota.added(JULIET, 10)
  await turn()
  quota.added(JULIET, 30)
  assert.equal(quota.hasRoom(JULIET), false)
  quota.taken(JULIET)
  assert.equal(quota.hasRoom(JULIET), true)
  quota.taken(JULIET)
  quota.taken(JULIET)
  quota.taken(2)
  quota.added(JULIET, 29)
  assert.equal(quota.hasRoom(JULIET), true)
})

test('a full one is counted again after ten seconds: others may have taken', async () => {
  store.counted = { entries: 5, bytes: 5 }
  const quota = new Quota(store, 5, 1_000)
  quota.added(JULIET, 1)
  await turn()
  store.counted = { entries: 0, bytes: 0 }
  assert.equal(quota.hasRoom(JULIET), false)
  mock.timers.tick(10_000)
  assert.equal(quota.hasRoom(JULIET), false)
  await turn()
  assert.equal(quota.hasRoom(JULIET), false)
  mock.timers.tick(1)
  assert.equal(quota.hasRoom(JULIET), false)
  await turn()
  assert.equal(quota.hasRoom(JULIET), true)
})

test('a store that cannot be asked stops nobody', async () => {
  store.waiting = () => Promise.reject(unavailable())
  const quota = new Quota(store, 3, 1_000)
  quota.added(JULIET, 1)
  await turn()
  assert.equal(quota.hasRoom(JULIET), true)
})
