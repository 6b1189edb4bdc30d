import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** XEP-0352: what an inactive client is spared, and that nothing of it is lost. */

const CSI = 'urn:xmpp:csi:0'
const STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
const chat = (from: string, to: string, id: string, content: string): string =>
  `<message from='${from}' to='${to}' type='chat' id='${id}'>${content}</message>`

/** A round trip to the server, which wakes nobody; whatever came before is not expected. */
let pinged = 0
async function pings(client: XmppClient): Promise<void> {
  const id = `ping-${pinged++}`
  await client.sends(`<iq type='get' id='${id}' to='${client.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  await client.receives(`<iq type='result' id='${id}' from='${client.domain}' to='${client.jid}'/>`)
}

/** Juliet sees where Romeo is. */
async function cast({ client }: Story): Promise<Record<'romeo' | 'juliet', XmppClient>> {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await client('juliet', 'phone', { hearsPresence: true })
  await romeo.isAvailable()
  await juliet.isAvailable()
  await romeo.sends(`<presence to='${juliet.jid}'/>`)
  await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.jid}'/>`)
  return { romeo, juliet }
}
const show = (what: string, to: string): string => `<presence to='${to}'><show>${what}</show></presence>`

story('presence is kept back until the client is active again, the last one only', async (told) => {
  const { romeo, juliet } = await cast(told)
  await juliet.sends(`<inactive xmlns='${CSI}'/>`)
  await pings(juliet)
  for (const what of ['away', 'xa', 'dnd']) await romeo.sends(show(what, juliet.jid))
  await pings(romeo)
  await pings(juliet)
  await juliet.sends(`<active xmlns='${CSI}'/>`)
  await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.jid}'><show>dnd</show></presence>`)
  await juliet.receivesNothing()
})

story('a message takes along what was kept back, before it', async (told) => {
  const { romeo, juliet } = await cast(told)
  await juliet.sends(`<inactive xmlns='${CSI}'/>`)
  await pings(juliet)
  await romeo.sends(show('away', juliet.jid))
  await romeo.sends(`<message to='${juliet.bare}' type='chat' id='m1'><body>hark</body></message>`)
  await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.jid}'><show>away</show></presence>`)
  await juliet.receives(chat(romeo.jid, juliet.bare, 'm1', '<body>hark</body>'))
})

story('chat states are dropped while nobody looks, and come when somebody does', async (told) => {
  const { romeo, juliet } = await cast(told)
  await juliet.sends(`<inactive xmlns='${CSI}'/>`)
  await pings(juliet)
  await romeo.sends(`<message to='${juliet.jid}' type='chat' id='m1'>${STATE}</message>`)
  await pings(romeo)
  await pings(juliet)
  await juliet.sends(`<active xmlns='${CSI}'/>`)
  await juliet.receivesNothing()
  await romeo.sends(`<message to='${juliet.jid}' type='chat' id='m2'>${STATE}</message>`)
  await juliet.receives(chat(romeo.jid, juliet.jid, 'm2', STATE))
})

story('a request to be seen wakes the client', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await client('juliet', 'phone', { hearsPresence: true })
  await juliet.isAvailable()
  await juliet.sends(`<inactive xmlns='${CSI}'/>`)
  await pings(juliet)
  await romeo.sends(`<presence type='subscribe' to='${juliet.bare}'/>`)
  await juliet.receives(`<presence type='subscribe' from='${romeo.bare}' to='${juliet.bare}'/>`)
})

story('a resumed stream is active, and gets what was kept back', async (told) => {
  const { romeo, juliet } = await cast(told)
  await juliet.enablesAcks({ resume: true })
  await juliet.sends(`<inactive xmlns='${CSI}'/>`)
  await pings(juliet)
  await romeo.sends(show('away', juliet.jid))
  await pings(romeo)
  await pings(juliet)
  juliet.drops()
  await juliet.resumes()
  await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.jid}'><show>away</show></presence>`)
  await romeo.sends(show('dnd', juliet.jid))
  await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.jid}'><show>dnd</show></presence>`)
})

story(
  'only so much is kept back for one client',
  async (told) => {
    const { romeo, juliet } = await cast(told)
    const other = await told.client('mercutio', 'street')
    await other.isAvailable()
    await juliet.sends(`<inactive xmlns='${CSI}'/>`)
    await pings(juliet)
    await romeo.sends(show('away', juliet.jid))
    await pings(romeo)
    await pings(juliet)
    await other.sends(show('xa', juliet.jid))
    await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.jid}'><show>away</show></presence>`)
    await juliet.receives(`<presence from='${other.jid}' to='${juliet.jid}'><show>xa</show></presence>`)
  },
  { config: { features: { csi: { max_kept_back: 2 } } } },
)
