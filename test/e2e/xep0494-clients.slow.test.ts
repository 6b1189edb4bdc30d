import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Element } from '../../src/xmpp/element.ts'
import { LoginRefused } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { agentElement, authenticate2, elements, has, NS_BIND2, NS_FAST, openFrom, text, the } from '../helpers/sasl2.ts'
import { bounce, PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

const NS_CLIENTS = 'urn:xmpp:cam:0'
const LIST = `<list xmlns='${NS_CLIENTS}'/>`
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))

interface Phone {
  readonly c: XmppConnection
  readonly jid: string
  readonly agent: string
  readonly token: string
}
async function phone(tell: Story, name: string): Promise<Phone> {
  const account = await tell.account('romeo')
  const agent = randomUUID()
  const c = await tell.connection({ directTls: true })
  await openFrom(c, account)
  const names = `<software>Kontalk</software><device>${name}</device>`
  const inline = `${agentElement(agent, names)}<bind xmlns='${NS_BIND2}'><tag>${name}</tag></bind>
    <request-token xmlns='${NS_FAST}' mechanism='HT-SHA-256-NONE'/>`
  const success = await authenticate2(c, { username: local(account), password: PASSWORD, inline })
  await c.features()
  const jid = text(the(success, 'authorization-identifier'))
  return { c, jid, agent, token: the(success, 'token').attrs.token ?? '' }
}
async function comes(tell: Story, { agent, token }: Phone): Promise<string> {
  const account = await tell.account('romeo')
  const c = await tell.connection({ directTls: true })
  await openFrom(c, account)
  const login = { mechanism: 'HT-SHA-256-NONE', username: local(account), password: token, agent }
  try {
    return (await authenticate2(c, { ...login, inline: `<fast xmlns='${NS_FAST}'/>` })).name
  } catch (error) {
    if (error instanceof LoginRefused) return error.condition
    throw error
  } finally {
    c.destroy()
  }
}
async function clientsOf(client: XmppClient): Promise<readonly Element[]> {
  return elements(the(await client.asks('get', LIST), 'clients'))
}
const nameOf = (client: Element): string | undefined =>
  has(client, 'user-agent') ? text(the(the(client, 'user-agent'), 'device')) : undefined

story('an account’s owner sees who may come in', async (tell) => {
  const owner = await tell.client('romeo', 'desk')
  const mobile = await phone(tell, 'mobile')
  const tablet = await phone(tell, 'tablet')
  tablet.c.write('</stream:stream>')
  await tablet.c.closes()
  await tell.client('juliet', 'balcony')
  const clients = await clientsOf(owner)
  assert.deepEqual(clients.map(nameOf), ['tablet', 'mobile', undefined])
  assert.deepEqual(
    clients.map((e) => e.attrs.connected),
    ['false', 'true', 'true'],
  )
  const [, shown] = clients
  assert.ok(shown !== undefined)
  assert.equal(shown.attrs.type, 'session')
  assert.deepEqual(
    elements(shown).map((e) => e.name),
    ['first-seen', 'last-seen', 'auth', 'permission', 'user-agent'],
  )
  assert.deepEqual(
    elements(the(shown, 'auth')).map((e) => e.name),
    ['password', 'fast'],
  )
  assert.ok(Math.abs(Date.parse(text(the(shown, 'last-seen'))) - Date.now()) < 60_000)
  assert.ok(!write(shown).includes(mobile.agent))
  assert.ok((shown.attrs.id ?? '').length >= 22)
  assert.equal(new Set(clients.map((e) => e.attrs.id)).size, 3)
})

