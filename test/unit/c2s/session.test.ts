import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import type { SessionParts } from '../../../src/c2s/parts.ts'
import { ClientSession } from '../../../src/c2s/session.ts'
import type { Stream } from '../../../src/stream/stream.ts'
import type { FullJid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT, NS_SM } from '../../../src/xmpp/ns.ts'
import type { RawElement } from '../../../src/xmpp/tokenizer.ts'

const IDLE_MS = 600_000
const ANSWER_MS = 60_000
const heard = (name: string, ns: string): RawElement => ({ token: 'element', name, ns, id: undefined }) as RawElement

/** A stream by hand: its clock, and what was sent; woken when it is due. */
class Wire {
  time = 1_000_000
  due = Number.POSITIVE_INFINITY
  woken = 0
  sent: string[] = []
  closed: string | undefined
  #isTouched = false
  readonly ip = '192.0.2.1'
  readonly connection = {
    isSlow: false,
    takenBytes: 0,
    touch: () => {
      this.#isTouched = true
    },
  }
  now = (): number => this.time
  wake = (ms: number): void => {
    this.due = this.time + ms
  }
  send = (bytes: Buffer | string): void => void this.sent.push(`${bytes}`)
  close = (error: { readonly condition: string }): void => {
    this.closed = error.condition
  }

  /** Lets time pass up to there, with what is due in it. */
  passes(ms: number): void {
    const end = this.time + ms
    for (;;) {
      if (this.#isTouched) {
        this.#isTouched = false
        session.turn()
      }
      if (this.due > end) break
      this.time = this.due
      this.due = Number.POSITIVE_INFINITY
      this.woken++
      session.elapsed(this.time)
    }
    this.time = end
  }
}

let wire: Wire
let session: ClientSession
beforeEach(() => {
  wire = new Wire()
  const parts = {
    node: 'n1',
    limits: { idleMs: IDLE_MS, answerMs: ANSWER_MS, resumeMs: 300_000, unacknowledged: 100, unacknowledgedBytes: 1e6 },
    registry: { put: () => undefined },
    line: { fromClient: () => 'pending' },
  } as unknown as SessionParts
  session = new ClientSession(parts, wire as unknown as Stream, 'juliet@example.org/phone' as FullJid, 1)
  session.enable({})
})

test('a client that is silent for long is asked whether it is there, and gone when it does not answer', () => {
  session.element(heard('message', NS_CLIENT))
  wire.passes(2 * IDLE_MS - 1)
  assert.deepEqual(wire.sent, [])
  wire.passes(1)
  assert.deepEqual(wire.sent, [`<r xmlns='${NS_SM}'/>`])
  wire.passes(ANSWER_MS - 1)
  assert.equal(wire.closed, undefined)
  wire.passes(1)
  assert.equal(wire.closed, 'connection-timeout')
})

test('a client that is slow is not gone as long as it takes something, since its answer is not read meanwhile', () => {
  const { connection } = wire
  connection.isSlow = true
  wire.passes(2 * IDLE_MS)
  assert.deepEqual(wire.sent, [`<r xmlns='${NS_SM}'/>`])
  for (let i = 0; i < 10; i++) {
    wire.passes(ANSWER_MS - 1)
    connection.takenBytes += 1
    wire.passes(1)
    assert.equal(wire.closed, undefined)
  }
  wire.passes(ANSWER_MS - 1)
  assert.equal(wire.closed, undefined)
  wire.passes(1)
  assert.equal(wire.closed, 'connection-timeout')
})

test('what a client took that is not slow is no answer', () => {
  wire.passes(2 * IDLE_MS)
  wire.connection.takenBytes += 1
  wire.passes(ANSWER_MS)
  assert.equal(wire.closed, 'connection-timeout')
})

test('a session that is woken early, for an answer that it owes, does not ask any sooner', () => {
  session.element(heard('message', NS_CLIENT))
  session.element(heard('r', NS_SM))
  // What is not settled is told in part a moment later, for which the session is woken.
  wire.passes(1_000)
  assert.deepEqual([wire.woken, wire.sent], [1, [`<a xmlns='${NS_SM}' h='0'/>`]])
  session.settled(1)
  wire.passes(0)
  assert.deepEqual(wire.sent.splice(0).slice(1), [`<a xmlns='${NS_SM}' h='1'/>`])
  // And so on, for whatever else may wake it, while the client has nothing to say.
  for (const period of ['first', 'second']) {
    for (let i = 0; i < 5; i++) {
      wire.passes(1_000)
      session.elapsed(wire.time)
    }
    assert.deepEqual(wire.sent, [], period)
    wire.passes(IDLE_MS)
    session.element(heard('message', NS_CLIENT))
  }
  assert.deepEqual(wire.sent, [])
  wire.passes(2 * IDLE_MS)
  assert.deepEqual(wire.sent, [`<r xmlns='${NS_SM}'/>`])
})
