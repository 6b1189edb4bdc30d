import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectAdmin } from '../../src/http/admin-client.ts'
import { bind, logIn } from '../helpers/login.ts'
import { ServerProcess } from '../helpers/server-process.ts'
import { PASSWORD, story } from '../helpers/story.ts'
import { XmppClient } from '../helpers/xmpp-client.ts'

const sent = (to: string, id: string): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`

for (const cut of [
  '<mess',
  `<message to='juliet' type='chat' id='m2'><body>m2`,
  `<message><body/></message><a xmlns='urn:`,
])
  story(
    `a stream that broke inside a stanza is resumed, and the stanza counts when it is whole: ${cut}`,
    async (tell) => {
      const romeo = await tell.client('romeo', 'garden', { server: 0 })
      const juliet = await tell.client('juliet', 'balcony')
      await juliet.isAvailable()
      await romeo.enablesAcks({ resume: true })
      await romeo.sends(sent(juliet.bare, 'm1'))
      const isWhole = cut.includes('</message>')
      if (isWhole) await romeo.sends(cut.slice(0, cut.indexOf('<a')))
      romeo.connection.write(isWhole ? cut.slice(cut.indexOf('<a')) : cut)
      await romeo.connection.drained()
      romeo.connection.half()
      await romeo.connection.closes()
      const sentBefore = romeo.sent
      const answer = await romeo.resumes()
      assert.equal(answer.name, 'resumed')
      assert.equal(answer.attrs.h, String(sentBefore), 'what was whole is covered, what was not is not')
      await romeo.sends(sent(juliet.bare, 'm2'))
      await romeo.isAcknowledged()
      const ids: (string | undefined)[] = []
      while (ids.at(-1) !== 'm2') {
        const { attrs } = await juliet.receivesAny()
        if (attrs.id !== undefined) ids.push(attrs.id)
      }
      assert.deepEqual(ids, ['m1', 'm2'])
      await juliet.receivesNothing()
    },
  )

story(
  'lost sessions of one account are bounded: the oldest goes first, and its messages do not',
  async ({ client, account }) => {
    const romeo = await client('romeo', 'garden')
    const juliet = await account('juliet')
    const devices: XmppClient[] = []
    for (let i = 0; i < 6; i++) {
      const device = await client('juliet', `d${i}`, { server: 0 })
      await device.enablesAcks({ resume: true })
      await device.isAvailable()
      devices.push(device)
      device.connection.half()
      await device.connection.closes()
    }
    await romeo.sends(sent(juliet, 'm1'))
    const answers: string[] = []
    for (const device of devices.toReversed()) {
      answers.push((await device.resumes()).name)
      if (answers.at(-1) === 'failed') {
        device.drops()
        continue
      }
      assert.equal((await device.receivesAny()).attrs.id, 'm1')
      device.connection.half()
      await device.connection.closes()
    }
    assert.deepEqual(answers, ['resumed', 'resumed', 'resumed', 'failed', 'failed', 'failed'])
  },
  { servers: 1, config: { limits: { session: { per_account: 3 } } } },
)

story(
  'a client may ask for less time to resume than there is, not for more (XEP-0198 §3)',
  async ({ client }) => {
    const romeo = await client('romeo', 'garden', { server: 0, hearsPresence: true })
    for (const [max, given] of [
      [undefined, '300'],
      ['301', '300'],
      ['4294967296', '300'],
      ['-1', '300'],
      ['soon', '300'],
      ['299', '299'],
    ] as const) {
      const device = await client('juliet', `d${given}`, { server: 0 })
      const answer = await device.enablesAcks({ resume: true, ...(max === undefined ? {} : { max }) })
      assert.equal(answer.attrs.max, given, max)
      await device.disconnects()
    }
    const phone = await client('juliet', 'phone', { server: 0 })
    assert.equal((await phone.enablesAcks({ resume: true, max: '1' })).attrs.max, '1')
    await phone.sends(`<presence to='${romeo.jid}'/>`)
    assert.equal((await romeo.receivesAny()).attrs.from, phone.jid)
    phone.connection.half()
    await phone.connection.closes()
    const { attrs } = await romeo.receivesAny()
    assert.deepEqual([attrs.from, attrs.type], [phone.jid, 'unavailable'])
    assert.equal((await phone.resumes()).name, 'failed')
  },
  { servers: 1, config: { limits: { session: { resume_time: '300s' } } } },
)