story(
  'a revoked client is logged out and its token gone; who knows the password is said to need another',
  async (tell) => {
    const owner = await tell.client('romeo', 'desk')
    const mobile = await phone(tell, 'mobile')
    const tablet = await phone(tell, 'tablet')
    assert.equal(await comes(tell, mobile), 'success')
    const find = async (name: string) => (await clientsOf(owner)).find((e) => nameOf(e) === name)
    const id = (await find('mobile'))?.attrs.id ?? ''
    const answer = await owner.asks('set', `<revoke xmlns='${NS_CLIENTS}' id='${id}'/>`)
    assert.match(write(answer), /<service-unavailable [^>]*\/>/)
    assert.equal(the(the(answer, 'error'), 'password-reset-required').ns, NS_CLIENTS)
    await mobile.c.endsWith('not-authorized')
    assert.equal(await comes(tell, mobile), 'credentials-expired')
    assert.equal(await comes(tell, tablet), 'success', 'no other one is touched')
    const still = await find('mobile')
    assert.ok(still !== undefined, 'it may come again, so it is shown')
    assert.deepEqual(
      elements(the(still, 'auth')).map((e) => e.name),
      ['password'],
    )

    // With another password, none of them is anything any more.
    await tell.servers[0]?.running.admin.setPassword(await tell.account('romeo'), 'another password')
    const again = await tell.client('romeo', 'desk', { login: { password: 'another password' } })
    const left = (await clientsOf(again)).find((e) => nameOf(e) === 'mobile')
    assert.deepEqual(elements(the(left as Element, 'auth')), [])
    const done = await again.asks('set', `<revoke xmlns='${NS_CLIENTS}' id='${id}'/>`)
    assert.equal(done.attrs.type, 'result')
    assert.ok(!(await clientsOf(again)).some((e) => nameOf(e) === 'mobile'))
  },
)

story(
  'a client that comes while it is being revoked is logged out as well',
  async (tell) => {
    const owner = await tell.client('romeo', 'desk')
    const mobile = await phone(tell, 'mobile')
    mobile.c.write('</stream:stream>')
    await mobile.c.closes()
    const id = (await clientsOf(owner)).find((e) => nameOf(e) === 'mobile')?.attrs.id ?? ''
    const { logins } = tell.stores
    const revoke = logins.revoke.bind(logins)
    const asked = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    logins.revoke = async (...of) => {
      asked.resolve()
      await gate.promise
      await revoke(...of)
    }
    const answer = owner.asks('set', `<revoke xmlns='${NS_CLIENTS}' id='${id}'/>`)
    await asked.promise
    const account = await tell.account('romeo')
    const c = await tell.connection({ directTls: true })
    await openFrom(c, account)
    const inline = `<fast xmlns='${NS_FAST}'/><bind xmlns='${NS_BIND2}'><tag>mobile</tag></bind>`
    const login = { username: local(account), password: mobile.token, agent: mobile.agent, inline }
    const success = await authenticate2(c, { mechanism: 'HT-SHA-256-NONE', ...login })
    assert.equal(text(the(success, 'authorization-identifier')), mobile.jid)
    gate.resolve()
    await c.endsWith('not-authorized')
    assert.ok(has(the(await answer, 'error'), 'password-reset-required'))
  },
  { config: {} },
)

story('a session of a client that does not say which it is is shown, and ended', async (tell) => {
  const owner = await tell.client('romeo', 'desk')
  const old = await tell.client('romeo', 'old')
  const clients = await clientsOf(owner)
  assert.equal(clients.length, 2)
  for (const { attrs } of clients) {
    const answer = await owner.asks('set', `<revoke xmlns='${NS_CLIENTS}' id='${attrs.id}'/>`)
    assert.ok(has(the(answer, 'error'), 'password-reset-required'))
  }
  await old.isDisconnected('not-authorized')
  // Whoever asked for it stays, to hear the answer.
  assert.equal((await clientsOf(owner)).length, 1)
})

story('nobody sees or revokes what is another’s', async (tell) => {
  const mobile = await phone(tell, 'mobile')
  const romeo = await tell.account('romeo')
  const owner = await tell.client('romeo', 'desk')
  const id = (await clientsOf(owner)).find((e) => nameOf(e) === 'mobile')?.attrs.id ?? ''
  const juliet = await tell.client('juliet', 'balcony')
  assert.equal((await juliet.asks('get', LIST, romeo)).attrs.type, 'error')
  assert.equal((await juliet.asks('set', `<revoke xmlns='${NS_CLIENTS}' id='${id}'/>`, romeo)).attrs.type, 'error')
  await juliet.sends(`<iq type='set' id='r1'><revoke xmlns='${NS_CLIENTS}' id='${id}'/></iq>`)
  await juliet.receives(bounce('iq', { id: 'r1', from: juliet.bare, to: juliet.jid }, 'cancel', 'item-not-found'))
  await juliet.sends(`<iq type='set' id='r2'><revoke xmlns='${NS_CLIENTS}'/></iq>`)
  await juliet.receives(bounce('iq', { id: 'r2', from: juliet.bare, to: juliet.jid }, 'modify', 'bad-request'))
  assert.equal(await comes(tell, mobile), 'success')
})
