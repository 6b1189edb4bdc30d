import assert from 'node:assert/strict'
import { archiveSaid } from '../helpers/archive-samples.ts'
import { write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const RETRACT = 'urn:xmpp:message-retract:1'

/** The archive's messages, each with its id. */
async function archiveOf(client: XmppClient): Promise<Map<string, string>> {
  await client.sends(`<iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>`)
  const found = new Map<string, string>()
  for (;;) {
    const e = await client.receivesAny()
    if (e.name === 'iq') return found
    const [result] = e.children
    if (typeof result === 'object') found.set(result.attrs.id ?? '', write(result))
  }
}

story(
  'a message that is taken back is a tombstone in the archive, under its id',
  async ({ client, account, stores }) => {
    const juliet = await account('juliet')
    const romeo = await client('romeo', 'orchard')
    const mallory = await client('mallory', 'm')
    const [first = '', second = ''] = await archiveSaid(stores, juliet, [
      { from: romeo.jid, to: juliet, body: 'wrong', id: 'm1' },
      { from: romeo.jid, to: juliet, body: 'right', id: 'm2' },
    ])
    const phone = await client('juliet', 'phone')
    await phone.isAvailable()
    const wish = (of: string): string =>
      `<message to='${juliet}' type='chat' id='r-${of}'><retract xmlns='${RETRACT}' id='${of}'/><body>taken back</body></message>`
    await mallory.sends(wish('m2'))
    assert.equal((await phone.receivesAny()).attrs.id, 'r-m2')
    await romeo.sends(wish('m1'))
    assert.equal((await phone.receivesAny()).attrs.id, 'r-m1')
    // It is done beside the line: what is asked meanwhile may still be the old one.
    let archive = await archiveOf(phone)
    while (!archive.get(first)?.includes('<retracted')) archive = await archiveOf(phone)
    const buried = archive.get(first) ?? ''
    assert.match(buried, new RegExp(`<retracted xmlns='${RETRACT}' id='r-m1' stamp='[^']+'/></message>`))
    assert.doesNotMatch(buried, /wrong|<body/)
    assert.match(buried, new RegExp(`<message [^>]*from='${romeo.jid}'`))
    assert.match(archive.get(second) ?? '', /right/)
  },
)

story('it is announced', async ({ client, domain }) => {
  const romeo = await client('romeo', 'orchard')
  for (const to of [romeo.bare, domain]) {
    const info = write(await romeo.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, to))
    for (const feature of [RETRACT, `${RETRACT}#tombstone`]) assert.ok(info.includes(`var='${feature}'`))
  }
})
