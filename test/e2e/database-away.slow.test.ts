import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAdmin } from '../../src/http/admin-client.ts'
import { openStores } from '../../src/storage/open.ts'
import type { Element } from '../../src/xmpp/element.ts'
import { type CuttingProxy, cuttingProxy } from '../helpers/cutting-proxy.ts'
import { LoginRefused } from '../helpers/login.ts'
import { ServerProcess } from '../helpers/server-process.ts'
import { withPostgres } from '../helpers/test-database.ts'
import { XmppClient } from '../helpers/xmpp-client.ts'
import { postgresFolder } from '../setup/packages.ts'
import { startPostgres } from '../setup/postgres.ts'

const PASSWORD = 'a password, 123'

/** The program on a database behind a proxy, with devices of its accounts. */
interface Scene {
  readonly server: ServerProcess
  readonly proxy: CuttingProxy
  /** Connected and bound, with XEP-0198. The account is made when it is first named. */
  device(person: string, resource: string, options?: { readonly manualAcks?: boolean }): Promise<XmppClient>
}

async function scene(t: TestContext, databaseUrl: string): Promise<Scene> {
  const proxy = await cuttingProxy(databaseUrl)
  t.after(() => proxy.close())
  const server = await ServerProcess.prepare({ databaseUrl: proxy.url, config: { log: { level: 'warn' } } })
  t.after(() => server.remove())
  await server.start()
  const admin = await connectAdmin(join(server.folder, 'data'))
  const known = new Set<string>()
  return {
    server,
    proxy,
    device: async (person, resource, options = {}) => {
      if (!known.has(person)) await admin?.addAccount(`${person}@${server.domain}`, PASSWORD)
      known.add(person)
      const client = new XmppClient({
        port: server.directTlsPort,
        domain: server.domain,
        directTls: true,
        login: { username: person, password: PASSWORD },
        resource,
        ...options,
      })
      await client.connects()
      await client.enablesAcks({ resume: true })
      t.after(() => client.drops())
      return client
    },
  }
}
const sent = (to: string, id: string): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`
/** A request to the server, which needs no database. */
async function isServed(client: XmppClient): Promise<void> {
  const answer = await client.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, client.domain)
  assert.equal(answer.attrs.type, 'result')
}
async function receives(client: XmppClient, ids: readonly string[]): Promise<void> {
  const got: (string | undefined)[] = []
  while (got.length < ids.length) got.push((await client.receivesAny()).attrs.id)
  assert.deepEqual(got, ids)
  await client.receivesNothing()
}
const conditionOf = (stanza: Element): string | undefined => {
  const error = stanza.children.find((c): c is Element => typeof c !== 'string' && c.name === 'error')
  const condition = error?.children.find((c): c is Element => typeof c !== 'string' && c.name !== 'text')
  return error === undefined ? undefined : `${error.attrs.type} ${condition?.name}`
}

/**
 * While the database is away nothing is acknowledged and everybody stays; when it is back everything is acknowledged and
 * delivered, once and in order.
 */
async function survives(
  { device }: Scene,
  goesAway: () => void | Promise<void>,
  comesBack: () => void | Promise<void>,
  whileAway: (romeo: XmppClient) => Promise<void> = async () => {},
): Promise<void> {
  const romeo = await device('romeo', 'garden')
  const juliet = await device('juliet', 'balcony')
  const nurse = await device('nurse', 'hall')
  for (const one of [juliet, nurse]) await one.isAvailable()
  await romeo.sends(sent(juliet.bare, 'before'))
  await receives(juliet, ['before'])
  await romeo.isAcknowledged()
  const settled = romeo.acknowledged

  await goesAway()
  const ids = Array.from({ length: 20 }, (_, i) => `m${i}`)
  for (const id of ids) await romeo.sends(sent(juliet.bare, id))
  for (const one of [romeo, juliet, nurse]) await isServed(one)
  assert.equal(await romeo.asksForAck(), settled, 'nothing is acknowledged')
  await juliet.receivesNothing()
  await whileAway(romeo)
  for (const one of [romeo, juliet, nurse]) await isServed(one)

  await comesBack()
  await receives(juliet, ids)
  await romeo.isAcknowledged()
  juliet.acks()
  for (const one of [romeo, juliet, nurse]) await isServed(one)
  const tablet = await device('juliet', 'tablet')
  await tablet.isAvailable()
  await tablet.receivesNothing()
}

withPostgres('a database that does not answer holds up acknowledgements and nothing else', async (databaseUrl, t) => {
  const play = await scene(t, databaseUrl)
  await survives(
    play,
    () => play.proxy.stalls(),
    () => play.proxy.flows(),
  )
})

withPostgres(
  'without database messages are refused with resource-constraint or stay unacknowledged, and sessions stay up',
  async (databaseUrl, t) => {
    const play = await scene(t, databaseUrl)
    const stranger = await play.device('stranger', 'street')
    await stranger.disconnects()
    const { server, proxy } = play
    // A new start has nobody's account in memory but of those who are there.
    await server.end('SIGTERM')
    await server.start()
    await survives(
      play,
      () => proxy.refuses(),
      () => proxy.flows(),
      async (romeo) => {
        await romeo.sends(sent(`stranger@${server.domain}`, 'refused'))
        const bounce = await romeo.receivesAny()
        assert.equal(bounce.attrs.id, 'refused')
        assert.equal(conditionOf(bounce), 'wait resource-constraint')
        // Nobody comes in meanwhile, and it is nobody's fault.
        await assert.rejects(play.device('juliet', 'tablet'), (error) => {
          assert.ok(error instanceof LoginRefused, String(error))
          assert.equal(error.condition, 'temporary-auth-failure')
          return true
        })
      },
    )
  },
)

withPostgres('what needs the database and cannot have it ends nobody’s session', async (databaseUrl, t) => {
  const { device, proxy } = await scene(t, databaseUrl)
  const phone = await device('romeo', 'phone')
  const laptop = await device('romeo', 'laptop')
  const juliet = await device('juliet', 'balcony')
  await juliet.isAvailable()
  // From now on the account has to be loaded anew.
  await phone.asks('set', `<query xmlns='jabber:iq:roster'><item jid='${juliet.bare}'/></query>`)
  await proxy.refuses()
  const contact = `<item jid='nurse@${phone.domain}'/>`
  for (const [type, request] of [
    ['get', `<query xmlns='jabber:iq:roster'/>`],
    ['set', `<query xmlns='jabber:iq:roster'>${contact}</query>`],
    ['set', `<query xmlns='urn:xmpp:mam:2'/>`],
  ] as const) {
    const answer = await phone.asks(type, request)
    assert.equal(answer.attrs.type, 'error', request)
  }
  // An error, or an answer where the account was looked at before.
  await phone.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`)
  await phone.sends('<presence/>')
  await laptop.sends('<presence><priority>-1</priority></presence>')
  await laptop.sends('<presence><priority>1</priority></presence>')
  await laptop.sends(`<presence type='subscribe' to='${juliet.bare}'/>`)
  await laptop.sends(`<presence type='unavailable'/>`)
  await laptop.sends('<presence/>')
  juliet.drops()
  for (const one of [phone, laptop]) await isServed(one)
  await proxy.flows()
  assert.equal((await juliet.resumes()).name, 'resumed')
  await phone.asks('get', `<query xmlns='jabber:iq:roster'/>`)
  // Both are there, as they said while nobody could look.
  await juliet.sends(sent(phone.bare, 'm1'))
  for (const one of [phone, laptop]) {
    for (;;) if ((await one.receivesAny()).attrs.id === 'm1') break
  }
  await juliet.isAcknowledged()
})

