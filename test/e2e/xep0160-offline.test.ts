import assert from 'node:assert/strict'
import { bounce, story } from '../helpers/story.ts'

const delay = `<delay xmlns='urn:xmpp:delay' from='{any}' stamp='{any}'/>`

story('messages wait for an account, and come in order with the time they were sent', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await account('juliet')
  const before = new Date().toISOString()
  for (let i = 0; i < 20; i++)
    await romeo.sends(
      `<message to='${juliet}' ${i % 2 === 0 ? `type='chat' ` : ''}id='m${i}'><body>${i}</body></message>`,
    )
  await romeo.receivesNothing()
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  for (let i = 0; i < 20; i++) {
    const typed = i % 2 === 0 ? ` type='chat'` : ''
    const got = await phone.receives(
      `<message from='${romeo.jid}' to='${juliet}'${typed} id='m${i}'><body>${i}</body>${delay}</message>`,
    )
    const stamp = got.children.find((c) => typeof c !== 'string' && c.name === 'delay')
    assert.ok(typeof stamp === 'object')
    assert.match(stamp.attrs.stamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
    assert.ok((stamp.attrs.stamp ?? '') >= before.slice(0, 19) && (stamp.attrs.stamp ?? '') <= new Date().toISOString())
  }
  await phone.receivesNothing()
})

story('what waits comes before anything newer', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await account('juliet')
  for (let i = 0; i < 50; i++)
    await romeo.sends(`<message to='${juliet}' type='chat' id='m${i}'><body>${i}</body></message>`)
  const phone = await client('juliet', 'phone')
  const available = phone.isAvailable()
  for (let i = 50; i < 100; i++)
    await romeo.sends(`<message to='${juliet}' type='chat' id='m${i}'><body>${i}</body></message>`)
  await available
  for (let i = 0; i < 100; i++) assert.equal((await phone.receivesAny()).attrs.id, `m${i}`)
  await phone.receivesNothing()
})

story('headlines, errors and chat states alone do not wait', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await account('juliet')
  await romeo.sends(`<message to='${juliet}' type='headline' id='m1'><body>news</body></message>`)
  await romeo.sends(
    `<message to='${juliet}' type='chat' id='m2'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`,
  )
  await romeo.sends(`<message to='${juliet}' type='error' id='m3'><error type='cancel'/></message>`)
  await romeo.receivesNothing()
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  await phone.receivesNothing()
})

story('hints are obeyed: no-store does not wait, store does', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await account('juliet')
  await romeo.sends(
    `<message to='${juliet}' type='chat' id='m1'><body>gone</body><no-store xmlns='urn:xmpp:hints'/></message>`,
  )
  await romeo.sends(
    `<message to='${juliet}' type='chat' id='m2'><x xmlns='urn:example:x'/><store xmlns='urn:xmpp:hints'/></message>`,
  )
  await romeo.receivesNothing()
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  await phone.receives(
    `<message from='${romeo.jid}' to='${juliet}' type='chat' id='m2'><x xmlns='urn:example:x'/><store xmlns='urn:xmpp:hints'/>${delay}</message>`,
  )
  await phone.receivesNothing()
})

story('a receipt waits and is never bounced', async ({ client, account, stranger }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await account('juliet')
  await romeo.sends(
    `<message to='${juliet}/gone' type='chat' id='r1'><received xmlns='urn:xmpp:receipts' id='x'/></message>`,
  )
  await romeo.sends(`<message to='${juliet}/gone' id='r2'><received xmlns='urn:xmpp:receipts' id='y'/></message>`)
  await romeo.sends(
    `<message to='${stranger('nobody')}' id='r3'><received xmlns='urn:xmpp:receipts' id='z'/></message>`,
  )
  await romeo.receivesNothing()
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  await phone.receives(
    `<message from='${romeo.jid}' to='{any}' type='chat' id='r1'><received xmlns='urn:xmpp:receipts' id='x'/>${delay}</message>`,
  )
  await phone.receives(
    `<message from='${romeo.jid}' to='{any}' id='r2'><received xmlns='urn:xmpp:receipts' id='y'/>${delay}</message>`,
  )
  await phone.receivesNothing()
})

story(
  'a full inbox refuses what is more, with resource-constraint',
  async ({ client, account }) => {
    const romeo = await client('romeo', 'garden')
    await romeo.enablesAcks()
    const juliet = await account('juliet')
    for (let i = 0; i < 6; i++)
      await romeo.sends(`<message to='${juliet}' type='chat' id='m${i}'><body>${i}</body></message>`)
    await romeo.receives(bounce('message', { from: juliet, to: romeo.jid, id: 'm5' }, 'wait', 'resource-constraint'))
    await romeo.receivesNothing()
    await romeo.isAcknowledged()
    const phone = await client('juliet', 'phone')
    await phone.isAvailable()
    for (let i = 0; i < 5; i++) assert.equal((await phone.receivesAny()).attrs.id, `m${i}`)
    await phone.receivesNothing()
  },
  { config: { limits: { inbox: { open_entries: 5 } } } },
)

story('an encrypted payload without a body waits as well', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await account('juliet')
  const payload = `<e2e xmlns='urn:ietf:params:xml:ns:xmpp-e2e'>c2VjcmV0</e2e>`
  await romeo.sends(`<message to='${juliet}' type='chat' id='m1'>${payload}</message>`)
  await romeo.receivesNothing()
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  await phone.receives(`<message from='${romeo.jid}' to='${juliet}' type='chat' id='m1'>${payload}${delay}</message>`)
})
