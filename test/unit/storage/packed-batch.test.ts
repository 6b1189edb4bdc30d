import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { PlannedBatch } from '../../../src/storage/batch-plan.ts'
import { pack, unpack } from '../../../src/storage/sqlite/packed-batch.ts'

const number = fc.maxSafeNat()
const ranges = fc.array(fc.tuple(number, number), { maxLength: 4 })
const batch: fc.Arbitrary<PlannedBatch> = fc.record({
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  at: number,
  first: number,
  logs: fc.array(
    fc.record({
      account: number,
      count: number,
      lead: number,
      tail: fc.integer({ min: -1, max: 9 }),
      from: number,
      to: number,
      taken: ranges,
      lingers: fc.boolean(),
    }),
    { maxLength: 4 },
  ),
  entries: fc.array(
    fc.record({
      account: number,
      back: number,
      contact: fc.integer(),
      message: fc.option(fc.integer(), { nil: null }),
      at: number,
      direction: fc.constantFrom('sent' as const, 'received' as const),
      archived: fc.boolean(),
      wanted: fc.boolean(),
      peer: fc.string({ unit: 'grapheme' }),
      start: number,
      size: number,
    }),
    { maxLength: 4 },
  ),
  payloads: fc.uint8Array({ maxLength: 40 }),
  retractions: fc.array(fc.record({ account: number, back: number, wish: fc.string({ unit: 'grapheme' }) }), {
    maxLength: 4,
  }),
  marks: fc.array(fc.record({ stream: fc.string(), covered: ranges }), { maxLength: 4 }),
})

test('a batch comes out as it went in', () => {
  fc.assert(fc.property(batch, (planned) => assert.deepEqual(unpack(pack(planned)), structuredClone(planned))))
})
