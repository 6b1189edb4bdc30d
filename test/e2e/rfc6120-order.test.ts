import assert from 'node:assert/strict'
import { befriend } from '../helpers/contacts.ts'
import { story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** RFC 6120 §10.1: what one stream brings for one address, bare or full, is dealt with in its order. */

const hears = { hearsPresence: true } as const
const ROSTER = `<query xmlns='jabber:iq:roster'/>`
const PING = `<ping xmlns='urn:xmpp:ping'/>`

/** What the client hears up to the iq of that id: for each its type, or its name where it has none. */
async function heardUntil(client: XmppClient, id: string): Promise<string[]> {
  const heard: string[] = []
  for (;;) {
    const e = await client.receivesAny()
    heard.push(`${e.name}${e.attrs.type === undefined ? '' : ` ${e.attrs.type}`}`)
    if (e.attrs.id === id) return heard
  }
}

for (const type of ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed']) {
  story(`nothing overtakes '${type}' on its way to the same account`, async ({ client }) => {
    const romeo = await client('romeo', 'garden', hears)
    const juliet = await client('juliet', 'balcony', hears)
    if (type.startsWith('un')) await befriend(romeo, juliet)
    await juliet.asks('get', ROSTER)
    await juliet.isAvailable()
    if (type === 'subscribed') {
      await juliet.sends(`<presence to='${romeo.bare}' type='subscribe'/>`)
      await juliet.receivesAny()
      await romeo.asks('get', ROSTER)
    }
    await romeo.sends(
      `<presence to='${juliet.bare}' type='${type}'/>` +
        `<message to='${juliet.bare}' type='chat'><body>first</body></message>` +
        `<presence to='${juliet.jid}'><show>dnd</show></presence>` +
        `<message to='${juliet.jid}' type='headline'><body>second</body></message>` +
        `<iq to='${juliet.jid}' type='get' id='last'>${PING}</iq>`,
    )
    const heard = (await heardUntil(juliet, 'last')).filter((e) => !['iq set', 'presence unavailable'].includes(e))
    assert.deepEqual(heard, [`presence ${type}`, 'message chat', 'presence', 'message headline', 'iq get'])
  })
}
