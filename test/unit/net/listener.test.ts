import assert from 'node:assert/strict'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { ConnectionCounts, type ConnectionLimits, listen } from '../../../src/net/listener.ts'
import { StartError } from '../../../src/util/start-error.ts'

describe('ConnectionCounts', () => {
  const WIDE: ConnectionLimits = { total: 100, perAddress: 100, beforeLogin: 100, beforeLoginPerAddress: 100 }
  /** Enters until refused. */
  function fill(counts: ConnectionCounts, network: string): number {
    let entered = 0
    while (entered < 1_000 && counts.enter(network)) entered++
    return entered
  }

  test('total', () => {
    const counts = new ConnectionCounts({ ...WIDE, total: 3 })
    assert.equal(fill(counts, 'a'), 3)
    assert.equal(counts.enter('b'), false)
    counts.settled('a')
    assert.equal(counts.enter('b'), false)
    counts.left('a')
    assert.equal(counts.enter('b'), true)
    assert.equal(counts.open, 3)
  })
  test('per address', () => {
    const counts = new ConnectionCounts({ ...WIDE, perAddress: 3 })
    assert.equal(fill(counts, 'a'), 3)
    assert.equal(fill(counts, 'b'), 3)
    counts.settled('a')
    assert.equal(counts.enter('a'), false)
    counts.left('a')
    assert.equal(counts.enter('a'), true)
  })
  test('before login', () => {
    const counts = new ConnectionCounts({ ...WIDE, beforeLogin: 3 })
    assert.equal(fill(counts, 'a'), 3)
    assert.equal(counts.enter('b'), false)
    counts.settled('a')
    assert.equal(counts.beforeLogin, 2)
    assert.equal(counts.enter('b'), true)
    assert.equal(counts.open, 4)
  })
  test('before login, per address', () => {
    const counts = new ConnectionCounts({ ...WIDE, beforeLoginPerAddress: 3 })
    assert.equal(fill(counts, 'a'), 3)
    assert.equal(counts.enter('b'), true)
    counts.settled('a')
    assert.equal(counts.enter('a'), true)
    assert.equal(counts.enter('a'), false)
  })
  test('one that is refused is not counted, and all that left leave nothing behind', () => {
    const counts = new ConnectionCounts({ ...WIDE, perAddress: 2 })
    fill(counts, 'a')
    for (let i = 0; i < 5; i++) counts.enter('a')
    for (let i = 0; i < 2; i++) {
      counts.settled('a')
      counts.left('a')
    }
    assert.deepEqual([counts.open, counts.beforeLogin], [0, 0])
    assert.equal(fill(counts, 'a'), 2)
  })
})

describe('listen', () => {
  test('accepts, and says by which key an address that is taken was asked for', async () => {
    const { promise, resolve } = Promise.withResolvers<Socket>()
    const server = await listen({ host: '127.0.0.1', port: 0 }, 'c2s.starttls', resolve)
    try {
      const { port } = server.address() as AddressInfo
      const client = connect(port, '127.0.0.1')
      client.on('error', () => undefined)
      const accepted = await promise
      // A reset before anybody owns the socket brings nothing down.
      const closed = new Promise<void>((gone) => accepted.on('close', () => gone()))
      accepted.resume()
      client.resetAndDestroy()
      await closed
      await assert.rejects(
        listen({ host: '127.0.0.1', port }, 'c2s.direct_tls', () => undefined),
        (error) =>
          error instanceof StartError && error.message.startsWith(`c2s.direct_tls: 127.0.0.1:${port} is taken`),
      )
    } finally {
      server.close()
    }
  })
})
