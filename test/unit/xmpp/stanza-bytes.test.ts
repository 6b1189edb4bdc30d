import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { el } from '../../../src/xmpp/element.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { stanzaBytes } from '../../../src/xmpp/stanza-bytes.ts'

const NONE = { id: undefined, to: undefined, lang: undefined, content: Buffer.alloc(0) }

describe('stanzaBytes', () => {
  it('writes attributes in order, and no type that goes without saying', () => {
    const content = Buffer.from('<body>ä</body>')
    const chat = { kind: 'message', type: 'chat', id: '1', from: 'a@b/c', to: 'd@e', lang: 'de', content }
    assert.equal(
      stanzaBytes(chat).toString(),
      "<message to='d@e' from='a@b/c' id='1' type='chat' xml:lang='de'><body>ä</body></message>",
    )
    assert.equal(stanzaBytes({ ...NONE, kind: 'message', type: 'normal', from: 'a' }).toString(), "<message from='a'/>")
    assert.equal(stanzaBytes({ ...NONE, kind: 'presence', type: '', from: 'a' }).toString(), "<presence from='a'/>")
  })

  it('writes what serialize does, whatever the attributes hold', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '@', '/', "'", '"', '&', '<', '>', '\n', 'ä', '😀', '\uffff', '\x7f'),
    })
    const maybe = fc.option(text, { nil: undefined })
    const body = fc.constantFrom('', 'hello', 'ä')
    fc.assert(
      fc.property(text, maybe, maybe, maybe, text, body, (from, to, id, lang, type, said) => {
        const child = said === '' ? [] : [el('body', NS_CLIENT, {}, said)]
        const attrs: Record<string, string> = {}
        if (to !== undefined) attrs.to = to
        attrs.from = from
        if (id !== undefined) attrs.id = id
        if (type !== '') attrs.type = type
        if (lang !== undefined) attrs['xml:lang'] = lang
        const content = Buffer.from(child.map((c) => serialize(c, NS_CLIENT)).join(''))
        const written = stanzaBytes({ kind: 'iq', type, id, from, to, lang, content })
        assert.equal(written.toString(), serialize(el('iq', NS_CLIENT, attrs, ...child), NS_CLIENT))
      }),
    )
  })
})
