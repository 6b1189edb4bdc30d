import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Keeping, keepingOf } from '../../../src/router/keep.ts'
import { el } from '../../../src/xmpp/element.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'
import { jid, ORCHARD } from './world.ts'

const HINTS = 'urn:xmpp:hints'
const body = ['body', NS_CLIENT] as const
const active = ['active', 'http://jabber.org/protocol/chatstates'] as const
const receipt = ['received', 'urn:xmpp:receipts'] as const
const unknown = ['x', 'test:unknown'] as const
const hint = (name: string) => [name, HINTS] as const
type Names = readonly (readonly [string, string])[]
const keep = (type: string, names: Names): Keeping => {
  const payloads = names.map(([name, ns]) => el(name, ns))
  return keepingOf(Stanza.of({ kind: 'message', type, from: ORCHARD, to: jid('juliet@example.org') }, ...payloads))
}

test('by payloads and hints', () => {
  const table: readonly (readonly [Keeping, Names])[] = [
    ['fleeting', []],
    ['kept', [body]],
    ['kept', [active, body]],
    ['kept', [body, unknown]],
    ['fleeting', [active]],
    ['fleeting', [['subject', NS_CLIENT]]],
    ['fleeting', [['thread', NS_CLIENT], active]],
    ['direct', [unknown]],
    ['direct', [active, unknown]],
    ['direct', [['body', 'test:unknown']]],
    ['kept', [receipt]],
    ['kept', [['e2e', 'urn:ietf:params:xml:ns:xmpp-e2e']]],
    ['kept', [['openpgp', 'urn:xmpp:openpgp:0']]],
    ['kept', [['x', 'jabber:x:encrypted']]],
    ['kept', [['encrypted', 'eu.siacs.conversations.axolotl']]],
    ['kept', [['displayed', 'urn:xmpp:chat-markers:0']]],
    ['kept', [['retract', 'urn:xmpp:message-retract:1']]],
    ['kept', [['group', 'http://kontalk.org/extensions/message#group']]],
    ['fleeting', [body, hint('no-store')]],
    ['fleeting', [hint('no-store'), body]],
    ['fleeting', [body, hint('no-permanent-store')]],
    ['fleeting', [hint('store'), hint('no-store')]],
    ['kept', [active, hint('store')]],
    ['kept', [unknown, hint('store')]],
    ['kept', [body, hint('no-copy')]],
    ['fleeting', [active, hint('no-copy')]],
    ['fleeting', [['no-store', HINTS], unknown]],
    ['direct', [['no-store', 'test:unknown']]],
  ]
  for (const type of ['chat', 'normal'])
    for (const [expected, names] of table) assert.equal(keep(type, names), expected, `${type} ${JSON.stringify(names)}`)
})

test('by type, whatever is in it', () => {
  for (const names of [[], [body], [unknown], [active, hint('store')]]) {
    assert.equal(keep('error', names), 'fleeting')
    assert.equal(keep('headline', names), 'fleeting')
    assert.equal(keep('groupchat', names), 'direct')
  }
})
