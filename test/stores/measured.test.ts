import assert from 'node:assert/strict'
import test from 'node:test'
import { Registry } from 'prom-client'
import { measured, storeHistogram } from '../../src/storage/measured.ts'
import { StoreError } from '../../src/storage/sql.ts'

class Example {
  readonly #answer = 42
  answer(): Promise<number> {
    return Promise.resolve(this.#answer)
  }
  notSettled(error: Error): Promise<never> {
    return Promise.reject(error)
  }
}

test('each call is counted by store, operation and outcome, and passes through', async () => {
  const registry = new Registry()
  const store = measured(new Example(), 'example', storeHistogram(registry))
  assert.equal(await store.answer(), 42)
  assert.equal(await store.answer(), 42)
  for (const error of [
    new StoreError('unavailable', undefined),
    new StoreError('refused', undefined),
    new Error('full'),
  ]) {
    await assert.rejects(store.notSettled(error), error)
  }
  const page = await registry.metrics()
  const counts = page.split('\n').filter((line) => line.startsWith('fernruf_store_seconds_count'))
  assert.deepEqual(counts, [
    'fernruf_store_seconds_count{store="example",operation="answer",outcome="ok"} 2',
    'fernruf_store_seconds_count{store="example",operation="not_settled",outcome="unavailable"} 1',
    'fernruf_store_seconds_count{store="example",operation="not_settled",outcome="refused"} 1',
    'fernruf_store_seconds_count{store="example",operation="not_settled",outcome="rejected"} 1',
  ])
})