test('after a kill <failed h/> tells exactly what the server has, and a client sends the rest', {
  timeout: 120_000,
}, async (t) => {
  const server = await ServerProcess.prepare({ config: { log: { level: 'warn' } } })
  t.after(() => server.remove())
  await server.start()
  const admin = await connectAdmin(`${server.folder}/data`)
  for (const person of ['romeo', 'juliet']) await admin?.addAccount(`${person}@${server.domain}`, PASSWORD)
  const device = (username: string, resource: string): XmppClient =>
    new XmppClient({
      port: server.directTlsPort,
      domain: server.domain,
      directTls: true,
      login: { username, password: PASSWORD },
      resource,
    })
  const romeo = device('romeo', 'garden')
  const juliet = `juliet@${server.domain}`
  await romeo.connects()
  let next = 0
  const all: string[] = []
  let open: string[] = []
  for (let life = 0; life < 4; life++) {
    await romeo.enablesAcks({ resume: true })
    // What the last life left open, then new ones; the server dies at some answer among them.
    while (open.length < 400) open.push(`m${next++}`)
    romeo.connection.write(open.map((id) => sent(juliet, id)).join(''))
    for (let answers = 0; answers <= life; answers++) {
      romeo.connection.write(`<r xmlns='urn:xmpp:sm:3'/>`)
      for (;;) {
        const incoming = await romeo.connection.next()
        if (incoming.kind === 'element' && incoming.element.name === 'a' && incoming.element.attrs.h !== '0') break
      }
    }
    await server.end('SIGKILL')
    await romeo.connection.closes()
    await server.start()
    const answer = await romeo.resumes()
    assert.equal(answer.name, 'failed')
    const h = Number(answer.attrs.h)
    assert.ok(h > 0 && h <= open.length, `life ${life}: h ${answer.attrs.h}`)
    all.push(...open.slice(0, h))
    open = open.slice(h)
    await bind(romeo.connection, 'garden')
  }
  const phone = device('juliet', 'phone')
  await phone.connects()
  await phone.enablesAcks()
  await phone.isAvailable()
  const got: (string | undefined)[] = []
  while (got.length < all.length) got.push((await phone.receivesAny()).attrs.id)
  assert.deepEqual(got, all)
  await phone.receivesNothing()
})

story(
  'what still comes on the old connection while the new one resumes is not taken, so that it does not come twice',
  async (tell) => {
    const romeo = await tell.client('romeo', 'phone', { server: 0 })
    const nurse = await tell.client('nurse', 'kitchen', { server: 0 })
    const juliet = await tell.account('juliet')
    await romeo.enablesAcks({ resume: true })
    const gate = Promise.withResolvers<void>()
    const { inbox } = tell.stores
    const commit = inbox.commit.bind(inbox)
    let begun = 0
    inbox.commit = async (batch) => {
      if (begun++ === 0) await gate.promise
      return await commit(batch)
    }
    try {
      await romeo.sends(sent(juliet, 'm1'))
      while (begun === 0) await nurse.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, tell.domain)
      const fresh = await tell.connection({ directTls: true, server: 0 })
      const { jid } = romeo
      await logIn(fresh, { username: jid.slice(0, jid.indexOf('@')), password: PASSWORD })
      fresh.write(`<resume xmlns='urn:xmpp:sm:3' previd='${romeo.smid}' h='0'/>`)
      for (let i = 0; i < 20; i++) await nurse.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, tell.domain)
      await romeo.sends(sent(juliet, 'm2'))
      for (let i = 0; i < 20; i++) await nurse.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, tell.domain)
      gate.resolve()
      const { name, attrs } = await fresh.element()
      assert.equal(name, 'resumed')
      for (const id of ['m1', 'm2'].slice(Number(attrs.h))) fresh.write(sent(juliet, id))
      fresh.write(`<r xmlns='urn:xmpp:sm:3'/>`)
      for (let h = ''; h !== '2'; ) h = (await fresh.element()).attrs.h ?? ''
    } finally {
      gate.resolve()
      inbox.commit = commit
    }
    const device = await tell.client('juliet', 'phone', { server: 0 })
    await device.isAvailable()
    for (const id of ['m1', 'm2']) assert.equal((await device.receivesAny()).attrs.id, id)
    await device.receivesNothing()
  },
  { servers: 1, config: {} },
)

story(
  'a session that ends while its resumption waits for the store is told how far it came',
  async (tell) => {
    const romeo = await tell.client('romeo', 'phone', { server: 0 })
    const nurse = await tell.client('nurse', 'kitchen', { server: 0 })
    const juliet = await tell.account('juliet')
    await romeo.enablesAcks({ resume: true })
    const gate = Promise.withResolvers<void>()
    const { inbox } = tell.stores
    const commit = inbox.commit.bind(inbox)
    let begun = 0
    inbox.commit = async (batch) => {
      begun++
      await gate.promise
      return await commit(batch)
    }
    try {
      for (const id of ['m1', 'm2']) await romeo.sends(sent(juliet, id))
      while (begun === 0) await nurse.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, tell.domain)
      const fresh = await tell.connection({ directTls: true, server: 0 })
      const { jid } = romeo
      await logIn(fresh, { username: jid.slice(0, jid.indexOf('@')), password: PASSWORD })
      fresh.write(`<resume xmlns='urn:xmpp:sm:3' previd='${romeo.smid}' h='0'/>`)
      for (let i = 0; i < 20; i++) await nurse.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, tell.domain)
      await tell.client('romeo', 'phone', { server: 0 })
      gate.resolve()
      const { name, attrs } = await fresh.element()
      assert.deepEqual([name, attrs.h], ['failed', '2'])
    } finally {
      gate.resolve()
      inbox.commit = commit
    }
  },
  { servers: 1, config: {} },
)
