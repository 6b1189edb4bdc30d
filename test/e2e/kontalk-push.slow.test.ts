import assert from 'node:assert/strict'
import { after } from 'node:test'
import { write } from '../helpers/match-element.ts'
import { startPushGateway } from '../helpers/push-stand-in.ts'
import { bounce, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS = 'http://kontalk.org/extensions/presence#push'
const INFO = 'http://jabber.org/protocol/disco#info'
const ITEMS = 'http://jabber.org/protocol/disco#items'

const gateway = await startPushGateway()
after(() => gateway.close())

const TIMES = { delay: '100ms', sibling: '300ms', silence: '600ms', interval: '400ms' }
const config = (push: object = {}, more: object = {}) => ({
  features: { push: { ...gateway.config, ...TIMES, ...push } },
  ...more,
})
const register = (token: string, provider = 'gcm') =>
  `<register xmlns='${NS}' provider='${provider}'>${token}</register>`
let tokens = 0
/** A token that no other story has. */
const newToken = (name: string): string => `${name}-${++tokens}:APA91b_fcm`

async function registers(client: XmppClient, token: string): Promise<void> {
  const answer = await client.asks('set', register(token), `push@${client.domain}`)
  assert.equal(answer.attrs.type, 'result', write(answer))
  assert.equal(answer.children.length, 0)
}
/** A device that has registered and gone; its token. */
async function away(tell: Story, person: string, resource = 'phone'): Promise<string> {
  const token = newToken(person)
  const phone = await tell.client(person, resource)
  await registers(phone, token)
  await phone.disconnects()
  return token
}
const chat = (to: string, id: string, payload = '<body>a secret body</body>') =>
  `<message to='${to}' type='chat' id='${id}'>${payload}</message>`
/** All that was to come of what was sent before has come. */
async function allWoken(tell: Story, sender: XmppClient): Promise<void> {
  for (const name of ['sentinel', 'guard']) {
    const token = await away(tell, name)
    await sender.sends(chat(await tell.account(name), name))
    await gateway.wakes(token)
  }
}

story(
  'Kontalk’s app finds push at its domain, and registers there',
  async ({ client, domain }) => {
    const phone = await client('romeo', 'phone')
    for (const at of [domain, `push@${domain}`])
      assert.ok(write(await phone.asks('get', `<query xmlns='${INFO}'/>`, at)).includes(`<feature var='${NS}'/>`))
    assert.ok(write(await phone.asks('get', `<query xmlns='${ITEMS}'/>`, domain)).includes(`jid='push@${domain}'`))
    await phone.sends(`<iq type='get' id='d1' to='${domain}'><query xmlns='${ITEMS}' node='${NS}'/></iq>`)
    await phone.receives(`
      <iq type='result' id='d1' from='${domain}' to='${phone.jid}'><query xmlns='${ITEMS}' node='${NS}'>
        <item node='123456789012' jid='gcm.push.${domain}' name='Google Cloud Messaging push notifications'/>
      </query></iq>`)
    await phone.sends(`<iq type='set' id='u1' to='push@${domain}'>${register('REGID')}</iq>`)
    await phone.receives(`<iq type='result' id='u1' from='push@${domain}' to='${phone.jid}'/>`)
    await phone.sends(`<iq type='set' id='u2' to='push@${domain}'><unregister xmlns='${NS}' provider='gcm'/></iq>`)
    await phone.receives(`<iq type='result' id='u2' from='push@${domain}' to='${phone.jid}'/>`)
    const refused = async (payload: string, type: string, condition: string): Promise<void> => {
      await phone.sends(`<iq type='set' id='x' to='push@${domain}'>${payload}</iq>`)
      await phone.receives(bounce('iq', { id: 'x', from: `push@${domain}`, to: phone.jid }, type, condition))
    }
    await refused(register('REGID', 'apns'), 'cancel', 'feature-not-implemented')
    await refused(`<register xmlns='${NS}'>REGID</register>`, 'cancel', 'feature-not-implemented')
    await refused(register(''), 'modify', 'bad-request')
    await refused(register('two words'), 'modify', 'bad-request')
    await refused(register('x'.repeat(4097)), 'modify', 'not-acceptable')
    await registers(phone, 'x'.repeat(4096))
  },
  { config: config() },
)

for (const [name, push] of [
  ['no gateway', {}],
  ['no sender id', { webhook: gateway.config.webhook }],
] as const)
  story(
    `with ${name} nobody is told of push`,
    async ({ client, domain }) => {
      const phone = await client('romeo', 'phone')
      const info = write(await phone.asks('get', `<query xmlns='${INFO}'/>`, domain))
      assert.ok(!info.includes(NS))
      await phone.sends(`<iq type='get' id='d1' to='${domain}'><query xmlns='${ITEMS}' node='${NS}'/></iq>`)
      await phone.receives(bounce('iq', { id: 'd1', from: domain, to: phone.jid }, 'cancel', 'item-not-found'))
      const answer = write(await phone.asks('set', register('REGID'), `push@${domain}`))
      assert.match(answer, name === 'no gateway' ? /service-unavailable/ : /type='result'/)
    },
    { servers: 1, config: { features: { push } } },
  )

story(
  'a device that is away is woken for a message, with nothing of the message',
  async (tell) => {
    const token = await away(tell, 'juliet')
    const romeo = await tell.client('romeo', 'garden')
    const before = gateway.seen.length
    await romeo.sends(chat(await tell.account('juliet'), 'm1'))
    await gateway.wakes(token)
    assert.ok(!gateway.seen.slice(before).join('').includes('secret body'))
    for (const person of [romeo.bare, await tell.account('juliet')])
      assert.ok(!gateway.seen.slice(before).join('').includes(person))
    // It comes, and has it.
    const juliet = await tell.client('juliet', 'phone')
    await juliet.isAvailable()
    await juliet.receives(
      `<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'>{...}<body>a secret body</body></message>`,
    )
    assert.deepEqual(gateway.faults, [])
  },
  { config: config() },
)

story(
  'a wish for a receipt and an encrypted body wake too; what is not kept, and receipts, do not',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    const wakes = {
      encrypted: `<e2e xmlns='urn:ietf:params:xml:ns:xmpp-e2e'>AAAA</e2e>`,
      asked: `<request xmlns='urn:xmpp:receipts'/><x xmlns='jabber:x:oob'><url>https://example.org/a</url></x>`,
    }
    for (const [name, payload] of Object.entries(wakes)) {
      const token = await away(tell, name)
      await romeo.sends(chat(await tell.account(name), 'm', payload))
      await gateway.wakes(token)
    }
    const sleeps = {
      composing: `<composing xmlns='http://jabber.org/protocol/chatstates'/>`,
      fleeting: `<body>now</body><no-store xmlns='urn:xmpp:hints'/>`,
      receipt: `<received xmlns='urn:xmpp:receipts' id='m0'/>`,
    }
    const asleep: string[] = []
    for (const [name, payload] of Object.entries(sleeps)) {
      asleep.push(await away(tell, name))
      await romeo.sends(chat(await tell.account(name), 'm', payload))
    }
    asleep.push(await away(tell, 'headline'))
    await romeo.sends(`<message to='${await tell.account('headline')}' type='headline'><body>News</body></message>`)
    await allWoken(tell, romeo)
    assert.deepEqual(
      gateway.woken.filter((token) => asleep.includes(token)),
      [],
    )
  },
  { servers: 1, config: config() },
)

