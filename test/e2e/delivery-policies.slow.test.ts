import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { archiveSaid } from '../helpers/archive-samples.ts'
import { logIn, NS_SM } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, story } from '../helpers/story.ts'

/** DESIGN.md section 5: who is offered a message, and until when it is open. */

const chat = (from: string, to: string, id: string): string =>
  `<message from='${from}' to='${to}' type='chat' id='${id}'><body>${id}</body></message>`
const stored = (from: string, to: string, id: string): string =>
  `<message from='${from}' to='${to}' type='chat' id='${id}'><body>${id}</body><delay xmlns='urn:xmpp:delay' from='{any}' stamp='{any}'/></message>`
const sent = (to: string, id: string): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`
const exclusive = { config: { inbox: { delivery: 'exclusive', exclusive_timeout: '1s' } } }
const everyDevice = { config: { inbox: { delivery: 'every-device' } } }

story(
  'exclusive: the resource that came first is served alone, the next one when it has gone',
  async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const first = await client('juliet', 'desk1')
    const second = await client('juliet', 'desk2')
    for (const desk of [first, second]) {
      await desk.enablesAcks()
      await desk.isAvailable()
    }
    await romeo.sends(sent(first.bare, 'm1'))
    await first.receives(chat(romeo.jid, first.bare, 'm1'))
    first.acks()
    await second.receivesNothing()
    await first.disconnects()
    await romeo.sends(sent(first.bare, 'm2'))
    const got = await second.receivesAny()
    assert.equal(got.attrs.id, 'm2')
    second.acks()
    await second.receivesNothing()
  },
  exclusive,
)

story(
  'exclusive: who does not take it in time makes room for the next',
  async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const asleep = await client('juliet', 'desk1', { manualAcks: true })
    const awake = await client('juliet', 'desk2')
    for (const desk of [asleep, awake]) {
      await desk.enablesAcks()
      await desk.isAvailable()
    }
    await romeo.sends(sent(asleep.bare, 'm1'))
    await asleep.receives(chat(romeo.jid, asleep.bare, 'm1'))
    await awake.receives(stored(romeo.jid, asleep.bare, 'm1'))
    awake.acks()
    await awake.receivesNothing()
    // The next one is not for the sleeper either: its turn comes last.
    await romeo.sends(sent(asleep.bare, 'm2'))
    await awake.receives(chat(romeo.jid, asleep.bare, 'm2'))
  },
  exclusive,
)

story(
  'exclusive: what a lost device had not taken is not sent to it again',
  async ({ client, device }) => {
    const romeo = await client('romeo', 'garden')
    const first = await client('juliet', 'desk1', { manualAcks: true })
    const second = await client('juliet', 'desk2')
    const enabled = await first.enablesAcks({ resume: true })
    await first.isAvailable()
    await second.enablesAcks()
    await second.isAvailable()
    await romeo.sends(sent(first.bare, 'm1'))
    await first.receives(chat(romeo.jid, first.bare, 'm1'))
    first.drops()
    await second.receives(stored(romeo.jid, first.bare, 'm1'))
    second.acks()
    await second.receivesNothing()
    assert.ok(enabled.attrs.id)
    const again = await device('juliet', 'desk1')
    await again.connects()
    await again.isAvailable()
    await again.receivesNothing()
  },
  exclusive,
)

for (const archive of [true, false])
  story(
    `exclusive: what a device had not taken when it resumes, its old stream still open, comes again: archive ${archive}`,
    async ({ client, connection }) => {
      const romeo = await client('romeo', 'garden')
      const desk = await client('juliet', 'desk', { server: 0, manualAcks: true })
      await desk.enablesAcks({ resume: true })
      await desk.isAvailable()
      const { handled } = desk
      await romeo.sends(sent(desk.bare, 'm1'))
      await desk.receives(chat(romeo.jid, desk.bare, 'm1'))
      const c = await connection({ directTls: true, server: 0 })
      await logIn(c, { username: desk.bare.slice(0, desk.bare.indexOf('@')), password: PASSWORD })
      c.write(`<resume xmlns='${NS_SM}' previd='${desk.smid}' h='${handled}'/>`)
      assert.equal((await c.element()).name, 'resumed')
      await desk.connection.endsWith('conflict')
      for (const id of ['m1', 'm2']) {
        if (id === 'm2') await romeo.sends(sent(desk.bare, id))
        let got = await c.element()
        while (got.name !== 'message') got = await c.element()
        assert.equal(got.attrs.id, id)
      }
    },
    { config: { inbox: { delivery: 'exclusive' }, features: archive ? {} : { archive: false } } },
  )

story(
  'exclusive: a page of the archive that a lost device had asked for comes whole when it resumes',
  async ({ client, account, stores }) => {
    const romeo = await account('romeo')
    const juliet = await account('juliet')
    await archiveSaid(stores, juliet, [
      { from: `${romeo}/a`, to: juliet, body: '1' },
      { from: `${juliet}/b`, to: romeo, body: '2' },
      { from: `${romeo}/a`, to: juliet, body: '3' },
    ])
    const desk = await client('juliet', 'desk1', { manualAcks: true })
    await desk.enablesAcks({ resume: true })
    await desk.isAvailable()
    desk.acks()
    const h = desk.handled
    await desk.sends(`<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2'/></iq>`)
    const page = async (): Promise<string> => {
      const heard: string[] = []
      for (;;) {
        const e = await desk.receivesAny()
        if (e.attrs.id === 'page') return heard.join('')
        heard.push(/<body>(.)/.exec(write(e))?.[1] ?? '')
      }
    }
    assert.equal(await page(), '123')
    desk.drops()
    assert.equal((await desk.resumes({ h })).name, 'resumed')
    assert.equal(await page(), '123', 'it has none of it yet')
  },
  exclusive,
)

