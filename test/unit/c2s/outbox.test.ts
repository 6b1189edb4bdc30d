import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { Outbox, type Sent } from '../../../src/c2s/outbox.ts'
import type { Stream } from '../../../src/stream/stream.ts'
import { el } from '../../../src/xmpp/element.ts'
import type { FullJid, Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'
import type { RawElement } from '../../../src/xmpp/tokenizer.ts'

const PHONE = 'juliet@example.org/phone' as FullJid
const ROMEO = 'romeo@example.org/orchard' as Jid
const message = (id: string, size = 1): Stanza =>
  Stanza.of({ kind: 'message', type: 'chat', id, from: ROMEO, to: PHONE }, el('body', NS_CLIENT, {}, 'x'.repeat(size)))
const size = (...stanzas: readonly Stanza[]): number => stanzas.reduce((sum, s) => sum + s.content.length, 0)
const log = (id: number) => ({ id, isArchived: false })

let outbox: Outbox
let taken: string[]
let written: string[]
let now: number
let wire: Stream
beforeEach(() => {
  taken = []
  written = []
  now = 10_000
  outbox = new Outbox(
    PHONE,
    () => now,
    ({ stanza }: Sent) => void taken.push(`${stanza.id}`),
  )
  wire = {
    now: () => now,
    send: (bytes: Uint8Array | string) => void written.push(bytes.toString()),
  } as unknown as Stream
})
const ask = (): string => {
  outbox.ask(wire, 60_000, () => undefined)
  return written.at(-1) ?? ''
}
const answer = (ping: string): RawElement =>
  ({ name: 'iq', type: 'result', id: /id=['"]([^'"]*)/.exec(ping)?.[1] }) as unknown as RawElement

describe('an <a/> that covers less than was asked about', () => {
  const asksIn = (ms: number): boolean => {
    written = []
    now += ms
    ask()
    return written.length > 0
  }
  beforeEach(() => {
    outbox.add(message('early'), log(1))
    outbox.count(now)
    now += 1_000
    outbox.add(message('a'), log(2))
    assert.match(ask(), /^<r /)
  })
  test('crossed the question, whose answer is still to come', () => {
    outbox.acknowledge(0)
    assert.deepEqual(taken, [], 'it says nothing of what was sent before counting began')
    outbox.acknowledge(1)
    assert.deepEqual(taken, ['a', 'early'])
    assert.equal(asksIn(60_000), false)
    outbox.add(message('b'), log(3))
    assert.equal(asksIn(0), true)
  })
  test('is followed by another question, and somebody who has gone is noticed', () => {
    outbox.acknowledge(0)
    assert.equal(asksIn(4_999), false)
    outbox.add(message('b'), log(3))
    assert.equal(asksIn(0), false)
    assert.equal(asksIn(1), true)
    assert.equal(outbox.askedAt, now)
    // Behind, and alive.
    outbox.acknowledge(1)
    assert.equal(outbox.askedAt, 0)
    assert.equal(asksIn(4_999), false)
    outbox.acknowledge(2)
    assert.equal(asksIn(60_000), false)
    assert.deepEqual(taken, ['a', 'b', 'early'])
  })
  test('is nothing to a stream that goes on elsewhere', () => {
    outbox.acknowledge(0)
    outbox.detach()
    outbox.resume(0)
    outbox.resend(wire)
    assert.equal(asksIn(0), true)
  })
})

describe('bytes', () => {
  test('count what is kept here, with stream management all of it', () => {
    const [a, b, c] = [message('a', 10), message('b', 200), message('c', 3_000)]
    outbox.add(a, undefined)
    assert.deepEqual([outbox.length, outbox.bytes], [0, 0], 'without it only entries are kept')
    outbox.count(now)
    outbox.add(a, undefined)
    outbox.add(b, log(1))
    outbox.add(c, undefined)
    assert.deepEqual([outbox.length, outbox.bytes], [3, size(a, b, c)])
    outbox.acknowledge(1)
    assert.equal(outbox.bytes, size(b, c))
    outbox.acknowledge(1)
    assert.equal(outbox.bytes, size(b, c))
    outbox.resume(2)
    assert.equal(outbox.bytes, size(c))
    outbox.resend(wire)
    assert.deepEqual(written, [c.bytes.toString()])
    assert.equal(outbox.bytes, size(c))
    outbox.acknowledge(3)
    assert.deepEqual([outbox.length, outbox.bytes], [0, 0])
    assert.deepEqual(taken, ['a', 'b', 'c'])
  })
  test('of entries that were confirmed by a ping are free again', () => {
    const [a, b] = [message('a', 100), message('b', 50)]
    outbox.add(a, log(1))
    const ping = ask()
    assert.match(ping, /urn:xmpp:ping/)
    outbox.add(b, log(2))
    assert.equal(outbox.bytes, size(a, b))
    assert.equal(outbox.answers(answer(ping)), true)
    assert.equal(outbox.bytes, size(b))
    assert.deepEqual(taken, ['a'])
  })
  test('that are many, or of many entries, have the next ping sent at once', () => {
    const isAnswered = (): void => {
      assert.equal(outbox.answers(answer(ask())), true)
      assert.equal(outbox.length, 0)
      written = []
    }
    outbox.add(message('a'), log(1))
    isAnswered()
    for (let i = 0; i < 249; i++) outbox.add(message(`b${i}`), log(i))
    assert.equal(ask(), '', 'five seconds have not passed')
    outbox.add(message('c'), log(300))
    isAnswered()
    outbox.add(message('d', 1024 * 1024 - 100), log(301))
    assert.equal(ask(), '')
    outbox.add(message('e', 100), log(302))
    isAnswered()
    outbox.add(message('f'), log(303))
    assert.equal(ask(), '')
    now += 5_000
    isAnswered()
  })
  test('of what was sent before counting began count until the first answer, or the loss of the stream', () => {
    const [a, b] = [message('a', 100), message('b', 50)]
    for (const isLost of [false, true]) {
      outbox = new Outbox(
        PHONE,
        () => now,
        ({ stanza }) => void taken.push(`${stanza.id}`),
      )
      outbox.add(a, log(1))
      outbox.count(now)
      outbox.add(b, log(2))
      assert.equal(outbox.has(1), true)
      assert.equal(outbox.bytes, size(a, b))
      if (isLost) {
        assert.deepEqual(
          outbox.detach().map(({ stanza }) => stanza.id),
          ['a'],
        )
        assert.equal(outbox.bytes, size(b))
        outbox.resume(1)
      } else {
        now += 250
        assert.match(ask(), /^<r /)
        outbox.acknowledge(1)
      }
      assert.deepEqual([outbox.length, outbox.bytes], [0, 0])
    }
    assert.deepEqual(taken, ['b', 'a', 'b'])
  })
})

describe('entries', () => {
  test('the oldest is known, and how long it has been waited for since it is the oldest', () => {
    assert.deepEqual([outbox.oldestId, outbox.entryWaitsMs(now)], [undefined, 0])
    outbox.count(now)
    outbox.add(message('a'), undefined)
    outbox.add(message('b'), log(7))
    now += 100
    outbox.add(message('c'), log(5))
    assert.deepEqual([outbox.oldestId, outbox.entryWaitsMs(now)], [5, 100])
    now += 100
    outbox.acknowledge(1)
    assert.equal(outbox.entryWaitsMs(now), 200)
    outbox.acknowledge(2)
    assert.deepEqual([outbox.oldestId, outbox.entryWaitsMs(now)], [5, 0])
    now += 50
    assert.equal(outbox.entryWaitsMs(now), 50)
    outbox.acknowledge(3)
    assert.deepEqual([outbox.oldestId, outbox.entryWaitsMs(now)], [undefined, 0])
  })
  test("that became somebody else's are not sent again, nor counted, nor taken; the rest stays", () => {
    const [a, b, c] = [message('a', 10), message('b', 20), message('c', 30)]
    outbox.count(now)
    outbox.add(a, undefined)
    outbox.add(b, log(1))
    outbox.add(c, undefined)
    const result = message('d', 40)
    outbox.add(result, { id: 2, isArchived: true, isResult: true })
    outbox.dropEntries()
    assert.deepEqual([outbox.oldestId, outbox.bytes, outbox.has(1)], [2, size(a, c, result), false])
    outbox.resend(wire)
    assert.deepEqual(
      written,
      [a, c, result].map((stanza) => stanza.bytes.toString()),
      'what it asked for, it gets',
    )
  })
})