story(
  'a device that takes the message is left alone, and so is one whose sibling takes it',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    const phone = await tell.client('juliet', 'phone')
    const token = newToken('juliet')
    await registers(phone, token)
    await phone.enablesAcks({ resume: true })
    await phone.isAvailable()
    await romeo.sends(chat(phone.bare, 'm1'))
    await phone.receives(
      `<message from='${romeo.jid}' to='${phone.bare}' type='chat' id='m1'>{...}<body>{any}</body></message>`,
    )
    phone.acks()
    const asleep = await away(tell, 'nurse', 'phone')
    const laptop = await tell.client('nurse', 'laptop')
    await laptop.enablesAcks()
    await laptop.isAvailable()
    await romeo.sends(chat(laptop.bare, 'm2'))
    await laptop.receives(
      `<message from='${romeo.jid}' to='${laptop.bare}' type='chat' id='m2'>{...}<body>{any}</body></message>`,
    )
    laptop.acks()
    for (let i = 0; i < 4; i++) await allWoken(tell, romeo)
    assert.deepEqual(
      gateway.woken.filter((one) => one === token || one === asleep),
      [],
    )
    assert.deepEqual(gateway.faults, [])
  },
  { config: config() },
)

story(
  'with the policy every-device one that is away is woken although its sibling has the message',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    const laptop = await tell.client('juliet', 'laptop')
    const token = await away(tell, 'juliet')
    // A device has a place of its own once it has been there.
    const phone = await tell.client('juliet', 'phone')
    await phone.isAvailable()
    await phone.disconnects()
    await laptop.enablesAcks()
    await laptop.isAvailable()
    await romeo.sends(chat(laptop.bare, 'm1'))
    await laptop.receives(
      `<message from='${romeo.jid}' to='${laptop.bare}' type='chat' id='m1'>{...}<body>{any}</body></message>`,
    )
    laptop.acks()
    await gateway.wakes(token)
  },
  { config: config({}, { inbox: { delivery: 'every-device' } }) },
)

