import assert from 'node:assert/strict'
import test from 'node:test'
import { DataKeyError, DataKeys, lackingKeys, lackingText } from '../../../src/account/data-keys.ts'
import { MemoryDataKeyStore } from '../../helpers/memory-data-key-store.ts'
import { KeyFile, keyLine } from '../../helpers/operator-keys.ts'

const failing =
  (fault: DataKeyError['fault']) =>
  (error: unknown): boolean =>
    error instanceof DataKeyError && error.fault === fault

test('each account gets one key, asked for once', async (t) => {
  const store = new MemoryDataKeyStore()
  const keys = new DataKeys(store, await new KeyFile(t).open())
  assert.equal((await keys.find([1, 2])).size, 0, 'reading makes none')
  assert.equal(store.rows.size, 0)
  store.asked.length = 0
  const made = await keys.ensure([1, 2, 1, 2])
  assert.deepEqual([...made.keys()], [1, 2])
  assert.equal(made.get(1)?.symmetricKeySize, 32)
  assert.notDeepEqual(made.get(1), made.get(2))
  assert.deepEqual(store.asked, [
    [1, 2],
    [1, 2],
  ])
  assert.deepEqual(await keys.ensure([2, 1, 3]), new Map([...made, ...(await keys.find([3]))]))
  assert.deepEqual(store.asked.slice(2), [[3], [3]], 'one query for all that are missing')
  for (const { wrapped } of store.rows.values()) assert.equal(wrapped.length, 61)
})

test('of two nodes that make a key at the same time, the store takes one', async (t) => {
  const store = new MemoryDataKeyStore()
  const file = new KeyFile(t)
  const nodes = await Promise.all([1, 2].map(async () => new DataKeys(store, await file.open())))
  const [one, other] = await Promise.all(nodes.map((keys) => keys.ensure([1, 2, 3])))
  assert.deepEqual(one, other)
  assert.equal(one?.size, 3)
})

test('more accounts than are held in memory', async (t) => {
  const store = new MemoryDataKeyStore()
  const keys = new DataKeys(store, await new KeyFile(t).open())
  const accounts = Array.from({ length: 10_050 }, (_, i) => i + 1)
  const made = await keys.ensure(accounts)
  assert.equal(made.size, accounts.length, 'also those that had to leave meanwhile')
  store.asked.length = 0
  assert.deepEqual((await keys.find([1, 10_050])).get(1), made.get(1))
  assert.deepEqual(store.asked, [[1]])
})

test('rotation: bounded steps, the same data keys, the old line no longer needed', async (t) => {
  const store = new MemoryDataKeyStore()
  const [first, second] = [keyLine(), keyLine()]
  const file = new KeyFile(t, [first])
  const operator = await file.open()
  const keys = new DataKeys(store, operator)
  const accounts = Array.from({ length: 450 }, (_, i) => i + 1)
  const made = await keys.ensure(accounts)
  const old = operator.current.id
  file.write([second, first])
  const steps: number[] = []
  for (let after: number | undefined = 0; after !== undefined; ) {
    const step = await keys.rewrap(after)
    steps.push(step.rewrapped)
    assert.equal(step.left, 0)
    assert.equal(step.operatorKey, operator.current.id)
    after = step.last
  }
  assert.deepEqual(steps, [200, 200, 50])
  assert.deepEqual(await store.operatorKeys(), [operator.current.id])
  assert.notEqual(operator.current.id, old)
  assert.deepEqual(await keys.rewrap(0), { operatorKey: operator.current.id, rewrapped: 0, left: 0, last: undefined })
  file.write([second])
  const later = new DataKeys(store, await file.open())
  assert.deepEqual(await later.find(accounts), made)
})

test('a rotation passes over what no line unwraps', async (t) => {
  const store = new MemoryDataKeyStore()
  const lost = new KeyFile(t)
  await new DataKeys(store, await lost.open()).ensure([1])
  const file = new KeyFile(t)
  await new DataKeys(store, await file.open()).ensure([2])
  const third = new KeyFile(t, [keyLine()])
  const line = keyLine()
  third.write([line])
  const keys = new DataKeys(store, await third.open())
  const step = await keys.rewrap(0)
  assert.equal(step.left, 2)
  assert.equal(step.rewrapped, 0)
})

test('a node finds a line that came after its start', async (t) => {
  const store = new MemoryDataKeyStore()
  const [first, second] = [keyLine(), keyLine()]
  const file = new KeyFile(t, [first])
  const early = new DataKeys(store, await file.open())
  file.write([second, first])
  const made = await new DataKeys(store, await file.open()).ensure([1])
  assert.deepEqual(await early.find([1]), made)
})

test('a key under a lost operator key, and one that was changed or moved, say so', async (t) => {
  const store = new MemoryDataKeyStore()
  const file = new KeyFile(t)
  const operator = await file.open()
  const keys = new DataKeys(store, operator)
  await keys.ensure([1, 2])
  const other = await new KeyFile(t).open()
  const elsewhere = new DataKeys(store, other)
  await assert.rejects(elsewhere.find([1]), failing('unknown-operator-key'))
  await assert.rejects(elsewhere.ensure([1]), failing('unknown-operator-key'), 'it makes no second key')
  const [one, two] = [store.rows.get(1), store.rows.get(2)]
  assert.ok(one && two)
  store.rows.set(1, { ...two, account: 1 })
  const fresh = new DataKeys(store, operator)
  await assert.rejects(fresh.find([1]), failing('damaged'))
  store.rows.set(1, { ...one, wrapped: one.wrapped.with(30, (one.wrapped[30] ?? 0) ^ 1) })
  await assert.rejects(fresh.ensure([1]), failing('damaged'))
  assert.equal((await fresh.ensure([2])).size, 1, 'others are not concerned')
  assert.deepEqual(await lackingKeys(store, other), [operator.current.id])
  assert.deepEqual(await lackingKeys(store, operator), [])
  assert.deepEqual(await lackingKeys(store, undefined), [operator.current.id])
  assert.match(
    lackingText([operator.current.id], '/keys'),
    /^inbox.encryption.key_file: \/keys lacks the key [0-9a-f]{16},/,
  )
  assert.match(lackingText(['a', 'b'], undefined), /sealed under the keys a, b, and no key_file is configured/)
})

test('after a reload nothing is held that the old lines had unwrapped', async (t) => {
  const store = new MemoryDataKeyStore()
  const file = new KeyFile(t)
  const keys = new DataKeys(store, await file.open())
  await keys.ensure([1])
  file.write([keyLine()])
  await keys.reload()
  await assert.rejects(keys.find([1]), failing('unknown-operator-key'))
})
