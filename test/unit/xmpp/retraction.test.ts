import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Element, el } from '../../../src/xmpp/element.ts'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT, NS_RETRACT } from '../../../src/xmpp/ns.ts'
import { type Retraction, retractionOf, tombstoneOf } from '../../../src/xmpp/retraction.ts'
import { type Message, Stanza } from '../../../src/xmpp/stanza.ts'

const ROMEO = 'romeo@example.org/orchard' as Jid
const body = el('body', NS_CLIENT, {}, 'Have not saints lips')
const inRoom = el('x', 'http://jabber.org/protocol/muc#user')
const retract = el('retract', NS_RETRACT, { id: 'm1' })
const AT = new Date('2026-11-25T12:00:00Z')

function message(
  from: Jid,
  payloads: readonly Element[],
  fields: { readonly id?: string; readonly type?: string } = {},
): Message {
  const to = 'juliet@example.org' as Jid
  return Stanza.of({ kind: 'message', type: 'chat', id: 'm1', from, to, ...fields }, ...payloads)
}
const wish = (other: Partial<Retraction> = {}): Retraction => ({
  of: 'm1',
  id: 'r1',
  from: ROMEO,
  isInRoom: false,
  ...other,
})
const buried = (original: Message, retraction: Retraction): string | undefined => {
  const bytes = tombstoneOf(original.bytes, retraction, AT)
  return bytes && Buffer.from(bytes).toString()
}
const MARK = `<retracted xmlns='urn:xmpp:message-retract:1' id='r1' stamp='2026-11-25T12:00:00.000Z'/>`

describe('a retraction', () => {
  test('is read from a message with the ids it needs', () => {
    const r1 = { id: 'r1' }
    assert.deepEqual(retractionOf(message(ROMEO, [retract, body], r1)), wish())
    assert.deepEqual(retractionOf(message(ROMEO, [inRoom, retract], r1)), wish({ isInRoom: true }))
    assert.equal(retractionOf(message(ROMEO, [body], r1)), undefined)
    assert.equal(retractionOf(message(ROMEO, [el('retract', NS_RETRACT)], r1)), undefined)
    for (const type of ['groupchat', 'error', 'headline'])
      assert.equal(retractionOf(message(ROMEO, [retract], { id: 'r1', type })), undefined)
    const nameless = Stanza.of<'message'>({ kind: 'message', type: 'chat', from: ROMEO, to: undefined }, retract)
    assert.equal(retractionOf(nameless), undefined)
  })
})

describe('a tombstone', () => {
  test('keeps addresses, type and id, and nothing else', () => {
    assert.equal(
      buried(message(ROMEO, [body, el('thread', NS_CLIENT, {}, 't')]), wish()),
      `<message to='juliet@example.org' from='${ROMEO}' id='m1' type='chat'>${MARK}</message>`,
    )
    const other = wish({ from: 'romeo@example.org/street' as Jid })
    assert.equal(
      buried(message(ROMEO, [body], { type: 'normal' }), other),
      `<message to='juliet@example.org' from='${ROMEO}' id='m1'>${MARK}</message>`,
    )
  })
  test('is not made of other messages, or by others', () => {
    assert.equal(buried(message(ROMEO, [body], { id: 'm2' }), wish()), undefined)
    assert.equal(buried(message('mallory@example.org/orchard' as Jid, [body]), wish()), undefined)
    assert.equal(buried(message('romeo@example.com/orchard' as Jid, [body]), wish()), undefined)
  })
  test('in a room is made by the same occupant only', () => {
    const room = (nick: string): Jid => `room@muc.example.org/${nick}` as Jid
    for (const [original, isInRoom] of [
      [message(room('a'), [body, inRoom]), false],
      [message(room('a'), [body]), true],
    ] as const) {
      assert.equal(buried(original, wish({ from: room('b'), isInRoom })), undefined)
      assert.notEqual(buried(original, wish({ from: room('a'), isInRoom })), undefined)
    }
  })
  test('is not made of a retraction, nor of a tombstone', () => {
    assert.equal(buried(message(ROMEO, [retract, body]), wish()), undefined)
    assert.equal(buried(message(ROMEO, [el('retracted', NS_RETRACT, { id: 'r0' })]), wish()), undefined)
  })
})
