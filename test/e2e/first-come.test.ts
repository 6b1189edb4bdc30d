import { story } from '../helpers/story.ts'

/** DESIGN.md section 5: what one device has taken does not come again; what nobody took does. */

const chat = (from: string, to: string, id: string): string =>
  `<message from='${from}' to='${to}' type='chat' id='${id}'><body>${id}</body></message>`
const stored = (from: string, to: string, id: string): string =>
  `<message from='${from}' to='${to}' type='chat' id='${id}'><body>${id}</body><delay xmlns='urn:xmpp:delay' from='{any}' stamp='{any}'/></message>`
const sent = (to: string, id: string): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`

story('both online devices get a message', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const phone = await client('juliet', 'phone')
  const laptop = await client('juliet', 'laptop')
  await phone.isAvailable()
  await laptop.isAvailable()
  await romeo.sends(sent(phone.bare, 'm1'))
  await phone.receives(chat(romeo.jid, phone.bare, 'm1'))
  await laptop.receives(chat(romeo.jid, phone.bare, 'm1'))
  await phone.receivesNothing()
  await laptop.receivesNothing()
})

for (const acks of [true, false]) {
  const how = acks ? 'with acknowledgements' : 'without stream management'
  story(`what one device took while the other was away does not come again, ${how}`, async ({ client, device }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    if (acks) await phone.enablesAcks()
    await phone.isAvailable()
    for (const id of ['m1', 'm2', 'm3']) await romeo.sends(sent(phone.bare, id))
    for (const id of ['m1', 'm2', 'm3']) await phone.receives(chat(romeo.jid, phone.bare, id))
    // A round trip is the take of a device without stream management: it answers the server's ping.
    if (acks) phone.acks()
    await phone.receivesNothing()
    await phone.disconnects()
    const laptop = await device('juliet', 'laptop')
    await laptop.connects()
    await laptop.isAvailable()
    if (acks) await laptop.receivesNothing()
  })
}

story('what nobody took comes to the next device, once', async ({ client, device, account }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await account('juliet')
  for (const id of ['m1', 'm2', 'm3']) await romeo.sends(sent(juliet, id))
  await romeo.receivesNothing()
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.enablesAcks()
  await phone.isAvailable()
  for (const id of ['m1', 'm2', 'm3']) await phone.receives(stored(romeo.jid, juliet, id))
  phone.acks()
  await phone.receivesNothing()
  const laptop = await device('juliet', 'laptop')
  await laptop.connects()
  await laptop.isAvailable()
  await laptop.receivesNothing()
})

story('what a device received and did not acknowledge before it was lost comes again', async ({ client, device }) => {
  const romeo = await client('romeo', 'garden')
  const phone = await client('juliet', 'phone', { manualAcks: true })
  await phone.enablesAcks()
  await phone.isAvailable()
  await romeo.sends(sent(phone.bare, 'm1'))
  const got = await phone.receivesAny()
  if (got.attrs.id !== 'm1' && got.name !== 'r') throw new Error('expected m1')
  const juliet = phone.bare
  await phone.disconnects()
  const laptop = await device('juliet', 'laptop')
  await laptop.connects()
  await laptop.isAvailable()
  await laptop.receives(stored(romeo.jid, juliet, 'm1'))
})

story(
  'a device that comes while another is online finds only what nobody has taken',
  async ({ client, device, account }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    await phone.enablesAcks()
    await phone.isAvailable()
    await romeo.sends(sent(phone.bare, 'm1'))
    await phone.receives(chat(romeo.jid, phone.bare, 'm1'))
    phone.acks()
    // Takes travel with the next batch, and another server knows them when it is committed.
    await phone.sends(sent(await account('tybalt'), 'm0'))
    await phone.isAcknowledged()
    const laptop = await device('juliet', 'laptop')
    await laptop.connects()
    await laptop.isAvailable()
    await laptop.receivesNothing()
    await romeo.sends(sent(phone.bare, 'm2'))
    await phone.receives(chat(romeo.jid, phone.bare, 'm2'))
    await laptop.receives(chat(romeo.jid, phone.bare, 'm2'))
  },
)

story('a device with negative priority takes nothing that waits', async ({ client, device, account }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await account('juliet')
  await romeo.sends(sent(juliet, 'm1'))
  const quiet = await client('juliet', 'quiet')
  await quiet.isAvailable({ priority: -1 })
  await quiet.receivesNothing()
  const phone = await device('juliet', 'phone')
  await phone.connects()
  await phone.isAvailable()
  await phone.receives(stored(romeo.jid, juliet, 'm1'))
  await quiet.receivesNothing()
})

story('a device that raises its priority from negative gets what waits', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await account('juliet')
  await romeo.sends(sent(juliet, 'm1'))
  await romeo.receivesNothing()
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable({ priority: -1 })
  await phone.receivesNothing()
  await phone.isAvailable({ priority: 3 })
  await phone.receives(stored(romeo.jid, juliet, 'm1'))
})
