import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { entryIdOf, stanzaId } from '../../../src/xmpp/stanza-id.ts'

test('an id is the entry’s number, there and back', () => {
  const id = 1_795_614_798_319_000
  assert.equal(
    serialize(stanzaId('juliet@example.org' as Jid, id), ''),
    `<stanza-id xmlns='urn:xmpp:sid:0' id='1795614798319000' by='juliet@example.org'/>`,
  )
  assert.equal(entryIdOf('1795614798319000'), id)
  assert.equal(entryIdOf(String(Number.MAX_SAFE_INTEGER)), Number.MAX_SAFE_INTEGER)
})

test('what no archive of ours gives is no id', () => {
  for (const text of ['', '0', '-1', '01', ' 1', '1 ', '1.0', '1e3', 'x', '9007199254740992', '10000000000000000', '١'])
    assert.equal(entryIdOf(text), undefined, text)
})
