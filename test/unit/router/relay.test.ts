import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bus } from '../../../src/presence/bus.ts'
import { type Frame, Relay } from '../../../src/router/relay.ts'
import { el } from '../../../src/xmpp/element.ts'
import type { FullJid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'
import { JULIET, jid, ORCHARD, ROMEO, received } from './world.ts'

/** Sends a frame and reads it on the other side. */
function across(frame: Frame, way: 'send' | 'publish'): { readonly to: string; readonly frame: Frame } {
  const got: Frame[] = []
  let receive: (bytes: Uint8Array) => void = () => undefined
  let to = ''
  const bus: Bus = {
    node: 'here',
    send: (node, bytes) => {
      to = node
      receive(bytes)
    },
    publish: (bytes) => {
      to = 'all'
      receive(bytes)
    },
    listen: (listener) => {
      receive = listener
    },
    close: () => undefined,
  }
  const relay = new Relay(bus, (read) => got.push(read))
  assert.equal(relay.node, 'here')
  if (way === 'send') relay.send('there', frame)
  else relay.publish(frame)
  const [read] = got
  assert.ok(read)
  return { to, frame: read }
}
const addresses = { from: ORCHARD, to: JULIET }
const message = Stanza.of(
  { kind: 'message', type: 'chat', id: `a'b&c`, lang: 'it', ...addresses },
  el('body', NS_CLIENT, {}, 'Ò Roméo & <Julia> 🌹'),
  el('x', 'test:x', { a: '1' }, el('y', 'test:y')),
)

test('frames without a stanza are the same on the other side', () => {
  const frames: readonly Frame[] = [
    { frame: 'rewind', account: JULIET, position: 1_763_942_400_000_000 },
    { frame: 'passed', account: JULIET },
    { frame: 'flush', node: 'here', ask: 7, account: 5 },
    { frame: 'flushed', ask: 7 },
    { frame: 'changed', account: ROMEO },
    { frame: 'end', address: ROMEO, condition: 'not-authorized', text: 'Gone.', except: ORCHARD },
    { frame: 'end', address: ORCHARD, condition: 'conflict', text: '', except: undefined },
  ]
  for (const frame of frames)
    for (const way of ['send', 'publish'] as const) {
      const there = across(frame, way)
      assert.deepEqual(there.frame, frame)
      assert.equal(there.to, way === 'send' ? 'there' : 'all')
    }
})

test('a stanza is the same on the other side, byte for byte and name for name', () => {
  const raw = received(`<iq type='get' id='1' to='${JULIET}'><query xmlns='test:q'><a/>text</query></iq>`)
  const stanzas: readonly Stanza[] = [
    message,
    Stanza.of({ kind: 'presence', type: '', from: ORCHARD, to: undefined }),
    Stanza.of({ kind: 'presence', type: 'unavailable', ...addresses }, el('status', NS_CLIENT, {}, 'bye')),
    Stanza.received('iq', raw, ORCHARD, jid(JULIET)),
  ]
  for (const stanza of stanzas) {
    const { frame } = across({ frame: 'stanza', to: ORCHARD, stanza }, 'send')
    assert.ok(frame.frame === 'stanza')
    assert.equal(frame.to, ORCHARD)
    same(frame.stanza, stanza)
  }
})

test('a push is the same on the other side, to some resources or to none', () => {
  for (const jids of [[], [ORCHARD], [ORCHARD, `${ROMEO}/b` as FullJid]])
    for (const isArchived of [false, true]) {
      const push = { frame: 'push', account: ROMEO, jids, id: 1_763_942_400_000_001, prev: 12, isArchived } as const
      const { frame } = across({ ...push, stanza: message }, 'send')
      assert.ok(frame.frame === 'push')
      const { stanza, ...rest } = frame
      assert.deepEqual(rest, push)
      same(stanza, message)
    }
})

test('a copy is the same on the other side', () => {
  for (const direction of ['sent', 'received'] as const) {
    const { frame } = across({ frame: 'copy', to: ORCHARD, direction, stanza: message }, 'send')
    assert.ok(frame.frame === 'copy')
    assert.deepEqual([frame.to, frame.direction], [ORCHARD, direction])
    same(frame.stanza, message)
  }
})

function same(there: Stanza, here: Stanza): void {
  assert.ok(there instanceof Stanza)
  for (const key of ['kind', 'type', 'id', 'from', 'to', 'lang'] as const) assert.equal(there[key], here[key], key)
  assert.equal(there.bytes.toString(), here.bytes.toString())
  assert.deepEqual(
    there.children.map(({ name, ns }) => [name, ns]),
    here.children.map(({ name, ns }) => [name, ns]),
  )
  const again = there.adding(el('delay', 'urn:xmpp:delay'))
  assert.equal(again.has('delay', 'urn:xmpp:delay'), true)
  assert.equal(there.element.children.length, here.element.children.length)
}