story(
  'a session without a connection, and one that says nothing, do not keep their device asleep',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    const detached = await tell.client('juliet', 'phone')
    const lost = newToken('juliet')
    await registers(detached, lost)
    await detached.enablesAcks({ resume: true })
    await detached.isAvailable()
    detached.drops()
    const mute = await tell.client('nurse', 'phone', { manualAcks: true })
    const silent = newToken('nurse')
    await registers(mute, silent)
    await mute.enablesAcks({ resume: true })
    await mute.isAvailable()
    for (const to of [detached.bare, mute.bare]) await romeo.sends(chat(to, 'm1'))
    await gateway.wakes(lost)
    await gateway.wakes(silent)
    assert.ok(gateway.woken.indexOf(lost) < gateway.woken.indexOf(silent))
  },
  { config: config() },
)

story(
  'many messages are one wake-up, and another one after the interval',
  async (tell) => {
    const token = await away(tell, 'juliet')
    const romeo = await tell.client('romeo', 'garden')
    const to = await tell.account('juliet')
    for (let i = 0; i < 30; i++) await romeo.sends(chat(to, `m${i}`))
    await gateway.wakes(token)
    await allWoken(tell, romeo)
    assert.equal(gateway.woken.filter((one) => one === token).length, 1)
    await romeo.sends(chat(to, 'later'))
    await gateway.wakes(token, 2)
    assert.deepEqual(gateway.faults, [])
  },
  { config: config({ interval: '2s' }) },
)

story(
  'who is blocked wakes nobody',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    const nurse = await tell.client('nurse', 'house')
    const phone = await tell.client('juliet', 'phone')
    const token = newToken('juliet')
    await registers(phone, token)
    await phone.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${romeo.bare}'/></block>`)
    await phone.disconnects()
    await romeo.sends(chat(phone.bare, 'm1'))
    await romeo.receives(
      bounce('message', { id: 'm1', from: phone.bare, to: romeo.jid }, 'cancel', 'service-unavailable'),
    )
    await allWoken(tell, romeo)
    assert.ok(!gateway.woken.includes(token))
    await nurse.sends(chat(phone.bare, 'm2'))
    await gateway.wakes(token)
  },
  { config: config() },
)

story(
  'an unregistered device sleeps; so does one whose token is gone, until it brings another',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    const phone = await tell.client('juliet', 'phone')
    const left = newToken('juliet')
    await registers(phone, left)
    await phone.asks('set', `<unregister xmlns='${NS}' provider='gcm'/>`, `push@${tell.domain}`)
    await phone.disconnects()
    await romeo.sends(chat(phone.bare, 'm1'))
    const gone = await away(tell, 'nurse')
    gateway.status = (token) => (token === gone ? 410 : 204)
    const nurse = await tell.account('nurse')
    await romeo.sends(chat(nurse, 'm2'))
    await gateway.wakes(gone)
    await allWoken(tell, romeo)
    await romeo.sends(chat(nurse, 'm3'))
    await allWoken(tell, romeo)
    assert.equal(gateway.woken.filter((token) => token === gone).length, 1)
    assert.ok(!gateway.woken.includes(left))
    const again = await away(tell, 'nurse')
    await romeo.sends(chat(nurse, 'm4'))
    await gateway.wakes(again)
  },
  { config: config() },
)

story(
  'a gateway that fails is asked again, the operator is told, and no token or secret is logged',
  async (tell) => {
    const token = await away(tell, 'juliet')
    const romeo = await tell.client('romeo', 'garden')
    let tries = 0
    gateway.status = (one) => (one === token && ++tries === 1 ? 503 : 204)
    await romeo.sends(chat(await tell.account('juliet'), 'm1'))
    await gateway.wakes(token, 2)
    const log = tell.logged.join('\n')
    assert.match(log, /device not woken/)
    for (const secret of [token, gateway.secret, 'a secret body']) assert.ok(!log.includes(secret), secret)
    const page = await (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()
    assert.match(page, /fernruf_push_wake_ups_total\{provider="webhook",outcome="unavailable"\} 1/)
    assert.match(page, /fernruf_push_circuit_open\{provider="webhook"\} 0/)
  },
  { servers: 1, config: config({}, { log: { level: 'trace' } }) },
)

story(
  'a device’s registration goes with its account',
  async (tell) => {
    const token = newToken('juliet')
    const phone = await tell.client('juliet', 'phone')
    await registers(phone, token)
    const [row] = await tell.stores.database.query<{ n: number }>('select count(*) as n from push_device')
    assert.ok((row?.n ?? 0) > 0)
    await phone.asks('set', `<query xmlns='jabber:iq:register'><remove/></query>`, tell.domain).catch(() => undefined)
    const [left] = await tell.stores.database.query<{ n: number }>(
      'select count(*) as n from push_device where token = $1',
      [token],
    )
    assert.equal(left?.n, 0)
  },
  { servers: 1, config: config() },
)
