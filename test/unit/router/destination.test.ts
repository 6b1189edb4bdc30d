import assert from 'node:assert/strict'
import { test } from 'node:test'
import { destinationOf, type Served } from '../../../src/router/destination.ts'
import { el } from '../../../src/xmpp/element.ts'
import type { Domain } from '../../../src/xmpp/jid.ts'
import { type Kind, Stanza } from '../../../src/xmpp/stanza.ts'
import { jid, ORCHARD } from './world.ts'

const SERVED: Served = {
  domains: new Set(['example.org', 'chat.example.org'] as unknown as Domain[]),
  services: new Set([jid('multicast@example.org')]),
}

test('where a stanza goes', () => {
  const accountOf = (address: string) => `account ${address}`
  /** By `to`: what becomes of a message, a presence, a request, and a result. */
  const table: readonly (readonly [string | undefined, string, string, string, string])[] = [
    [undefined, ...both(accountOf('romeo@example.org')), 'answer', accountOf('romeo@example.org')],
    ['romeo@example.org', ...both(accountOf('romeo@example.org')), 'answer', accountOf('romeo@example.org')],
    ['juliet@example.org', ...both(accountOf('juliet@example.org')), 'answer', accountOf('juliet@example.org')],
    ['juliet@example.org/a@b', ...all(accountOf('juliet@example.org'))],
    [
      'juliet@chat.example.org',
      ...both(accountOf('juliet@chat.example.org')),
      'answer',
      accountOf('juliet@chat.example.org'),
    ],
    ['example.org', ...both('service example.org'), 'answer', 'service example.org'],
    ['example.org/res', ...both('service example.org/res'), 'answer', 'service example.org/res'],
    ['multicast@example.org', ...both('service multicast@example.org'), 'answer', 'service multicast@example.org'],
    ['multicast@chat.example.org/r', ...all(accountOf('multicast@chat.example.org'))],
    ['example.net', ...all('remote example.net')],
    ['juliet@example.net/phone', ...all('remote example.net')],
    ['juliet@sub.example.org', ...all('remote sub.example.org')],
  ]
  for (const [to, ...expected] of table) {
    const got = (
      [
        ['message', 'chat'],
        ['presence', ''],
        ['iq', 'get'],
        ['iq', 'result'],
      ] as readonly (readonly [Kind, string])[]
    ).map(([kind, type]) => {
      const address = to === undefined ? undefined : jid(to)
      const stanza = Stanza.of({ kind, type, id: '1', from: ORCHARD, to: address }, el('query', 'test:query'))
      const destination = destinationOf(stanza, SERVED)
      if (destination.to === 'answer') {
        assert.equal(destination.iq, stanza)
        return 'answer'
      }
      if (destination.to === 'account') return `account ${destination.account}`
      return destination.to === 'service' ? `service ${destination.address}` : `remote ${destination.domain}`
    })
    assert.deepEqual(got, expected, to)
  }
})
const both = (what: string): [string, string] => [what, what]
const all = (what: string): [string, string, string, string] => [what, what, what, what]
