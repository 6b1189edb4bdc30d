import assert from 'node:assert/strict'
import { story } from '../helpers/story.ts'

const EACH = 150

story(
  'messages from two nodes reach the devices on both, each once and in the order of its sender',
  async ({ client }) => {
    const devices = [await client('juliet', 'here', { server: 0 }), await client('juliet', 'there', { server: 1 })]
    const senders = [await client('romeo', 'garden', { server: 0 }), await client('nurse', 'kitchen', { server: 1 })]
    for (const device of devices) {
      await device.enablesAcks()
      await device.isAvailable()
    }
    const to = devices[0]?.bare ?? ''
    for (let i = 0; i < EACH; i++)
      for (const [n, sender] of senders.entries())
        sender.connection.write(`<message to='${to}' type='chat' id='${n}-${i}'><body>${i}</body></message>`)
    for (const device of devices) {
      const heard: string[] = []
      while (heard.length < 2 * EACH) {
        const stanza = await device.receivesAny()
        if (stanza.name === 'message') heard.push(stanza.attrs.id ?? '')
      }
      for (const n of [0, 1]) {
        const ids = heard.filter((id) => id.startsWith(`${n}-`))
        assert.deepEqual(
          ids,
          Array.from({ length: EACH }, (_, i) => `${n}-${i}`),
        )
      }
      await device.receivesNothing()
    }
  },
  { servers: 2 },
)

story(
  'what came before acknowledgements were enabled is not counted, and does not come again',
  async ({ client, account }) => {
    const romeo = await client('romeo', 'garden')
    const juliet = await account('juliet')
    const send = (id: string) =>
      romeo.sends(`<message to='${juliet}' type='chat' id='${id}'><body>${id}</body></message>`)
    const isHeard = async (id: string): Promise<void> => {
      // The server asks by ping whether the first ones have arrived.
      for (;;) {
        const stanza = await phone.receivesAny()
        if (stanza.name === 'message') return assert.equal(stanza.attrs.id, id)
      }
    }
    await send('m1')
    await send('m2')
    const phone = await client('juliet', 'phone', { manualAcks: true })
    await phone.isAvailable()
    await isHeard('m1')
    await isHeard('m2')
    await phone.enablesAcks()
    await send('m3')
    await isHeard('m3')
    phone.acks(1)
    await phone.disconnects()
  },
)
