import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { receiveFromClient } from '../../../src/router/receive.ts'
import type { Condition } from '../../../src/xmpp/stanza-error.ts'
import { StreamError } from '../../../src/xmpp/stream-error.ts'
import { ORCHARD, ROMEO, received, sessionOf } from './world.ts'

const session = sessionOf(ORCHARD)
const receive = (xml: string) => receiveFromClient(received(xml), session)
const ends = (condition: string) => (error: unknown) => error instanceof StreamError && error.condition === condition

describe('from', () => {
  test('is stamped, whether it was claimed rightly or not at all', () => {
    for (const from of ['', `from='${ORCHARD}'`, `from='${ROMEO}'`, `from='Romeo@EXAMPLE.org/orchard'`]) {
      const { stanza, fault } = receive(`<message ${from} to='juliet@example.org'><body>hi</body></message>`)
      assert.equal(stanza.from, ORCHARD, from)
      assert.equal(fault, undefined)
    }
  })
  test('of somebody else, or nobody, ends the stream', () => {
    for (const from of ['juliet@example.org', `${ROMEO}/balcony`, 'example.org', '@', ''])
      assert.throws(() => receive(`<message from='${from}'/>`), ends('invalid-from'), from)
  })
  test('subscriptions leave from the bare JID (RFC 6121 §3.1.2), nothing else does', () => {
    for (const type of ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'])
      assert.equal(receive(`<presence type='${type}' to='juliet@example.org'/>`).stanza.from, ROMEO, type)
    for (const type of ['unavailable', 'probe', 'error'])
      assert.equal(receive(`<presence type='${type}' to='juliet@example.org'/>`).stanza.from, ORCHARD, type)
    assert.equal(receive(`<message type='subscribe' to='juliet@example.org'/>`).stanza.from, ORCHARD)
  })
})

test('what is no stanza ends the stream', () => {
  for (const xml of ['<query/>', `<message xmlns='jabber:server'/>`, `<iq xmlns='test:other'/>`, '<Message/>'])
    assert.throws(() => receive(xml), ends('unsupported-stanza-type'), xml)
})

test('what is malformed is a fault of its own', () => {
  const table: readonly (readonly [Condition | undefined, string])[] = [
    [undefined, '<message/>'],
    [undefined, `<message type='strange' to='juliet@example.org'/>`],
    ['jid-malformed', `<message to='@example.org'/>`],
    ['jid-malformed', `<message to=''/>`],
    ['jid-malformed', `<presence to='a b@example.org'/>`],
    ['jid-malformed', `<iq to='juliet@' type='nonsense'/>`],
    [undefined, `<message id='${'x'.repeat(1024)}'/>`],
    ['policy-violation', `<message id='${'x'.repeat(1025)}'/>`],
    ['policy-violation', `<iq type='get' id='${'x'.repeat(1025)}'><a xmlns='b'/></iq>`],
    ['bad-request', `<iq id='1'><a xmlns='b'/></iq>`],
    ['bad-request', `<iq id='1' type='put'><a xmlns='b'/></iq>`],
    ['bad-request', `<iq id='1' type='Get'><a xmlns='b'/></iq>`],
    ['bad-request', `<iq type='get'><a xmlns='b'/></iq>`],
    ['bad-request', `<iq type='result'/>`],
    ['bad-request', `<iq id='1' type='get'/>`],
    ['bad-request', `<iq id='1' type='set'>text</iq>`],
    ['bad-request', `<iq id='1' type='set'><a xmlns='b'/><a xmlns='b'/></iq>`],
    [undefined, `<iq id='1' type='get'><a xmlns='b'/></iq>`],
    [undefined, `<iq id='1' type='set'> <a xmlns='b'/> </iq>`],
    [undefined, `<iq id='1' type='result'/>`],
    [undefined, `<iq id='1' type='error'><a xmlns='b'/><error type='cancel'/></iq>`],
    [undefined, '<presence/>'],
    [undefined, `<presence type='unavailable'/>`],
    [undefined, `<presence type='probe' to='juliet@example.org'/>`],
    ['bad-request', `<presence type='available'/>`],
    ['bad-request', `<presence type='invisible'/>`],
  ]
  for (const [condition, xml] of table) assert.equal(receive(xml).fault?.condition, condition, xml.slice(0, 80))
})

test('to is prepared, and undefined where there is none', () => {
  assert.equal(receive(`<message to='Juliet@Example.ORG/Balcony'/>`).stanza.to, 'juliet@example.org/Balcony')
  assert.equal(receive('<message/>').stanza.to, undefined)
  assert.equal(receive(`<message to='@example.org'/>`).stanza.to, undefined)
})
