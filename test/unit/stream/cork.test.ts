import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { Turns } from '../../../src/stream/connection.ts'
import { Stream, type StreamHandler } from '../../../src/stream/stream.ts'
import { Wheel } from '../../../src/util/wheel.ts'
import type { Domain } from '../../../src/xmpp/jid.ts'

const OUT_QUEUE = 1_000
const SILENT: StreamHandler = {
  opened: () => undefined,
  element: () => undefined,
  footer: () => undefined,
  turn: () => undefined,
  drained: () => undefined,
  ended: () => undefined,
  elapsed: () => undefined,
}
function streamOn(socket: PassThrough): Stream {
  const context = {
    turns: new Turns(),
    wheel: new Wheel(100),
    log: pino({ level: 'silent' }),
    domains: new Set(['example.org' as unknown as Domain]),
    closed: () => undefined,
    closeMs: 1_000,
    outQueueBytes: OUT_QUEUE,
  }
  const limits = { maxBytes: 10_000, maxDepth: 8, maxElements: 8, maxAttributes: 8, maxNamespaces: 8 }
  return new Stream(context, socket as unknown as Socket, '192.0.2.1', limits, () => SILENT)
}
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

test('what a session is sent before its login is answered comes after the answer', async () => {
  const socket = new PassThrough()
  const written: string[] = []
  socket.write = (chunk: Buffer | string) => written.push(String(chunk)) > 0
  const stream = streamOn(socket)
  stream.send('<a/>')
  stream.cork()
  stream.send('<b/>')
  stream.cork()
  stream.send(Buffer.from('<c/>'))
  await turn()
  assert.equal(written.join(''), '<a/>')
  stream.uncork('<first/>')
  stream.send('<d/>')
  await turn()
  assert.equal(written.join(''), '<a/><first/><b/><c/><d/>')
  socket.destroy()
})

test('a session that is sent too much before that is gone', () => {
  const socket = new PassThrough()
  const stream = streamOn(socket)
  stream.cork()
  stream.send('x'.repeat(OUT_QUEUE))
  assert.equal(socket.destroyed, false)
  stream.uncork('')
  stream.cork()
  stream.send('x'.repeat(OUT_QUEUE))
  assert.equal(socket.destroyed, false, 'what was sent meanwhile counts no more')
  stream.send('x')
  assert.equal(socket.destroyed, true)
})
