import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OwedAnswer } from '../../../src/c2s/owed-answer.ts'

function asked(received: number, now: number): OwedAnswer {
  const owed = new OwedAnswer()
  owed.ask(received, now)
  return owed
}

describe('OwedAnswer', () => {
  it('is due at once when all is settled, and then no more', () => {
    const owed = asked(3, 1_000)
    assert.equal(owed.waitMs(3, 1_000), 0)
    owed.told(3)
    assert.equal(owed.isOpen, false)
    assert.equal(owed.waitMs(5, 9_000), Number.POSITIVE_INFINITY)
  })
  it('waits a moment for what is not settled, then tells a part, and the rest as it comes', () => {
    const owed = asked(3, 1_000)
    assert.equal(owed.waitMs(1, 1_000), 100)
    assert.equal(owed.waitMs(2, 1_060), 40)
    assert.equal(owed.waitMs(2, 1_100), 0)
    owed.told(2)
    assert.equal(owed.waitMs(2, 5_000), Number.POSITIVE_INFINITY, 'no news')
    assert.equal(owed.waitMs(3, 5_000), 0)
    owed.told(3)
    assert.equal(owed.isOpen, false)
  })
  it('waits from the first question on when another one follows', () => {
    const owed = asked(3, 1_000)
    owed.ask(4, 1_080)
    assert.equal(owed.waitMs(3, 1_080), 20)
    assert.equal(owed.waitMs(3, 1_100), 0)
    owed.told(3)
    owed.ask(4, 1_200)
    assert.equal(owed.waitMs(3, 1_200), 0, 'each question gets an answer')
  })
  it('is forgotten with its stream', () => {
    const owed = asked(3, 1_000)
    owed.forget()
    assert.equal(owed.isOpen, false)
    assert.equal(owed.waitMs(3, 1_000), Number.POSITIVE_INFINITY)
    owed.ask(5, 2_000)
    assert.equal(owed.waitMs(4, 2_000), 100)
  })
})
