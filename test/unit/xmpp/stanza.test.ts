import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { el } from '../../../src/xmpp/element.ts'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT, NS_SID } from '../../../src/xmpp/ns.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'
import { Tokenizer } from '../../../src/xmpp/tokenizer.ts'

const LIMITS = { maxBytes: 10_000, maxDepth: 10, maxElements: 100, maxAttributes: 20, maxNamespaces: 20 }
const [ANNA, BOB] = ['anna@example.org/phone' as Jid, 'bob@example.org' as Jid]
const ID = el('stanza-id', NS_SID, { id: '7', by: BOB })

function received(xml: string): Stanza<'message'> {
  const tokenizer = new Tokenizer(LIMITS)
  tokenizer.push(
    Buffer.from(
      `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>${xml}`,
    ),
  )
  tokenizer.next()
  const raw = tokenizer.next()
  assert.equal(raw?.token, 'element')
  return Stanza.received('message', raw, ANNA, BOB)
}

describe('Stanza.adding', () => {
  const body = el('body', NS_CLIENT, {}, 'ä & o')
  const made = Stanza.of({ kind: 'message', type: 'chat', id: '1', from: ANNA, to: BOB }, body)
  const came = received("<message type='chat' id='1' from='mallory@example.org'><body>ä &amp; o</body></message>")

  for (const [what, stanza] of [
    ['came in', came],
    ['came in and was looked at', (() => came.element && came)()],
    ['was made here', made],
    ['came from the store', Stanza.stored(made, made.content, made.children)],
  ] as const)
    for (const isWritten of [false, true])
      it(`is in bytes, names and tree of what ${what}${isWritten ? ', and was written before' : ''}`, () => {
        if (isWritten) assert.ok(stanza.bytes.length > 0)
        const more = stanza.adding(ID)
        const content = `<body>ä &amp; o</body><stanza-id xmlns='${NS_SID}' id='7' by='${BOB}'/>`
        assert.equal(
          more.bytes.toString(),
          `<message to='${BOB}' from='${ANNA}' id='1' type='chat'>${content}</message>`,
        )
        assert.equal(more.content.toString(), content)
        assert.equal(
          more.with({ to: ANNA }).bytes.toString(),
          `<message to='${ANNA}' from='${ANNA}' id='1' type='chat'>${content}</message>`,
        )
        assert.deepEqual(
          more.children.map((c) => c.name),
          ['body', 'stanza-id'],
        )
        assert.deepEqual(more.element.children, [body, ID])
        assert.equal(more.payload('stanza-id', NS_SID)?.attrs.id, '7')
        assert.equal(stanza.has('stanza-id', NS_SID), false)
        assert.equal(stanza.element.children.length, 1)
      })

  it('is the only content of what had none', () => {
    const empty = received("<message id='ü'/>")
    const text = `<message to='${BOB}' from='${ANNA}' id='ü'><stanza-id xmlns='${NS_SID}' id='7' by='${BOB}'/></message>`
    assert.equal(empty.adding(ID).bytes.toString(), text)
    assert.equal(empty.bytes.toString(), `<message to='${BOB}' from='${ANNA}' id='ü'/>`)
    assert.equal(empty.adding(ID).bytes.toString(), text)
  })
})
