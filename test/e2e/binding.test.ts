import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { bind, logIn, NS_BIND } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { agentElement, authenticate2, openFrom } from '../helpers/sasl2.ts'
import { bounce, PASSWORD, story } from '../helpers/story.ts'

story('the server binds the resource that was asked for', async ({ client, account }) => {
  const romeo = await client('romeo', 'orchard')
  assert.equal(romeo.jid, `${await account('romeo')}/orchard`)
})

story('the server makes a resource that cannot be guessed where none is asked for', async ({ client }) => {
  const one = await client('romeo')
  const two = await client('romeo')
  const [a = '', b = ''] = [one.jid, two.jid].map((jid) => jid.slice(jid.indexOf('/') + 1))
  assert.notEqual(a, b)
  assert.ok(a.length >= 8 && b.length >= 8)
})

story('a second stream with the same resource takes it over; the first ends with conflict', async ({ client }) => {
  const first = await client('romeo', 'orchard')
  const juliet = await client('juliet', 'balcony')
  const second = await client('romeo', 'orchard')
  await first.isDisconnected('conflict')
  assert.equal(second.jid, first.jid)
  await juliet.sends(`<message to='${second.jid}' type='chat' id='m1'><body>Who is it?</body></message>`)
  await second.receives(
    `<message from='${juliet.jid}' to='${second.jid}' type='chat' id='m1'><body>Who is it?</body></message>`,
  )
  await second.receivesNothing()
})

story(
  'a resource is prepared; one that cannot be gets jid-malformed or bad-request and may be tried again',
  async ({ connection, account }) => {
    const jid = await account('romeo')
    const c = await connection({ directTls: true })
    await logIn(c, { username: jid.split('@')[0] ?? '', password: PASSWORD })
    for (const resource of ['x'.repeat(1024), 'with&#9;tab']) {
      c.write(`<iq type='set' id='b'><bind xmlns='${NS_BIND}'><resource>${resource}</resource></bind></iq>`)
      const answer = await c.element()
      assert.equal(answer.attrs.type, 'error')
      assert.match(JSON.stringify(answer), /bad-request|jid-malformed/)
    }
    assert.equal(await bind(c, 'ok'), `${jid}/ok`)
  },
  { servers: 1 },
)

story(
  'a stream binds once',
  async ({ client }) => {
    const romeo = await client('romeo', 'orchard')
    romeo.connection.write(`<iq type='set' id='b2'><bind xmlns='${NS_BIND}'><resource>garden</resource></bind></iq>`)
    const answer = await romeo.receivesAny()
    assert.equal(answer.attrs.type, 'error')
    await romeo.receivesNothing()
  },
  { servers: 1 },
)

story(
  'a stanza before binding is refused',
  async ({ connection, account }) => {
    const jid = await account('romeo')
    const c = await connection({ directTls: true })
    await logIn(c, { username: jid.split('@')[0] ?? '', password: PASSWORD })
    c.write(`<message to='${jid}'><body>early</body></message>`)
    await c.endsWith('not-authorized')
  },
  { servers: 1 },
)

story(
  'an account has at most so many resources',
  async ({ client, device }) => {
    const first = await client('romeo', 'r0')
    for (let i = 1; i < 3; i++) await client('romeo', `r${i}`)
    const more = await device('romeo', 'r3')
    await assert.rejects(more.connects(), /resource-constraint|not-allowed/)
    await first.receivesNothing()
  },
  { config: { limits: { session: { per_account: 3 } } } },
)

story('a gone full address answers for itself', async ({ client, account }) => {
  const romeo = await client('romeo', 'orchard')
  const juliet = await client('juliet', 'balcony')
  await romeo.disconnects()
  const gone = `${await account('romeo')}/orchard`
  await juliet.sends(`<iq type='get' to='${gone}' id='v1'><query xmlns='jabber:iq:version'/></iq>`)
  await juliet.receives(bounce('iq', { from: gone, to: juliet.jid, id: 'v1' }, 'cancel', 'service-unavailable'))
})

for (const how of ['lost', 'taken over'] as const)
  story(
    `a stream that is ${how} while its device's resource is being noted leaves no session`,
    async ({ client, connection, account, domain, stores }) => {
      const nurse = await client('nurse', 'kitchen')
      const jid = await account('romeo')
      const username = jid.slice(0, jid.indexOf('@'))
      const c = await connection({ directTls: true })
      await openFrom(c, jid)
      await authenticate2(c, { username, password: PASSWORD, inline: agentElement(randomUUID()) })
      await c.features()
      const { logins } = stores
      const bound = logins.bound.bind(logins)
      const begun = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      logins.bound = async (...login) => {
        begun.resolve()
        await gate.promise
        await bound(...login)
      }
      try {
        c.write(`<iq type='set' id='b'><bind xmlns='${NS_BIND}'><resource>garden</resource></bind></iq>`)
        await begun.promise
        logins.bound = bound
        if (how === 'taken over') {
          await client('romeo', 'garden')
          assert.equal((await c.element()).attrs.type, 'result')
          await c.endsWith('conflict')
        } else {
          c.destroy()
          for (let i = 0; i < 20; i++) await nurse.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, domain)
        }
      } finally {
        logins.bound = bound
        gate.resolve()
      }
      const watch = await client('romeo', 'watch')
      const connected = async (): Promise<number> =>
        write(await watch.asks('get', `<list xmlns='urn:xmpp:cam:0'/>`)).split(`connected='true'`).length - 1
      const expected = how === 'lost' ? 1 : 2
      // It may take a moment until the loss is seen.
      for (let i = 0; i < 50 && (await connected()) !== expected; i++);
      assert.equal(await connected(), expected)
    },
    { servers: 1, config: {} },
  )
