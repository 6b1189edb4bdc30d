import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** XEP-0280: an account's devices see what the others send and receive. */

const NS = 'urn:xmpp:carbons:2'
const forwarded = (direction: 'sent' | 'received', of: XmppClient, type: string, inner: string): string =>
  `<message from='${of.bare}' to='${of.jid}'${type === 'normal' ? '' : ` type='${type}'`}><${direction} xmlns='${NS}'><forwarded xmlns='urn:xmpp:forward:0'>${inner}</forwarded></${direction}></message>`
const message = (from: string, to: string, type: string, id: string, content: string): string =>
  `<message xmlns='jabber:client' from='${from}' to='${to}'${type === 'normal' ? '' : ` type='${type}'`} id='${id}'>${content}</message>`

/** Romeo with a phone and a laptop that has carbons, and Juliet. */
async function cast({ client }: Story): Promise<Record<'phone' | 'laptop' | 'juliet', XmppClient>> {
  const phone = await client('romeo', 'phone')
  const laptop = await client('romeo', 'laptop')
  const juliet = await client('juliet', 'balcony')
  for (const one of [phone, laptop, juliet]) await one.isAvailable()
  await laptop.sends(`<iq type='set' id='c1'><enable xmlns='${NS}'/></iq>`)
  await laptop.receives(`<iq type='result' id='c1' from='${laptop.bare}' to='${laptop.jid}'/>`)
  return { phone, laptop, juliet }
}

story('a message to one device is copied to the other', async (told) => {
  const { phone, laptop, juliet } = await cast(told)
  await juliet.sends(`<message to='${phone.jid}' type='chat' id='m1'><body>Wherefore?</body></message>`)
  const sent = message(juliet.jid, phone.jid, 'chat', 'm1', '<body>Wherefore?</body>')
  await phone.receives(sent)
  await laptop.receives(forwarded('received', laptop, 'chat', sent))
  await juliet.receivesNothing()
  await laptop.receivesNothing()
})

story('what one device sends is copied to the other, and not to itself', async (told) => {
  const { phone, laptop, juliet } = await cast(told)
  await phone.sends(`<message to='${juliet.bare}' type='chat' id='m1'><body>It is my lady</body></message>`)
  const sent = message(phone.jid, juliet.bare, 'chat', 'm1', '<body>It is my lady</body>')
  await juliet.receives(sent)
  await laptop.receives(forwarded('sent', laptop, 'chat', sent))
  await phone.receivesNothing()
})

story('a message to all devices is copied to none of them; one with negative priority gets a copy', async (told) => {
  const { phone, laptop, juliet } = await cast(told)
  await juliet.sends(`<message to='${phone.bare}' type='chat' id='m1'><body>one</body></message>`)
  const one = message(juliet.jid, phone.bare, 'chat', 'm1', '<body>one</body>')
  await phone.receives(one)
  await laptop.receives(one)
  await laptop.receivesNothing()
  await laptop.sends('<presence><priority>-1</priority></presence>')
  await laptop.receivesNothing()
  await juliet.sends(`<message to='${phone.bare}' type='chat' id='m2'><body>two</body></message>`)
  const two = message(juliet.jid, phone.bare, 'chat', 'm2', '<body>two</body>')
  await phone.receives(two)
  await laptop.receives(forwarded('received', laptop, 'chat', two))
})

for (const [what, type, content, isCopied] of [
  ['a chat state', 'chat', "<composing xmlns='http://jabber.org/protocol/chatstates'/>", true],
  ['a normal message with a body', 'normal', '<body>x</body>', true],
  ['a receipt', 'normal', "<received xmlns='urn:xmpp:receipts' id='x'/>", true],
  ['a private message', 'chat', `<body>x</body><private xmlns='${NS}'/>`, false],
  ['one that is not to be copied', 'chat', "<body>x</body><no-copy xmlns='urn:xmpp:hints'/>", false],
  ['what a room says', 'chat', "<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>", false],
  ["a room's invitation", 'normal', "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>", true],
  ['a direct invitation', 'normal', "<x xmlns='jabber:x:conference' jid='room@rooms.example'/>", true],
  ['a headline', 'headline', '<subject>x</subject>', false],
] as const) {
  story(`${what} is ${isCopied ? 'copied' : 'not copied'}`, async (told) => {
    const { phone, laptop, juliet } = await cast(told)
    await juliet.sends(message('', phone.jid, type, 'm1', content).replace(" from=''", ''))
    const sent = message(juliet.jid, phone.jid, type, 'm1', content)
    await phone.receives(sent)
    if (isCopied) await laptop.receives(forwarded('received', laptop, type, sent))
    await laptop.receivesNothing()
  })
}

story('who has switched copies off again gets none', async (told) => {
  const { phone, laptop, juliet } = await cast(told)
  await laptop.sends(`<iq type='set' id='c2'><disable xmlns='${NS}'/></iq>`)
  await laptop.receives(`<iq type='result' id='c2' from='${laptop.bare}' to='${laptop.jid}'/>`)
  await juliet.sends(`<message to='${phone.jid}' type='chat' id='m1'><body>x</body></message>`)
  await phone.receives(message(juliet.jid, phone.jid, 'chat', 'm1', '<body>x</body>'))
  await laptop.receivesNothing()
})

story("nobody switches on copies of somebody else's messages", async (told) => {
  const { phone, juliet } = await cast(told)
  await juliet.sends(`<iq type='set' id='c3' to='${phone.bare}'><enable xmlns='${NS}'/></iq>`)
  await juliet.receives(
    `<iq type='error' id='c3' from='${phone.bare}' to='${juliet.jid}'><enable xmlns='${NS}'/><error type='cancel'>{...}<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
  )
})
