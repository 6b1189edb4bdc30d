import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readStored } from '../../../src/c2s/stored.ts'
import type { StoredEntry } from '../../../src/inbox/store.ts'
import { el } from '../../../src/xmpp/element.ts'
import type { BareJid, Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'

const JULIET = 'juliet@example.org' as BareJid
const stored = (payload: Uint8Array, archived = false): StoredEntry => ({
  id: 1_763_942_400_000_001,
  account: 1,
  direction: 'received',
  archived,
  wanted: true,
  peer: 'romeo@example.org/orchard',
  payload,
  at: Date.UTC(2026, 10, 23, 22, 5, 7, 250),
})

describe('a stored entry', () => {
  test('goes out as it came, with the time at which it was received (XEP-0203)', () => {
    const message = Stanza.of(
      {
        kind: 'message',
        type: 'chat',
        id: '1',
        lang: 'it',
        from: 'romeo@example.org/orchard' as Jid,
        to: 'juliet@example.org' as Jid,
      },
      el('body', NS_CLIENT, {}, 'È l’alba & <giorno>'),
      el('x', 'test:x'),
    )
    const read = readStored(stored(message.bytes), JULIET)
    for (const key of ['kind', 'type', 'id', 'lang', 'from', 'to'] as const) assert.equal(read[key], message[key], key)
    const delay = `<delay xmlns='urn:xmpp:delay' from='example.org' stamp='2026-11-23T22:05:07.250Z'/>`
    assert.equal(read.bytes.toString(), message.bytes.toString().replace('</message>', `${delay}</message>`))
    assert.equal(read.payload('delay', 'urn:xmpp:delay')?.attrs.from, 'example.org')
  })

  test('that is archived bears the id by which the archive is asked, before the delay (XEP-0359)', () => {
    const fields = { kind: 'message', type: 'chat', from: 'romeo@example.org/orchard' as Jid, to: JULIET } as const
    const message = Stanza.of(fields, el('body', NS_CLIENT, {}, 'a'))
    const read = readStored(stored(message.bytes, true), JULIET)
    assert.deepEqual({ ...read.payload('stanza-id', 'urn:xmpp:sid:0')?.attrs }, { by: JULIET, id: '1763942400000001' })
    assert.match(read.bytes.toString(), /<stanza-id [^>]*\/><delay /)
    assert.equal(readStored(stored(message.bytes), JULIET).has('stanza-id', 'urn:xmpp:sid:0'), false)
  })

  test('that is unreadable is an error, not another message', () => {
    for (const xml of ['', 'nonsense', '<message', '<message/>', `<message from='@'/>`])
      assert.throws(() => readStored(stored(Buffer.from(xml)), JULIET), Error, xml)
  })
})
