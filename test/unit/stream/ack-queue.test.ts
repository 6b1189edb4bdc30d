import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { AckQueue, countOnWire, readCount } from '../../../src/stream/ack-queue.ts'
import { StreamError } from '../../../src/xmpp/stream-error.ts'

/** What an acknowledgement takes. */
function taken(queue: AckQueue<number>, h: number): number[] {
  const items: number[] = []
  queue.acknowledge(h, (item) => items.push(item))
  return items
}
function filled(count: number): AckQueue<number> {
  const queue = new AckQueue<number>()
  for (let i = 1; i <= count; i++) queue.push(i)
  return queue
}
const isTooHigh = (h: string, sent: string) => (error: unknown) =>
  error instanceof StreamError &&
  error.condition === 'undefined-condition' &&
  error.app?.name === 'handled-count-too-high' &&
  error.app.ns === 'urn:xmpp:sm:3' &&
  error.app.attrs.h === h &&
  error.app.attrs['send-count'] === sent

describe('AckQueue', () => {
  test('takes each item once, in order', () => {
    const queue = filled(5)
    assert.deepEqual(taken(queue, 0), [])
    assert.deepEqual(taken(queue, 2), [1, 2])
    assert.deepEqual(taken(queue, 2), [])
    assert.deepEqual([...queue], [3, 4, 5])
    assert.equal(queue.length, 3)
    assert.equal(queue.sent, 5)
    assert.deepEqual(taken(queue, 5), [3, 4, 5])
    assert.equal(queue.length, 0)
    assert.equal(queue.sent, 5)
  })

  test('more than was sent is an error that says how many were (XEP-0198 §4), and takes nothing', () => {
    const queue = filled(3)
    taken(queue, 1)
    assert.throws(() => taken(queue, 4), isTooHigh('4', '3'))
    assert.deepEqual([...queue], [2, 3])
    assert.throws(() => taken(new AckQueue(), 1), isTooHigh('1', '0'))
  })

  test('less than was acknowledged before is too high as well: counts only wrap', () => {
    const queue = filled(3)
    taken(queue, 2)
    assert.throws(() => taken(queue, 1), isTooHigh('1', '3'))
  })

  test('begins anew, at zero', () => {
    const queue = filled(3)
    taken(queue, 1)
    queue.clear()
    assert.equal(queue.length, 0)
    assert.equal(queue.sent, 0)
    queue.push(9)
    assert.deepEqual(taken(queue, 1), [9])
  })

  test('counts wrap at 2³² (XEP-0198 §4)', () => {
    const queue = new AckQueue<number>(2 ** 32 - 3)
    for (let i = 1; i <= 6; i++) queue.push(i)
    assert.equal(queue.sent, 3)
    assert.deepEqual(taken(queue, 2 ** 32 - 3), [])
    assert.deepEqual(taken(queue, 2 ** 32 - 1), [1, 2])
    assert.deepEqual(taken(queue, 0), [3])
    assert.throws(() => taken(queue, 4), isTooHigh('4', '3'))
    assert.throws(() => taken(queue, 2 ** 32 - 1), isTooHigh('4294967295', '3'))
    assert.deepEqual(taken(queue, 3), [4, 5, 6])
    assert.equal(queue.sent, 3)
    queue.push(7)
    assert.deepEqual(taken(queue, 4), [7])
  })

  test('a count on the wire has 32 bits', () => {
    for (const [count, told] of [
      [0, 0],
      [2 ** 32 - 1, 2 ** 32 - 1],
      [2 ** 32, 0],
      [2 ** 33 + 5, 5],
    ] as const)
      assert.equal(countOnWire(count), told)
  })

  test('what is taken may be answered with another item', () => {
    const queue = filled(2)
    queue.acknowledge(2, (item) => queue.push(item + 10))
    assert.deepEqual([...queue], [11, 12])
    assert.equal(queue.sent, 4)
  })

  test('against a plain list, over many thousand items', () => {
    const step = fc.record({ push: fc.nat(2_000), ack: fc.nat(2_000) })
    const start = fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32 - 2_000)
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 10 }), (start, steps) => {
        const queue = new AckQueue<number>(start)
        let open: number[] = []
        let sent = start
        for (const { push, ack } of steps) {
          for (let i = 0; i < push; i++) {
            queue.push(++sent)
            open.push(sent)
          }
          const count = Math.min(ack, open.length)
          assert.deepEqual(taken(queue, (sent - open.length + count) % 2 ** 32), open.slice(0, count))
          open = open.slice(count)
          assert.equal(queue.length, open.length)
          assert.equal(queue.sent, sent % 2 ** 32)
          const acked = sent - open.length
          assert.equal(queue.covers(acked % 2 ** 32), true)
          if (open.length > 0) assert.equal(queue.covers((acked + 1) % 2 ** 32), false)
        }
        assert.deepEqual([...queue], open)
      }),
      { numRuns: 50 },
    )
  })
})

test('h is an unsigned 32-bit integer (XEP-0198)', () => {
  for (const [text, count] of [
    ['0', 0],
    ['007', 7],
    ['4294967295', 4_294_967_295],
  ] as const)
    assert.equal(readCount(text), count)
  for (const text of [undefined, '', '-1', '+1', '1.0', '1e3', ' 1', '0x1', '4294967296', '99999999999', '١'])
    assert.equal(readCount(text), undefined, text)
})
