import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { countOnWire } from '../../../src/stream/ack-queue.ts'
import { SettledPrefix } from '../../../src/stream/progress.ts'

describe('SettledPrefix', () => {
  test('what is settled at once counts at once', () => {
    const progress = new SettledPrefix()
    assert.equal(progress.settledTo, 0)
    assert.equal(progress.next(), 1)
    assert.equal(progress.next(), 2)
    assert.equal(progress.settledTo, 2)
    assert.equal(progress.received, 2)
  })

  test('what is pending holds up what comes after it, however that was settled', () => {
    const progress = new SettledPrefix()
    for (let i = 1; i <= 4; i++) progress.next()
    progress.pending(2)
    progress.pending(4)
    assert.equal(progress.settledTo, 1)
    assert.equal(progress.open, 2)
    assert.equal(progress.settle(4), false)
    assert.equal(progress.settledTo, 1)
    assert.equal(progress.settle(2), true)
    assert.equal(progress.settledTo, 4)
    assert.equal(progress.open, 0)
  })

  test('a second word about the same stanza changes nothing', () => {
    const progress = new SettledPrefix()
    for (let i = 1; i <= 3; i++) progress.pending(progress.next())
    assert.equal(progress.settle(1), true)
    assert.equal(progress.settle(1), false)
    assert.equal(progress.settle(3), false)
    assert.equal(progress.settle(3), false)
    assert.equal(progress.settledTo, 1)
    assert.equal(progress.settle(2), true)
    assert.equal(progress.settledTo, 3)
  })

  test('a stanza may be settled before it is known to be pending', () => {
    const progress = new SettledPrefix()
    progress.pending(progress.next())
    progress.next()
    assert.equal(progress.settle(2), false)
    progress.pending(2)
    assert.equal(progress.open, 1)
    assert.equal(progress.settle(1), true)
    assert.equal(progress.settledTo, 2)
  })

  test('numbers go on beyond 2³², and `h` wraps there', () => {
    const progress = new SettledPrefix(2 ** 32 - 2)
    const numbers = Array.from({ length: 4 }, () => progress.next())
    assert.deepEqual(numbers, [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 32 + 2])
    for (const number of numbers) progress.pending(number)
    const told = () => countOnWire(progress.settledTo)
    assert.equal(told(), 2 ** 32 - 2)
    progress.settle(2 ** 32 + 1)
    progress.settle(2 ** 32 - 1)
    assert.equal(told(), 2 ** 32 - 1)
    assert.equal(progress.settle(2 ** 32), true)
    assert.equal(told(), 1)
    progress.settle(2 ** 32 + 2)
    assert.equal(told(), 2)
  })

  test('what is in parts is settled when each part is, once each, and every part counts as open', () => {
    const progress = new SettledPrefix()
    const whole = progress.next()
    const parts = progress.split(whole, 3)
    assert.equal(new Set(parts).size, 3)
    assert.ok(parts.every((part) => part < 0))
    const [first, second, third] = parts as [number, number, number]
    progress.pending(whole)
    const next = progress.next()
    const more = progress.split(next, 2)
    progress.pending(next)
    assert.equal(progress.open, 7)
    assert.equal(progress.settle(second), false)
    assert.equal(progress.settle(second), false)
    assert.equal(progress.settle(third), false)
    for (const part of more) progress.settle(part)
    assert.equal(progress.settledTo, 0)
    assert.equal(progress.settle(first), true)
    assert.equal(progress.settledTo, 2)
    assert.equal(progress.open, 0)
  })
  test('parts that are settled before their stanza is known to be pending', () => {
    const progress = new SettledPrefix()
    const whole = progress.next()
    for (const part of progress.split(whole, 2)) progress.settle(part)
    progress.pending(whole)
    assert.equal(progress.settledTo, 1)
    assert.equal(progress.open, 0)
  })

  test('against a set of open numbers, in any order', () => {
    const step = fc.record({
      arrive: fc.array(fc.boolean(), { maxLength: 300 }),
      settle: fc.array(fc.nat(10_000), { maxLength: 300 }),
    })
    fc.assert(
      fc.property(fc.constantFrom(0, 2 ** 32 - 100), fc.array(step, { maxLength: 8 }), (start, steps) => {
        const progress = new SettledPrefix(start)
        const open = new Set<number>()
        let received = start
        const expected = () => (open.size === 0 ? received : Math.min(...open) - 1)
        for (const { arrive, settle } of steps) {
          for (const isPending of arrive) {
            const number = progress.next()
            assert.equal(number, ++received)
            if (!isPending) continue
            progress.pending(number)
            open.add(number)
          }
          for (const choice of settle) {
            const number = [...open][choice % Math.max(1, open.size)]
            if (number === undefined) continue
            const before = expected()
            open.delete(number)
            assert.equal(progress.settle(number), expected() !== before)
            assert.equal(progress.settledTo, expected())
          }
        }
        for (const number of [...open].reverse()) progress.settle(number)
        assert.equal(progress.settledTo, received)
        assert.equal(progress.open, 0)
      }),
      { numRuns: 50 },
    )
  })
})
