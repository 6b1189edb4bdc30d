import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import type { Bus } from '../../../src/presence/bus.ts'
import { Flushes } from '../../../src/router/flushes.ts'
import { type Frame, Relay } from '../../../src/router/relay.ts'

/** What was sent, by node; frames are read as another node would. */
let sent: { readonly node: string; readonly frame: Frame }[]
let flushes: Flushes
beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] })
  sent = []
  let receive: (bytes: Uint8Array) => void = () => undefined
  let node = ''
  const bus: Bus = {
    node: 'here',
    send: (to, bytes) => {
      node = to
      receive(bytes)
    },
    publish: () => undefined,
    listen: (listener) => {
      receive = listener
    },
    close: () => undefined,
  }
  const relay = new Relay(bus, (frame) => void sent.push({ node, frame }))
  flushes = new Flushes(() => relay)
})
afterEach(() => mock.timers.reset())

/** Whether it has settled once all that waits for nothing has gone on. */
async function isSettled(work: Promise<void>): Promise<boolean> {
  let is = false
  void work.then(() => {
    is = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return is
}
const askOf = (index: number): number => {
  const frame = sent[index]?.frame
  if (frame?.frame !== 'flush') throw new Error('no flush was asked for')
  return frame.ask
}

test('settles when all have answered, in whichever order', async () => {
  const asked = flushes.ask(new Set(['a', 'b']), 5)
  assert.deepEqual(
    sent.map(({ node, frame }) => [node, frame.frame === 'flush' && [frame.node, frame.account]]),
    [
      ['a', ['here', 5]],
      ['b', ['here', 5]],
    ],
  )
  flushes.answered(askOf(1))
  assert.equal(await isSettled(asked), false)
  flushes.answered(askOf(1))
  assert.equal(await isSettled(asked), false)
  flushes.answered(askOf(0))
  assert.equal(await isSettled(asked), true)
})

test('answers are told apart, and unknown ones are nobody’s', async () => {
  const first = flushes.ask(new Set(['a']), 5)
  const second = flushes.ask(new Set(['a']), 5)
  flushes.answered(999)
  flushes.answered(askOf(1))
  assert.deepEqual([await isSettled(first), await isSettled(second)], [false, true])
  flushes.answered(askOf(0))
  await first
})

test('a node that says nothing for a second is not waited for', async () => {
  const asked = flushes.ask(new Set(['a', 'b']), 5)
  flushes.answered(askOf(0))
  mock.timers.tick(999)
  assert.equal(await isSettled(asked), false)
  mock.timers.tick(1)
  assert.equal(await isSettled(asked), true)
  flushes.answered(askOf(1))
})

test('nobody to ask', async () => {
  await flushes.ask(new Set(), 5)
  assert.deepEqual(sent, [])
})