withPostgres('a slow database slows down who sends a lot, and nobody else', async (databaseUrl, t) => {
  const { device, proxy } = await scene(t, databaseUrl)
  const romeo = await device('romeo', 'garden')
  const juliet = await device('juliet', 'balcony')
  const nurse = await device('nurse', 'hall')
  await juliet.isAvailable()
  await romeo.sends(sent(juliet.bare, 'before'))
  await receives(juliet, ['before'])
  proxy.crawls(50)
  const ids = Array.from({ length: 3_000 }, (_, i) => `m${i}`)
  const sending = Promise.all(ids.map((id) => romeo.sends(sent(juliet.bare, id))))
  const arriving = (async () => {
    for (const id of ids) assert.equal((await juliet.receivesAny()).attrs.id, id)
  })()
  let pings = 0
  let isOver = false
  const pinging = (async () => {
    while (!isOver) {
      await isServed(nurse)
      pings++
    }
  })()
  await sending
  await romeo.isAcknowledged()
  isOver = true
  await Promise.all([arriving, pinging])
  assert.ok(pings >= 10, `${pings} answers while the database was slow`)
  await juliet.receivesNothing()
})

withPostgres('what a device takes while its log is being read is not given to it again', async (databaseUrl, t) => {
  const { device, proxy } = await scene(t, databaseUrl)
  const romeo = await device('romeo', 'garden')
  const phone = await device('juliet', 'phone', { manualAcks: true })
  const laptop = await device('juliet', 'laptop', { manualAcks: true })
  for (const one of [phone, laptop]) await one.isAvailable()
  await romeo.sends(sent(phone.bare, 'm1'))
  for (const one of [phone, laptop]) for (;;) if ((await one.receivesAny()).attrs.id === 'm1') break
  await romeo.isAcknowledged()
  proxy.stalls()
  // What the laptop did not take is offered again: the phone reads its log, and takes the message before the answer is there.
  laptop.connection.write('</stream:stream>')
  await laptop.connection.closes()
  await isServed(romeo)
  phone.acks()
  await romeo.asksForAck()
  await proxy.flows()
  await romeo.sends(sent(phone.bare, 'm2'))
  const ids: (string | undefined)[] = []
  while (ids.at(-1) !== 'm2') {
    const stanza = await phone.receivesAny()
    if (stanza.name === 'message') ids.push(stanza.attrs.id)
  }
  assert.deepEqual(ids, ['m2'])
})

const programs = postgresFolder()
const skip = programs === undefined || process.env.FERNRUF_TEST_POSTGRES === undefined ? 'PostgreSQL is missing' : false
test('PostgreSQL itself may be killed and come back', { skip }, async (t) => {
  const postgres = await startPostgres(programs ?? '')
  t.after(() => postgres.stop())
  const stores = await openStores({ databaseUrl: postgres.url, dataDir: '', connections: 1 })
  await stores.migrate()
  await stores.close()
  const play = await scene(t, postgres.url)
  await survives(
    play,
    () => postgres.crash(),
    () => postgres.restart(),
  )
})
