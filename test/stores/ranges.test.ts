import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { join, type Range, rangesOf, subtract } from '../../src/storage/ranges.ts'

const numbers = fc.array(fc.nat(40))
const membersOf = (ranges: readonly Range[]) =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
const sorted = (set: ReadonlySet<number>) => [...set].toSorted((a, b) => a - b)

test('ranges hold exactly the numbers they were made of', () => {
  fc.assert(
    fc.property(numbers, (some) => {
      assert.deepEqual(membersOf(rangesOf(some)), sorted(new Set(some)))
    }),
  )
})

test('joined and subtracted ranges are those of the sets', () => {
  fc.assert(
    fc.property(numbers, numbers, (some, others) => {
      const [a, b] = [rangesOf(some), rangesOf(others)]
      assert.deepEqual(join([...a, ...b]), rangesOf([...some, ...others]))
      assert.deepEqual(subtract(a, b), rangesOf(some.filter((n) => !others.includes(n))))
    }),
  )
})
