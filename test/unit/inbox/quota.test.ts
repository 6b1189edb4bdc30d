import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { Quota } from '../../../src/inbox/quota.ts'
import { FakeStore, turn, unavailable } from './fake-store.ts'

const JULIET = 1
/** Accounts whose news were written down before a count. */
let flushed: number[]
const INBOX = {
  flushed: (account: number): Promise<void> => {
    flushed.push(account)
    return Promise.resolve()
  },
}
let store: FakeStore
beforeEach(() => {
  mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
  store = new FakeStore()
  flushed = []
})
afterEach(() => mock.timers.reset())

test('an account nobody has written to has room', () => {
  assert.equal(new Quota(store, 1, 1).hasRoom(JULIET), true)
})

test('what the store has counts from the first entry on', async () => {
  store.counted = { entries: 3, bytes: 30 }
  const quota = new Quota(store, 3, 1_000)
  quota.added(JULIET, 10, INBOX)
  await turn()
  assert.equal(quota.hasRoom(JULIET), false)
})

test('entries and bytes are bounded, each by itself', async () => {
  for (const [maxEntries, maxBytes] of [
    [3, 1_000],
    [1_000, 30],
  ] as const) {
    store.counted = { entries: 0, bytes: 0 }
    const quota = new Quota(store, maxEntries, maxBytes)
    for (let i = 0; i < 3; i++) {
      assert.equal(quota.hasRoom(JULIET), true)
      quota.added(JULIET, 10, INBOX)
      store.counted = { entries: i + 1, bytes: (i + 1) * 10 }
      await turn()
    }
    assert.equal(quota.hasRoom(JULIET), false)
    assert.equal(quota.hasRoom(2), true)
  }
})

test('what is taken makes room, of the average size', async () => {
  const quota = new Quota(store, 1_000, 30)
  quota.added(JULIET, 10, INBOX)
  await turn()
  quota.added(JULIET, 30, INBOX)
  assert.equal(quota.hasRoom(JULIET), false)
  quota.taken(JULIET)
  assert.equal(quota.hasRoom(JULIET), true)
  quota.taken(JULIET)
  quota.taken(JULIET)
  quota.taken(2)
  quota.added(JULIET, 29, INBOX)
  assert.equal(quota.hasRoom(JULIET), true)
})

test('a full one is counted again after ten seconds: others may have taken', async () => {
  store.counted = { entries: 5, bytes: 5 }
  const quota = new Quota(store, 5, 1_000)
  quota.added(JULIET, 1, INBOX)
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
  quota.added(JULIET, 1, INBOX)
  await turn()
  assert.equal(quota.hasRoom(JULIET), true)
})

test('the store is asked again when half of the room is used up: who takes elsewhere makes room', async () => {
  const quota = new Quota(store, 8, 1_000)
  quota.added(JULIET, 1, INBOX)
  await turn()
  for (let i = 0; i < 100; i++) {
    assert.equal(quota.hasRoom(JULIET), true, `${i}`)
    quota.added(JULIET, 1, INBOX)
    await turn()
  }
  assert.equal(flushed.length, 25, 'each fourth')
  // The same by bytes.
  const heavy = new Quota(store, 1_000, 80)
  for (let i = 0; i < 100; i++) {
    assert.equal(heavy.hasRoom(JULIET), true, `${i}`)
    heavy.added(JULIET, 10, INBOX)
    await turn()
  }
})

test('what nobody takes is counted exactly, however often the store is asked, and whether or not it has what came meanwhile', async () => {
  for (const isSlow of [true, false]) {
    let added = 0
    let committed = 0
    store.waiting = async () => {
      const asked = committed
      await turn()
      return { entries: isSlow ? asked : committed, bytes: 0 }
    }
    const inbox = {
      flushed: async () => {
        committed = added
        await turn()
      },
    }
    const quota = new Quota(store, 20, 1_000)
    for (let i = 0; i < 20; i++) {
      assert.equal(quota.hasRoom(JULIET), true, `${i}`)
      added++
      if (!isSlow) committed = added
      quota.added(JULIET, 1, inbox)
      if (i % 3 !== 0) await turn()
    }
    for (let i = 0; i < 5; i++) await turn()
    assert.equal(quota.hasRoom(JULIET), false)
  }
})
