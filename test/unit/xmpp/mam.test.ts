import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Element, el } from '../../../src/xmpp/element.ts'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { resultMessage } from '../../../src/xmpp/mam.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { readOwn, Stanza } from '../../../src/xmpp/stanza.ts'

const ADDRESSES = { from: 'juliet@example.org' as Jid, to: 'juliet@example.org/phone' as Jid }
const first = (parent: Element, name: string): Element =>
  parent.children.find((c): c is Element => typeof c !== 'string' && c.name === name) as Element

test('a forwarded message means what it meant, whatever namespaces are in it', () => {
  const tree = el(
    'x',
    'urn:example:x',
    { 'xml:lang': 'de', '{urn:example:y}a': '"<&' },
    el('body', NS_CLIENT, {}, 'inner <&>'),
    el(
      'forwarded',
      'urn:xmpp:forward:0',
      {},
      el('message', NS_CLIENT, { from: 'a@b' }, el('body', NS_CLIENT, {}, 'x')),
    ),
    el('none', ''),
  )
  const fields = { kind: 'message', type: 'chat', id: `"m'1`, lang: 'en', ...ADDRESSES } as const
  const original = Stanza.of(fields, el('body', NS_CLIENT, {}, 'é &amp;'), ' text ', tree)
  const at = Date.parse('2026-11-25T12:00:00.5Z')
  const message = resultMessage({ id: '17', at, payload: original.bytes }, ADDRESSES, `q'<&>`)
  const result = first(readOwn(message.bytes).element, 'result')
  assert.equal(result.attrs.queryid, `q'<&>`)
  assert.equal(result.attrs.id, '17')
  const forwarded = first(result, 'forwarded')
  assert.equal(first(forwarded, 'delay').attrs.stamp, '2026-11-25T12:00:00.500Z')
  const written = serialize(readOwn(original.bytes).element, '')
  assert.equal(serialize(first(forwarded, 'message'), ''), written)
  assert.equal(message.element.children.length, 1)
  assert.ok(message.has('result', 'urn:xmpp:mam:2'))
})

test('a payload that is no message is left out, its id and time stay', () => {
  const message = resultMessage({ id: '17', at: 0, payload: Buffer.from('<presence/>') }, ADDRESSES, undefined)
  assert.equal(
    message.content.toString(),
    `<result xmlns='urn:xmpp:mam:2' id='17'><forwarded xmlns='urn:xmpp:forward:0'>` +
      `<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:00.000Z'/></forwarded></result>`,
  )
})
