import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { POLICIES } from '../../../src/inbox/policy.ts'
import type { RegisteredSession } from '../../../src/presence/registry.ts'
import { isReceipt, targetsOf } from '../../../src/router/targets.ts'
import { el } from '../../../src/xmpp/element.ts'
import { type FullJid, fullJid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { type Message, Stanza } from '../../../src/xmpp/stanza.ts'
import { JULIET, jid, ORCHARD } from './world.ts'

const session = (resource: string, priority: number | undefined, queuedAt?: number): RegisteredSession => ({
  jid: fullJid(JULIET, resource),
  node: 'n1',
  priority,
  flags: new Set(),
  queuedAt,
  presence: undefined,
})
const SESSIONS = [session('high', 5, 20), session('zero', 0, 10), session('negative', -1), session('bound', undefined)]
const AVAILABLE = 'high zero'
const message = (type: string, to: string | undefined, isReceipt = false): Message =>
  Stanza.of(
    { kind: 'message', type, from: ORCHARD, to: to === undefined ? undefined : jid(to) },
    isReceipt ? el('received', 'urn:xmpp:receipts', { id: 'x' }) : el('body', NS_CLIENT, {}, 'x'),
  )
const resources = (found: ReturnType<typeof targetsOf>): string =>
  found === 'refused' ? found : found.map((s) => s.jid.slice(JULIET.length + 1)).join(' ')

describe('RFC 6121 §8.5: where a message goes', () => {
  const TYPES = ['chat', 'normal', 'headline', 'groupchat', 'error'] as const
  type Row = Readonly<Record<(typeof TYPES)[number], string>>
  const to = (resource: string): FullJid => fullJid(JULIET, resource)
  const all = (what: string): Row => ({ chat: what, normal: what, headline: what, groupchat: what, error: what })
  const table: readonly (readonly [string, string | undefined, readonly RegisteredSession[], Row])[] = [
    [
      'to the bare address',
      JULIET,
      SESSIONS,
      { chat: AVAILABLE, normal: AVAILABLE, headline: AVAILABLE, groupchat: 'refused', error: '' },
    ],
    [
      'without an address: to its own account',
      undefined,
      SESSIONS,
      { chat: AVAILABLE, normal: AVAILABLE, headline: AVAILABLE, groupchat: 'refused', error: '' },
    ],
    ['to the bare address when nobody is there', JULIET, [], { ...all(''), groupchat: 'refused' }],
    ['to the bare address when nobody wants it', JULIET, SESSIONS.slice(2), { ...all(''), groupchat: 'refused' }],
    ['to a resource', to('zero'), SESSIONS, all('zero')],
    ['to a resource with negative priority', to('negative'), SESSIONS, all('negative')],
    ['to a resource that is connected and not available', to('bound'), SESSIONS, all('bound')],
    [
      'to a resource that is gone',
      to('gone'),
      SESSIONS,
      { chat: AVAILABLE, normal: 'refused', headline: '', groupchat: 'refused', error: '' },
    ],
    [
      'to a resource that is gone, when nobody is there',
      to('gone'),
      [],
      { chat: '', normal: 'refused', headline: '', groupchat: 'refused', error: '' },
    ],
  ]
  for (const [name, address, sessions, row] of table)
    test(name, () => {
      for (const type of TYPES)
        for (const policy of ['first-come', 'every-device'] as const)
          assert.equal(resources(targetsOf(message(type, address), sessions, POLICIES[policy])), row[type], type)
    })

  test('exclusive: to the one that has waited longest; to a resource, and news, as ever', () => {
    const goes = (type: string, address: string, sessions = SESSIONS) =>
      resources(targetsOf(message(type, address), sessions, POLICIES.exclusive))
    for (const type of ['chat', 'normal']) assert.equal(goes(type, JULIET), 'zero', type)
    assert.equal(goes('chat', to('gone')), 'zero')
    assert.equal(goes('normal', to('gone')), 'refused')
    assert.equal(goes('headline', JULIET), AVAILABLE)
    assert.equal(goes('groupchat', JULIET), 'refused')
    assert.equal(goes('chat', to('high')), 'high')
    assert.equal(goes('chat', to('negative')), 'negative')
    assert.equal(
      goes('chat', JULIET, [session('b', 0, 5), session('a', 9, 5), session('c', 0)]),
      'a',
      'at once: by address',
    )
    assert.equal(goes('chat', JULIET, [session('lost', 0), session('negative', -1, 1)]), '', 'nobody has a place')
  })
  test('a receipt to a resource that is gone goes to the others: it is never bounced', () => {
    assert.equal(resources(targetsOf(message('normal', to('gone'), true), SESSIONS, POLICIES['first-come'])), AVAILABLE)
    assert.equal(resources(targetsOf(message('normal', to('gone'), true), [], POLICIES['first-come'])), '')
    assert.equal(
      resources(targetsOf(message('groupchat', to('gone'), true), SESSIONS, POLICIES['first-come'])),
      'refused',
    )
  })
  test('a receipt is what XEP-0184 says, and not what asks for one', () => {
    assert.equal(isReceipt(message('chat', JULIET, true)), true)
    assert.equal(isReceipt(message('chat', JULIET)), false)
    const asks = Stanza.of(
      { kind: 'message', type: 'chat', from: ORCHARD, to: JULIET },
      el('request', 'urn:xmpp:receipts'),
    )
    assert.equal(isReceipt(asks), false)
  })
})
