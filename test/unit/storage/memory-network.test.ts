import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RegisteredSession } from '../../../src/presence/registry.ts'
import { MemoryNetwork } from '../../../src/storage/memory/network.ts'
import type { BareJid, FullJid } from '../../../src/xmpp/jid.ts'

const JULIET = 'juliet@example.org' as BareJid
const BALCONY = `${JULIET}/balcony` as FullJid
const CHAMBER = `${JULIET}/chamber` as FullJid
const session = (jid: FullJid, node: string, priority?: number): RegisteredSession => ({
  jid,
  node,
  priority,
  flags: new Set(),
  queuedAt: undefined,
  presence: undefined,
})

describe('registry', () => {
  test('sessions of an account, one per resource', () => {
    const { registry } = new MemoryNetwork()
    assert.deepEqual(registry.of(JULIET), [])
    registry.put(session(BALCONY, 'n1'))
    registry.put(session(CHAMBER, 'n2'))
    registry.put(session('nurse@example.org/x' as FullJid, 'n1'))
    assert.deepEqual(registry.of(JULIET), [session(BALCONY, 'n1'), session(CHAMBER, 'n2')])
    registry.put(session(BALCONY, 'n2', 5))
    assert.deepEqual(registry.of(JULIET), [session(CHAMBER, 'n2'), session(BALCONY, 'n2', 5)])
  })

  test('what was asked for stays as it was', () => {
    const { registry } = new MemoryNetwork()
    registry.put(session(BALCONY, 'n1'))
    const before = registry.of(JULIET)
    registry.put(session(CHAMBER, 'n1'))
    registry.update(session(BALCONY, 'n1', 1))
    assert.deepEqual(before, [session(BALCONY, 'n1')])
  })

  test('only its own node changes or removes a session', () => {
    const { registry } = new MemoryNetwork()
    registry.put(session(BALCONY, 'n1'))
    registry.put(session(BALCONY, 'n2'))
    registry.update(session(BALCONY, 'n1', 7))
    registry.remove(BALCONY, 'n1')
    assert.deepEqual(registry.of(JULIET), [session(BALCONY, 'n2')])
    registry.update(session(BALCONY, 'n2', 7))
    assert.deepEqual(registry.of(JULIET), [session(BALCONY, 'n2', 7)])
    registry.remove(BALCONY, 'n2')
    assert.deepEqual(registry.of(JULIET), [])
    registry.remove(BALCONY, 'n2')
    registry.update(session(BALCONY, 'n2', 7))
    assert.deepEqual(registry.of(JULIET), [])
  })
})

describe('bus', () => {
  /** Resolves when `count` frames have come. */
  function listener(count: number): {
    readonly got: string[]
    readonly all: Promise<void>
    receive(f: Uint8Array): void
  } {
    const got: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    return {
      got,
      all: promise,
      receive: (frame) => {
        got.push(Buffer.from(frame).toString())
        if (got.length === count) resolve()
      },
    }
  }

  test('frames come later, in order, to one or to all others', async () => {
    const network = new MemoryNetwork()
    const [a, b, c] = [network.join(), network.join(), network.join()]
    const [atA, atB, atC] = [listener(1), listener(3), listener(1)]
    a.listen(atA.receive)
    b.listen(atB.receive)
    c.listen(atC.receive)
    assert.equal(new Set([a.node, b.node, c.node]).size, 3)
    a.send(b.node, Buffer.from('1'))
    a.publish(Buffer.from('2'))
    a.send(b.node, Buffer.from('3'))
    b.send(a.node, Buffer.from('4'))
    assert.deepEqual(atB.got, [])
    await Promise.all([atA.all, atB.all, atC.all])
    assert.deepEqual([atA.got, atB.got, atC.got], [['4'], ['1', '2', '3'], ['2']])
  })

  test('a node that is gone gets nothing, and nobody minds', async () => {
    const network = new MemoryNetwork()
    const [a, b, c] = [network.join(), network.join(), network.join()]
    const [atB, atC] = [listener(1), listener(1)]
    b.listen(atB.receive)
    c.listen(atC.receive)
    a.send(b.node, Buffer.from('late'))
    b.close()
    a.send('nobody', Buffer.from('x'))
    a.publish(Buffer.from('y'))
    await atC.all
    assert.deepEqual(atB.got, [])
    assert.deepEqual(atC.got, ['y'])
  })
})
