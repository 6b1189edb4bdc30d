import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { afterEach, test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { Connection, Turns } from '../../../src/stream/connection.ts'

const LIMITS = { maxBytes: 10_000, maxDepth: 8, maxElements: 8, maxAttributes: 8, maxNamespaces: 8 }
const QUIET = { token: () => {}, failed: () => {}, gone: () => {}, turn: () => {}, drained: () => {} }
const open: TLSSocket[] = []
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy()
})

/** A connection over a TLS socket that only counts what is written. */
function connection(): { readonly line: Connection; readonly writes: number[] } {
  const socket = new TLSSocket(new Duplex({ read: () => {}, write: (_c, _e, done) => done() }), { isServer: true })
  const writes: number[] = []
  socket.write = (chunk: Uint8Array | string) => writes.push(chunk.length) > 0
  open.push(socket)
  return { line: new Connection(socket, new Turns(), { limits: LIMITS, highWater: 65_536 }, QUIET), writes }
}
const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => void setImmediate(resolve))
}

test('what a quiet connection is told leaves in pieces that fit the first buffer, one a turn', async () => {
  const { line, writes } = connection()
  line.write('x'.repeat(2_000))
  await turns(1)
  assert.deepEqual(writes, [960])
  line.write('y'.repeat(30))
  await turns(4)
  assert.deepEqual(writes, [960, 960, 110])
})

test('a small write leaves as it is', async () => {
  const { line, writes } = connection()
  line.write('x'.repeat(960))
  await turns(2)
  assert.deepEqual(writes, [960])
})

test('a long burst leaves whole, and all after it', async () => {
  const { line, writes } = connection()
  line.write('x'.repeat(40_000))
  await turns(2)
  line.write('x'.repeat(1_500))
  await turns(2)
  assert.deepEqual(writes, [40_000, 1_500])
})

test('a connection that goes on is soon written to in one', async () => {
  const { line, writes } = connection()
  for (let i = 0; i < 40; i++) {
    line.write('x'.repeat(1_000))
    await turns(2)
  }
  assert.equal(
    writes.reduce((a, b) => a + b, 0),
    40_000,
  )
  assert.deepEqual(writes.slice(-10), Array(10).fill(1_000))
})

test('a stream that ends, ends behind its last piece', async () => {
  const { line, writes } = connection()
  let ended = false
  line.socket.end = () => {
    ended = true
    return line.socket
  }
  line.write('x'.repeat(1_500))
  line.finish()
  await turns(1)
  assert.equal(ended, false)
  await turns(2)
  assert.deepEqual(writes, [960, 540])
  assert.equal(ended, true)
})
