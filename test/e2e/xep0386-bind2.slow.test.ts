import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Element } from '../../src/xmpp/element.ts'
import { LoginRefused, NS_SM } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { authenticate2, elements, has, NS_BIND2, openFrom, text, the } from '../helpers/sasl2.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const bindElement = (tag = '', rest = ''): string =>
  `<bind xmlns='${NS_BIND2}'>${tag === '' ? '' : `<tag>${tag}</tag>`}${rest}</bind>`

interface Session {
  readonly c: XmppConnection
  readonly success: Element
  readonly features: Element
  readonly jid: string
}
async function logsIn(
  tell: Story,
  person: string,
  options: { readonly agent?: string; readonly inline: string; readonly server?: number },
): Promise<Session> {
  const account = await tell.account(person)
  const { agent, inline, server } = options
  const c = await tell.connection({ directTls: true, ...(server === undefined ? {} : { server }) })
  await openFrom(c, account)
  const login = { username: local(account), password: PASSWORD, inline, ...(agent === undefined ? {} : { agent }) }
  const success = await authenticate2(c, login)
  const features = await c.features()
  return { c, success, features, jid: text(the(success, 'authorization-identifier')) }
}
async function resumes(
  tell: Story,
  account: string,
  inline: string,
): Promise<{ readonly c: XmppConnection; readonly success: Element }> {
  const c = await tell.connection({ directTls: true, server: 0 })
  await openFrom(c, account)
  return { c, success: await authenticate2(c, { username: local(account), password: PASSWORD, inline }) }
}

