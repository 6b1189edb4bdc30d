import assert from 'node:assert/strict'
import test from 'node:test'
import { planBatch } from '../../../src/storage/batch-plan.ts'
import { commitBatch } from '../../../src/storage/postgres/commit-batch.ts'
import { type Sql, StoreError } from '../../../src/storage/sql.ts'
import { batch, entry, takesOf } from '../../helpers/store-samples.ts'

/** Commits, and answers takes that need a look at the entries with a fault. */
const answering = (fault: StoreError['fault']): Sql => ({
  dialect: 'postgres',
  query: <R>(text: string) => {
    if (text.includes('update log')) return Promise.reject(new StoreError(fault, new Error('no')))
    return Promise.resolve([{ logs: '1:20:10:5', gapped: null, lingering: null }] as R[])
  },
})
const both = planBatch(batch([entry(1, 'a')], [takesOf(1, [10])]), 0)
const takes = planBatch(batch([], [takesOf(1, [10])]), 0)

test('a batch whose entries are committed is not refused for its takes, which is told: halved, they would come twice', async () => {
  const told: unknown[] = []
  const logs = await commitBatch(answering('refused'), both, (error) => told.push(error))
  assert.equal(logs.get(1)?.head, 20)
  assert.equal(told.length, 1)
  assert.ok(told[0] instanceof StoreError)
})

test('takes alone are refused, and without an answer both come again', async () => {
  await assert.rejects(commitBatch(answering('refused'), takes), { fault: 'refused' })
  await assert.rejects(commitBatch(answering('unavailable'), both), { fault: 'unavailable' })
})
