import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Worth, worthOf } from '../../../src/inbox/worth.ts'
import { el } from '../../../src/xmpp/element.ts'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'

const HINTS = 'urn:xmpp:hints'
const RECEIPTS = 'urn:xmpp:receipts'
const MARKERS = 'urn:xmpp:chat-markers:0'
const body = ['body', NS_CLIENT] as const
const active = ['active', 'http://jabber.org/protocol/chatstates'] as const
const unknown = ['x', 'test:unknown'] as const
const hint = (name: string) => [name, HINTS] as const
type Names = readonly (readonly [string, string])[]
function worth(type: string, names: Names): Worth {
  const payloads = names.map(([name, ns]) => el(name, ns))
  const addresses = { from: 'romeo@example.org/a' as Jid, to: 'juliet@example.org' as Jid }
  return worthOf(Stanza.of({ kind: 'message', type, ...addresses }, ...payloads))
}

test('by payloads', () => {
  const table: readonly (readonly [Worth, Names])[] = [
    ['fleeting', []],
    ['archived', [body]],
    ['archived', [active, body]],
    ['archived', [body, unknown]],
    ['fleeting', [active]],
    ['fleeting', [['subject', NS_CLIENT]]],
    ['fleeting', [['thread', NS_CLIENT], active]],
    ['direct', [unknown]],
    ['direct', [active, unknown]],
    ['direct', [['body', 'test:unknown']]],
    ['archived', [['received', RECEIPTS]]],
    ['direct', [['request', RECEIPTS]]],
    ['archived', [['request', RECEIPTS], body]],
    ['archived', [['received', MARKERS]]],
    ['archived', [['displayed', MARKERS]]],
    ['archived', [['acknowledged', MARKERS]]],
    ['direct', [['markable', MARKERS]]],
    ['archived', [['e2e', 'urn:ietf:params:xml:ns:xmpp-e2e']]],
    ['archived', [['openpgp', 'urn:xmpp:openpgp:0']]],
    ['archived', [['x', 'jabber:x:encrypted']]],
    ['archived', [['x', 'jabber:x:signed']]],
    ['archived', [['encrypted', 'eu.siacs.conversations.axolotl']]],
    ['archived', [['encrypted', 'urn:xmpp:omemo:2']]],
    ['archived', [['x', 'jabber:x:oob']]],
    ['archived', [['file-sharing', 'urn:xmpp:sfs:0']]],
    ['archived', [['x', 'jabber:x:conference']]],
    ['archived', [['x', 'http://jabber.org/protocol/muc#user']]],
    ['archived', [['x', 'http://jabber.org/protocol/muc#user'], body, active]],
    ['fleeting', [active, ['x', 'http://jabber.org/protocol/muc#user']]],
    ['archived', [['reactions', 'urn:xmpp:reactions:0']]],
    ['archived', [['replace', 'urn:xmpp:message-correct:0']]],
    ['archived', [['reply', 'urn:xmpp:reply:0']]],
    ['archived', [['apply-to', 'urn:xmpp:fasten:0']]],
    ['archived', [['retract', 'urn:xmpp:message-retract:1']]],
    ['archived', [['moderate', 'urn:xmpp:message-moderate:1']]],
    ['archived', [['group', 'http://kontalk.org/extensions/message#group']]],
    // Copies of other messages and events are no conversation.
    ['direct', [['result', 'urn:xmpp:mam:2']]],
    ['direct', [['received', 'urn:xmpp:carbons:2']]],
    ['direct', [['event', 'http://jabber.org/protocol/pubsub#event']]],
  ]
  for (const type of ['chat', 'normal'])
    for (const [expected, names] of table)
      assert.equal(worth(type, names), expected, `${type} ${JSON.stringify(names)}`)
})

test('by hints (XEP-0334): the one that keeps less counts', () => {
  const table: readonly (readonly [Worth, Names])[] = [
    ['fleeting', [body, hint('no-store')]],
    ['fleeting', [hint('no-store'), body]],
    ['fleeting', [hint('store'), hint('no-store')]],
    ['fleeting', [hint('no-store'), hint('store'), body]],
    ['kept', [body, hint('no-permanent-store')]],
    ['kept', [hint('no-permanent-store'), body]],
    ['kept', [hint('no-permanent-store'), hint('store')]],
    ['fleeting', [hint('no-permanent-store'), hint('no-store'), body]],
    ['fleeting', [active, hint('no-permanent-store')]],
    ['direct', [unknown, hint('no-permanent-store')]],
    ['archived', [active, hint('store')]],
    ['archived', [unknown, hint('store')]],
    ['archived', [hint('store')]],
    ['archived', [body, hint('no-copy')]],
    ['fleeting', [active, hint('no-copy')]],
    ['fleeting', [['no-store', HINTS], unknown]],
    ['direct', [['no-store', 'test:unknown']]],
  ]
  for (const [expected, names] of table) assert.equal(worth('chat', names), expected, JSON.stringify(names))
})

test('a retraction is archived whatever its hints, but for its type (XEP-0424 §5)', () => {
  const retract = ['retract', 'urn:xmpp:message-retract:1'] as const
  for (const hints of [[], [hint('no-store')], [hint('no-permanent-store')], [hint('store'), hint('no-store')]])
    for (const names of [
      [retract, ...hints],
      [...hints, body, retract],
    ])
      for (const type of ['chat', 'normal']) assert.equal(worth(type, names), 'archived', JSON.stringify(names))
  assert.equal(worth('headline', [retract]), 'fleeting')
  assert.equal(worth('groupchat', [retract]), 'direct')
  // What is left of a message says nothing of another one.
  assert.equal(worth('chat', [['retracted', 'urn:xmpp:message-retract:1'], hint('no-store')]), 'fleeting')
})

test('by type, whatever is in it', () => {
  for (const names of [[], [body], [unknown], [active, hint('store')]]) {
    assert.equal(worth('error', names), 'fleeting')
    assert.equal(worth('headline', names), 'fleeting')
    assert.equal(worth('groupchat', names), 'direct')
  }
})