story('a login binds a resource made of the tag and a generated part', async (tell) => {
  const { c, success, features, jid } = await logsIn(tell, 'romeo', { inline: bindElement('Awesome XMPP') })
  const account = await tell.account('romeo')
  // 144 bits in base64url.
  assert.match(jid.slice(account.length), /^\/Awesome XMPP\/[\w-]{24}$/)
  // An empty archive has no ends (XEP-0313 §5.2).
  assert.deepEqual(
    elements(the(success, 'bound')).map((e) => write(e)),
    [`<metadata xmlns='urn:xmpp:mam:2'/>`],
  )
  // A bound stream is told what it can still do, and binds no more.
  assert.ok(!has(features, 'bind') && has(features, 'sm') && has(features, 'ver'), write(features))
  c.write(`<iq type='get' id='p' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  assert.equal((await c.element()).attrs.to, jid)
  const other = await logsIn(tell, 'romeo', { inline: bindElement() })
  assert.match(other.jid.slice(account.length), /^\/[\w-]{24}$/)
  c.write(`<iq type='get' id='q' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  assert.equal((await c.element()).attrs.type, 'result', 'another client’s login ends nothing')
})

story('the same device gets the same resource, and its earlier session ends', async (tell) => {
  const agent = randomUUID()
  const first = await logsIn(tell, 'romeo', { agent, inline: bindElement('phone') })
  const again = await logsIn(tell, 'romeo', { agent: agent.toUpperCase(), inline: bindElement('phone') })
  assert.equal(again.jid, first.jid)
  await first.c.endsWith('conflict')
  const renamed = await logsIn(tell, 'romeo', { agent, inline: bindElement('telephone') })
  assert.notEqual(renamed.jid, first.jid)
  await again.c.endsWith('conflict')
  const laptop = await logsIn(tell, 'romeo', { agent: randomUUID(), inline: bindElement('telephone') })
  assert.notEqual(laptop.jid, renamed.jid)
  // The same id in another account is another device.
  const juliet = await logsIn(tell, 'juliet', { agent, inline: bindElement('phone') })
  assert.notEqual(juliet.jid.split('/').at(-1), first.jid.split('/').at(-1))
  renamed.c.write(`<iq type='get' id='p' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  assert.equal((await renamed.c.element()).attrs.type, 'result')
})

story('stream management starts inside the login, and counts from there', async (tell) => {
  const inline = bindElement('phone', `<enable xmlns='${NS_SM}' resume='true'/>`)
  const { c, success, features, jid } = await logsIn(tell, 'romeo', { inline, server: 0 })
  const enabled = the(the(success, 'bound'), 'enabled')
  assert.equal(enabled.ns, NS_SM)
  assert.equal(enabled.attrs.resume, 'true')
  assert.ok((enabled.attrs.id ?? '').length >= 22)
  assert.ok(!has(features, 'sm'), 'it is on already')
  c.write(`<iq type='get' id='p' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq><r xmlns='${NS_SM}'/>`)
  assert.equal((await c.element()).attrs.id, 'p')
  for (;;) {
    const e = await c.element()
    if (e.name === 'a') {
      assert.equal(e.attrs.h, '1')
      break
    }
    assert.equal(e.name, 'r')
  }
  c.write(`<enable xmlns='${NS_SM}'/>`)
  for (;;) {
    const e = await c.element()
    if (e.name === 'r') continue
    assert.equal(e.name, 'failed')
    break
  }
  c.destroy()

  // Resumption comes first, and leaves the request to bind alone; no features follow.
  const account = await tell.account('romeo')
  const resume = `<resume xmlns='${NS_SM}' previd='${enabled.attrs.id}' h='1'/>`
  const back = await resumes(tell, account, resume + bindElement('other', `<enable xmlns='${NS_SM}'/>`))
  assert.equal(text(the(back.success, 'authorization-identifier')), jid)
  assert.deepEqual(
    elements(back.success).map((e) => e.name),
    ['additional-data', 'authorization-identifier', 'resumed'],
  )
  assert.equal(the(back.success, 'resumed').attrs.h, '1')
  back.c.write(`<iq type='get' id='q' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  assert.equal((await back.c.element()).attrs.to, jid)
})

story('what was not acknowledged comes after the answer to the login', async (tell) => {
  const inline = bindElement('phone', `<enable xmlns='${NS_SM}' resume='true'/>`)
  const { c, success, jid } = await logsIn(tell, 'romeo', { inline, server: 0 })
  const id = the(the(success, 'bound'), 'enabled').attrs.id
  c.write(`<iq type='get' id='p' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  assert.equal((await c.element()).attrs.id, 'p')
  c.destroy()
  const back = await resumes(tell, await tell.account('romeo'), `<resume xmlns='${NS_SM}' previd='${id}' h='0'/>`)
  assert.ok(has(back.success, 'resumed'))
  const again = await back.c.element()
  assert.deepEqual([again.name, again.attrs.id, again.attrs.to], ['iq', 'p', jid])
})

story('a resumption that fails is told, and the request to bind is met', async (tell) => {
  const resume = `<resume xmlns='${NS_SM}' previd='AAAAAAAAAAAAAAAAAAAAAA' h='0'/>`
  const inline = resume + bindElement('phone', `<enable xmlns='${NS_SM}' resume='true'/>`)
  const { success, jid } = await logsIn(tell, 'romeo', { inline })
  assert.ok(has(the(success, 'failed'), 'item-not-found'))
  assert.ok(has(the(success, 'bound'), 'enabled'))
  assert.ok(jid.includes('/phone/'))
  const alone = await logsIn(tell, 'romeo', { inline: resume })
  assert.ok(has(alone.success, 'failed') && !has(alone.success, 'bound'))
  assert.equal(alone.jid, await tell.account('romeo'), 'nothing was bound')
  assert.ok(has(alone.features, 'bind'))
})

story('row 31: nobody resumes another account’s stream inside a login, nor with more than was sent', async (tell) => {
  const inline = bindElement('phone', `<enable xmlns='${NS_SM}' resume='true'/>`)
  const { success } = await logsIn(tell, 'romeo', { inline, server: 0 })
  const id = the(the(success, 'bound'), 'enabled').attrs.id
  const juliet = await tell.account('juliet')
  const stolen = await resumes(tell, juliet, `<resume xmlns='${NS_SM}' previd='${id}' h='0'/>`)
  assert.ok(has(stolen.success, 'failed'))
  const romeo = await tell.account('romeo')
  const c = await tell.connection({ directTls: true, server: 0 })
  await openFrom(c, romeo)
  const resume = `<resume xmlns='${NS_SM}' previd='${id}' h='7'/>`
  const refused = authenticate2(c, { username: local(romeo), password: PASSWORD, inline: resume })
  await assert.rejects(refused, (e) => e instanceof LoginRefused && e.condition === 'undefined-condition')
  await c.closes()
  assert.ok(c.ended)
})

story('a request to resume that cannot be read is answered, and the request to bind is met', async (tell) => {
  const first = await logsIn(tell, 'romeo', {
    inline: bindElement('phone', `<enable xmlns='${NS_SM}' resume='true'/>`),
  })
  const id = the(the(first.success, 'bound'), 'enabled').attrs.id
  for (const attrs of [`previd='${id}'`, `previd='${id}' h=''`, `previd='${id}' h='-1'`, `h='4294967296'`, '']) {
    const inline = `<resume xmlns='${NS_SM}' ${attrs}/>${bindElement('other')}`
    const { success, jid } = await logsIn(tell, 'romeo', { inline })
    assert.ok(has(the(success, 'failed'), 'bad-request'), attrs)
    assert.ok(jid.includes('/other/'))
  }
})

story('a message sent at that moment comes after the answer to the login, and is counted', async (tell) => {
  const agent = randomUUID()
  const romeo = await logsIn(tell, 'romeo', { agent, inline: bindElement('phone'), server: 0 })
  const juliet = await tell.client('juliet', 'balcony', { server: 0 })
  const account = await tell.account('romeo')
  // Requests to the address that is to be bound again, all through the login.
  const c = await tell.connection({ directTls: true, server: 0 })
  await openFrom(c, account)
  let isOver = false
  const flood = (async () => {
    for (let i = 0; !isOver; i++)
      await juliet.sends(`<iq type='get' id='f${i}' to='${romeo.jid}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  })()
  const inline = bindElement('phone', `<enable xmlns='${NS_SM}'/>`)
  const success = await authenticate2(c, { username: local(account), password: PASSWORD, agent, inline })
  assert.ok(has(the(success, 'bound'), 'enabled'))
  assert.equal(text(the(success, 'authorization-identifier')), romeo.jid)
  await c.features()
  const first = await c.element()
  assert.ok(first.name === 'iq' || first.name === 'r', write(first))
  isOver = true
  await flood
})

story(
  'too many sessions: the stream ends with the reason, and no password was wrong',
  async (tell) => {
    await tell.client('romeo', 'one')
    const account = await tell.account('romeo')
    const c = await tell.connection({ directTls: true })
    await openFrom(c, account)
    await assert.rejects(
      authenticate2(c, { username: local(account), password: PASSWORD, inline: bindElement('t') }),
      /resource-constraint/,
    )
  },
  { servers: 1, config: { limits: { session: { per_account: 1 } } } },
)

story('what waits is not given to who reads the archive; what comes after the login is', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  await romeo.enablesAcks()
  const juliet = await tell.account('juliet')
  const says = (id: string): Promise<void> =>
    romeo.sends(`<message to='${juliet}' type='chat' id='${id}'><body>${id}</body></message>`)
  await says('before')
  await romeo.isAcknowledged()
  const { c, success } = await logsIn(tell, 'juliet', { inline: bindElement('phone') })
  const metadata = elements(the(success, 'bound')).find((e) => e.name === 'metadata') as Element
  const [start, end] = elements(metadata)
  assert.ok(start?.attrs.id !== undefined && start.attrs.id === end?.attrs.id, write(metadata))
  await says('between')
  await romeo.isAcknowledged()
  c.write('<presence/>')
  const ids: (string | undefined)[] = []
  while (ids.length < 1) {
    const e = await c.element()
    if (e.name === 'message') ids.push(e.attrs.id)
  }
  await says('after')
  while (ids.length < 2) {
    const e = await c.element()
    if (e.name === 'message') ids.push(e.attrs.id)
  }
  assert.deepEqual(ids, ['between', 'after'])
  // It still waits for whoever does not read the archive.
  const old = await tell.client('juliet', 'old')
  await old.isAvailable()
  const got = await old.receivesAny()
  assert.equal(got.attrs.id, 'before')
})

story('copies and the client state are switched on with the login', async (tell) => {
  const inline = bindElement('phone', `<enable xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/>`)
  const { c, jid } = await logsIn(tell, 'juliet', { inline })
  const romeo = await tell.client('romeo', 'garden')
  const laptop = await tell.client('juliet', 'laptop')
  await laptop.isAvailable()
  // Inactive: of chat states nothing comes; as the next comes, the message does, as a copy.
  await romeo.sends(
    `<message to='${laptop.jid}' type='chat' id='m1'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`,
  )
  await romeo.sends(`<message to='${laptop.jid}' type='chat' id='m2'><body>copied</body></message>`)
  const copy = await c.element()
  assert.equal(copy.attrs.to, jid)
  assert.ok(
    write(copy).includes("<received xmlns='urn:xmpp:carbons:2'>") && write(copy).includes("id='m2'"),
    write(copy),
  )
})