story(
  'every-device: each known device gets each message, now or when it next comes',
  async ({ client, device }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    const laptop = await client('juliet', 'laptop')
    for (const one of [phone, laptop]) {
      await one.enablesAcks()
      await one.isAvailable()
    }
    const juliet = phone.bare
    await romeo.sends(sent(juliet, 'm1'))
    for (const one of [phone, laptop]) {
      await one.receives(chat(romeo.jid, juliet, 'm1'))
      one.acks()
      await one.receivesNothing()
    }
    await laptop.disconnects()
    for (const id of ['m2', 'm3']) {
      await romeo.sends(sent(juliet, id))
      await phone.receives(chat(romeo.jid, juliet, id))
    }
    phone.acks()
    await phone.receivesNothing()
    const back = await device('juliet', 'laptop')
    await back.connects()
    await back.enablesAcks()
    await back.isAvailable()
    for (const id of ['m2', 'm3']) await back.receives(stored(romeo.jid, juliet, id))
    back.acks()
    await back.receivesNothing()
    await back.disconnects()
    // Taken by both: neither gets it again. A new device finds nothing that anybody has to take.
    for (const resource of ['phone', 'laptop', 'tablet']) {
      if (resource === 'phone') await phone.disconnects()
      const next = await device('juliet', resource)
      await next.connects()
      await next.isAvailable()
      await next.receivesNothing()
      await next.disconnects()
    }
  },
  everyDevice,
)

story('an account may have a policy of its own, changed while its devices are there', async ({ client, servers }) => {
  const romeo = await client('romeo', 'garden')
  const first = await client('juliet', 'desk1')
  const second = await client('juliet', 'desk2')
  for (const desk of [first, second]) {
    await desk.enablesAcks()
    await desk.isAvailable()
  }
  const admin = servers[0]?.running.admin
  await admin?.setDelivery(first.bare, 'exclusive')
  await romeo.sends(sent(first.bare, 'm1'))
  await first.receives(chat(romeo.jid, first.bare, 'm1'))
  await second.receivesNothing()
  first.acks()
  await second.receivesNothing()
  await first.receivesNothing()
  await admin?.setDelivery(first.bare, undefined)
  await romeo.sends(sent(first.bare, 'm2'))
  await first.receives(chat(romeo.jid, first.bare, 'm2'))
  // It reads the log first, so it may come as a stored one.
  assert.equal((await second.receivesAny()).attrs.id, 'm2')
})

story('an account chooses its policy itself, by a command of its client', async ({ client }) => {
  const NS = 'http://jabber.org/protocol/commands'
  const romeo = await client('romeo', 'garden')
  const first = await client('juliet', 'desk1')
  const second = await client('juliet', 'desk2')
  for (const desk of [first, second]) {
    await desk.enablesAcks()
    await desk.isAvailable()
  }
  const chooses = async (policy: string): Promise<string | undefined> => {
    const form = await first.asks('set', `<command xmlns='${NS}' node='delivery-policy' action='execute'/>`)
    const [command] = form.children as readonly Element[]
    const done = await first.asks(
      'set',
      `<command xmlns='${NS}' node='delivery-policy' sessionid='${command?.attrs.sessionid}' action='complete'>
         <x xmlns='jabber:x:data' type='submit'><field var='policy'><value>${policy}</value></field></x></command>`,
    )
    return done.attrs.type
  }
  assert.equal(await chooses('all to me'), 'error')
  assert.equal(await chooses('exclusive'), 'result')
  await romeo.sends(sent(first.bare, 'm1'))
  await first.receives(chat(romeo.jid, first.bare, 'm1'))
  await second.receivesNothing()
})

story(
  'every-device: a device that was there before the first message is known too',
  async ({ client, device }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    const laptop = await client('juliet', 'laptop')
    for (const one of [phone, laptop]) {
      await one.enablesAcks()
      await one.isAvailable()
    }
    await laptop.disconnects()
    await romeo.sends(sent(phone.bare, 'm1'))
    await phone.receives(chat(romeo.jid, phone.bare, 'm1'))
    phone.acks()
    await phone.receivesNothing()
    const back = await device('juliet', 'laptop')
    await back.connects()
    await back.isAvailable()
    await back.receives(stored(romeo.jid, phone.bare, 'm1'))
    // A new one begins with what nobody has taken.
    const tablet = await client('juliet', 'tablet')
    await tablet.isAvailable()
    await tablet.receivesNothing()
  },
  everyDevice,
)
