import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RateLimit } from '../../../src/util/rate-limit.ts'

describe('RateLimit', () => {
  let now = 0
  const limit = () => new RateLimit({ count: 3, perMs: 3_000 }, () => now)
  const spend = (rate: RateLimit, key: string, times: number) => {
    for (let i = 0; i < times; i++) rate.spend(key)
  }

  test('as many at once as it says, then none', () => {
    const rate = limit()
    for (let i = 0; i < 3; i++) {
      assert.equal(rate.has('a'), true)
      rate.spend('a')
    }
    assert.equal(rate.has('a'), false)
    assert.equal(rate.has('b'), true)
  })
  test('asking costs nothing', () => {
    const rate = limit()
    for (let i = 0; i < 10; i++) assert.equal(rate.has('a'), true)
  })
  test('fills evenly, and not over the brim', () => {
    const rate = limit()
    spend(rate, 'a', 3)
    now += 999
    assert.equal(rate.has('a'), false)
    now += 1
    assert.equal(rate.has('a'), true)
    rate.spend('a')
    assert.equal(rate.has('a'), false)
    now += 3_600_000
    spend(rate, 'a', 3)
    assert.equal(rate.has('a'), false)
  })
  test('parts of a token add up, however often one asks', () => {
    const rate = limit()
    spend(rate, 'a', 3)
    for (let i = 0; i < 4; i++) {
      assert.equal(rate.has('a'), false)
      now += 250
    }
    assert.equal(rate.has('a'), true)
  })
  test('spending more than there is leaves no debt', () => {
    const rate = limit()
    spend(rate, 'a', 10)
    now += 1_000
    assert.equal(rate.has('a'), true)
  })
  test('only so many keys are remembered, the used ones longest', () => {
    const rate = limit()
    spend(rate, 'rare', 3)
    spend(rate, 'often', 3)
    for (let i = 0; i < 49_999; i++) {
      rate.spend(`${i}`)
      if (i % 1_000 === 0) assert.equal(rate.has('often'), false)
    }
    assert.equal(rate.has('often'), false)
    assert.equal(rate.has('rare'), true)
  })
})
