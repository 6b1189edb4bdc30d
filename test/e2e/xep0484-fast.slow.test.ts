import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import type { Element } from '../../src/xmpp/element.ts'
import { phoneKey } from '../helpers/bridge-certificate.ts'
import { registersKey, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { bind, LoginRefused, logIn, NS_SM } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { roundTrips } from '../helpers/round-trips.ts'
import {
  agentElement,
  answered,
  authenticate2,
  authenticateElement,
  has,
  type Login2,
  NS_BIND2,
  NS_FAST,
  openFrom,
  text,
  the,
  tokenLogin,
  tokenMessage,
} from '../helpers/sasl2.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import { streamHeader, XmppConnection } from '../helpers/xmpp-connection.ts'

const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const ONE = { servers: 1 } as const
const wants = (mechanism: string): string => `<request-token xmlns='${NS_FAST}' mechanism='${mechanism}'/>`
const fast = (attrs = ''): string => `<fast xmlns='${NS_FAST}'${attrs}/>`
const TLS12 = { maxVersion: 'TLSv1.2' } as const

interface Device {
  readonly jid: string
  readonly agent: string
  readonly mechanism: string
  readonly token: string
}
interface Over extends Partial<Login2> {
  /** Instead of the account's own. */
  readonly from?: string | undefined
  readonly tls?: { readonly maxVersion: 'TLSv1.2' }
}

/** Logs in by password and asks for a token. */
async function device(tell: Story, mechanism = 'HT-SHA-256-NONE', person = 'romeo', over: Over = {}): Promise<Device> {
  const jid = await tell.account(person)
  const agent = over.agent ?? randomUUID()
  const c = await tell.connection({ directTls: true, ...(over.tls === undefined ? {} : { tls: over.tls }) })
  await openFrom(c, jid)
  const success = await authenticate2(c, { username: local(jid), password: PASSWORD, agent, inline: wants(mechanism) })
  const given = the(success, 'token')
  assert.equal(given.ns, NS_FAST)
  const days = (Date.parse(given.attrs.expiry ?? '') - Date.now()) / 86_400_000
  assert.ok(days > 20 && days <= 21, given.attrs.expiry)
  c.destroy()
  return { jid, agent, mechanism, token: given.attrs.token ?? '' }
}
async function comes(tell: Story, device: Device, over: Over = {}): Promise<Element> {
  const c = await tell.connection({ directTls: true, ...(over.tls === undefined ? {} : { tls: over.tls }) })
  try {
    await openFrom(c, 'from' in over ? over.from : device.jid)
    const { jid, agent, mechanism, token } = device
    const login = { username: local(jid), password: token, agent, mechanism, inline: fast() }
    const { from: _from, tls: _tls, ...rest } = over
    return await authenticate2(c, { ...login, ...rest })
  } finally {
    c.destroy()
  }
}
async function refusal(tell: Story, device: Device, over: Over = {}): Promise<string | undefined> {
  try {
    await comes(tell, device, over)
    return undefined
  } catch (error) {
    if (error instanceof LoginRefused) return error.condition
    throw error
  }
}

for (const [mechanism, tls] of [
  ['HT-SHA-256-NONE', undefined],
  ['HT-SHA-256-EXPR', undefined],
  ['HT-SHA-256-ENDP', undefined],
  ['HT-SHA-256-UNIQ', TLS12],
] as const) {
  const over = tls === undefined ? {} : { tls }
  story(`${mechanism}: a token lets its device in again, in one message`, async (tell) => {
    const phone = await device(tell, mechanism, 'romeo', over)
    // 256 bits in base64url.
    assert.match(phone.token, /^[\w-]{43}$/)
    for (let i = 0; i < 3; i++) {
      const success = await comes(tell, phone, over)
      assert.equal(text(the(success, 'authorization-identifier')), phone.jid)
      assert.ok(!has(success, 'token'), 'a young token stays')
    }
    if (mechanism === 'HT-SHA-256-NONE') return
    assert.equal(await refusal(tell, phone, { ...over, bindingData: Buffer.alloc(32, 7) }), 'not-authorized')
    assert.equal(await refusal(tell, phone, { ...over, bindingData: Buffer.alloc(0) }), 'not-authorized')
  })
}

story(
  'what a connection can be bound to is what its tokens can be asked for',
  async (tell) => {
    for (const [tls, names] of [
      [{}, ['HT-SHA-256-EXPR', 'HT-SHA-256-ENDP', 'HT-SHA-256-NONE']],
      [{ tls: TLS12 }, ['HT-SHA-256-UNIQ', 'HT-SHA-256-ENDP', 'HT-SHA-256-NONE']],
    ] as const) {
      const c = await tell.connection({ directTls: true, ...tls })
      const offer = the(the(the(await openFrom(c, undefined), 'authentication'), 'inline'), 'fast')
      assert.deepEqual(
        offer.children.map((m) => (typeof m === 'string' ? m : text(m))),
        names,
      )
      assert.equal(offer.attrs['tls-0rtt'], undefined, 'no early data is taken')
    }
  },
  ONE,
)

story('row 15: a token is good for its own mechanism, device and account alone', async (tell) => {
  const bound = await device(tell, 'HT-SHA-256-EXPR')
  assert.equal(await refusal(tell, { ...bound, mechanism: 'HT-SHA-256-NONE' }), 'not-authorized')
  assert.equal(await refusal(tell, { ...bound, mechanism: 'HT-SHA-256-ENDP' }), 'not-authorized')
  const phone = await device(tell)
  assert.equal(await refusal(tell, { ...phone, mechanism: 'HT-SHA-256-EXPR' }), 'not-authorized')
  assert.equal(await refusal(tell, { ...phone, agent: randomUUID() }), 'not-authorized')
  assert.equal(await refusal(tell, { ...phone, agent: bound.agent }), 'not-authorized')
  const juliet = await tell.account('juliet')
  assert.equal(await refusal(tell, { ...phone, jid: juliet }), 'not-authorized', 'as another account')
  assert.equal(await refusal(tell, phone, { from: juliet }), 'not-authorized', 'from another account')
  assert.equal(await refusal(tell, phone, { username: local(juliet) }), 'not-authorized')
  assert.equal(await refusal(tell, { ...phone, token: `${phone.token.slice(0, -1)}_` }), 'not-authorized')
  assert.equal(await refusal(tell, { ...phone, token: '' }), 'not-authorized')
  // It is no password.
  assert.equal(await refusal(tell, phone, { mechanism: 'SCRAM-SHA-256' }), 'not-authorized')
  assert.equal(await refusal(tell, phone), undefined)
  assert.equal(await refusal(tell, bound), undefined)
})

story(
  'row 15: what a login by token lacks is told, and nothing breaks',
  async (tell) => {
    const phone = await device(tell)
    const message = tokenMessage(local(phone.jid), phone.token, Buffer.alloc(0))
    const agent = agentElement(phone.agent)
    const cases: readonly (readonly [string | undefined, string, string])[] = [
      [phone.jid, authenticateElement('HT-SHA-256-NONE', message, fast()), 'malformed-request'],
      [phone.jid, authenticateElement('HT-SHA-256-NONE', message, `<user-agent/>${fast()}`), 'malformed-request'],
      [
        phone.jid,
        authenticateElement('HT-SHA-256-NONE', message, `${agentElement('x')}${fast()}`),
        'malformed-request',
      ],
      [phone.jid, authenticateElement('HT-SHA-256-NONE', message, agent), 'malformed-request'],
      [undefined, authenticateElement('HT-SHA-256-NONE', message, agent + fast()), 'malformed-request'],
      [tell.domain, authenticateElement('HT-SHA-256-NONE', message, agent + fast()), 'malformed-request'],
      [phone.jid, authenticateElement('HT-SHA-256-NONE', undefined, agent + fast()), 'malformed-request'],
      [phone.jid, authenticateElement('HT-SHA-256-NONE', '', agent + fast()), 'malformed-request'],
      [phone.jid, authenticateElement('HT-SHA-256-NONE', local(phone.jid), agent + fast()), 'malformed-request'],
      [phone.jid, authenticateElement('HT-SHA-256-NONE', message.subarray(0, -1), agent + fast()), 'malformed-request'],
      [phone.jid, authenticateElement('HT-SHA-256-UNIQ', message, agent + fast()), 'invalid-mechanism'],
      [phone.jid, authenticateElement('HT-SHA-512-NONE', message, agent + fast()), 'invalid-mechanism'],
      ...['0', '-1', 'x', '', '2147483648', '1e3', ' 1'].map((count): [string, string, string] => [
        phone.jid,
        authenticateElement('HT-SHA-256-NONE', message, agent + fast(` count='${count}'`)),
        'malformed-request',
      ]),
      [
        phone.jid,
        `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='HT-SHA-256-NONE'>${message.toString('base64')}</auth>`,
        'invalid-mechanism',
      ],
    ]
    for (const [from, xml, condition] of cases) {
      const c = await tell.connection({ directTls: true })
      await openFrom(c, from)
      c.write(xml)
      await assert.rejects(answered(c), (e) => e instanceof LoginRefused && e.condition === condition, xml)
      c.destroy()
    }
    assert.equal(await refusal(tell, phone), undefined)
  },
  ONE,
)

story('row 15: the count must rise from login to login', async (tell) => {
  const phone = await device(tell)
  const withCount = (count: number): Over => ({ inline: fast(` count='${count}'`) })
  assert.equal(await refusal(tell, phone, withCount(1)), undefined)
  assert.equal(await refusal(tell, phone, withCount(1)), 'not-authorized', 'a replay')
  assert.equal(await refusal(tell, phone, withCount(7)), undefined)
  for (const count of [7, 6, 2]) assert.equal(await refusal(tell, phone, withCount(count)), 'not-authorized')
  assert.equal(await refusal(tell, phone, withCount(8)), undefined)
})

story('of one count sent twice at the same time one gets in', async (tell) => {
  const phone = await device(tell)
  const over = { inline: fast(` count='5'`) }
  const outcomes = await Promise.all([1, 2, 3, 4].map(() => refusal(tell, phone, over)))
  assert.equal(outcomes.filter((o) => o === undefined).length, 1, String(outcomes))
})

story('row 15: an invalidated token is gone, and with it whatever else the device was given', async (tell) => {
  const phone = await device(tell)
  const newer = await comes(tell, phone, { inline: fast() + wants('HT-SHA-256-ENDP') })
  const next: Device = { ...phone, mechanism: 'HT-SHA-256-ENDP', token: the(newer, 'token').attrs.token ?? '' }
  const last = await comes(tell, phone, { inline: fast(` invalidate='true'`) })
  assert.ok(!has(last, 'token'))
  // XEP-0484 §5.2: of a token that is not trusted any more "it MUST … fail the authentication (… 'credentials-expired' …)".
  assert.equal(await refusal(tell, phone), 'credentials-expired')
  assert.equal(await refusal(tell, next), 'credentials-expired')
  // Asked for in the same breath, a new one is given.
  const again = await device(tell, 'HT-SHA-256-NONE', 'romeo', { agent: phone.agent })
  const success = await comes(tell, again, { inline: fast(` invalidate='1'`) + wants('HT-SHA-256-NONE') })
  const fresh = { ...again, token: the(success, 'token').attrs.token ?? '' }
  assert.equal(await refusal(tell, again), 'credentials-expired')
  assert.equal(await refusal(tell, fresh), undefined)
})

story('an old token stays good until the new one is used, which may never have arrived', async (tell) => {
  const phone = await device(tell)
  const renew = async (from: Device): Promise<Device> => {
    const success = await comes(tell, from, { inline: fast() + wants('HT-SHA-256-NONE') })
    return { ...from, token: the(success, 'token').attrs.token ?? '' }
  }
  const lost = await renew(phone)
  const second = await renew(phone)
  assert.notEqual(lost.token, second.token)
  assert.equal(await refusal(tell, lost), 'not-authorized', 'one that was never used gives way to the next')
  assert.equal(await refusal(tell, phone), undefined)
  assert.equal(await refusal(tell, second), undefined)
  assert.equal(await refusal(tell, phone), 'not-authorized')
  assert.equal(await refusal(tell, second), undefined)
})

story('a failed login gives and takes no token', async (tell) => {
  const phone = await device(tell)
  const c = await tell.connection({ directTls: true })
  await openFrom(c, phone.jid)
  const inline = agentElement(phone.agent) + wants('HT-SHA-256-NONE') + fast(` invalidate='true'`)
  c.write(authenticateElement('PLAIN', `\0${local(phone.jid)}\0wrong`, inline))
  assert.ok(!write(await c.element()).includes('token'))
  assert.equal(
    await refusal(tell, { ...phone, token: 'wrong' }, { inline: fast(` invalidate='true'`) }),
    'not-authorized',
  )
  assert.equal(await refusal(tell, phone), undefined)
})

story('no token without a name of the device, or for what was not offered', async (tell) => {
  const jid = await tell.account('romeo')
  for (const inline of [
    wants('HT-SHA-256-NONE'),
    `${agentElement(randomUUID())}${wants('HT-SHA-256-UNIQ')}`,
    `${agentElement(randomUUID())}<request-token xmlns='${NS_FAST}'/>`,
    agentElement(randomUUID()),
  ]) {
    const c = await tell.connection({ directTls: true })
    await openFrom(c, jid)
    const success = await authenticate2(c, { username: local(jid), password: PASSWORD, inline })
    assert.ok(!has(success, 'token'), inline)
  }
})

story('a new password ends all tokens, and other ways back in are offered', async (tell) => {
  const phone = await device(tell)
  const laptop = await device(tell)
  await tell.servers[0]?.running.admin.setPassword(phone.jid, `${PASSWORD} anew`)
  assert.equal(await refusal(tell, phone), 'credentials-expired')
  assert.equal(await refusal(tell, laptop), 'credentials-expired')
  const c = await tell.connection({ directTls: true })
  await openFrom(c, phone.jid)
  const { jid, agent, mechanism, token } = phone
  const byToken = { username: local(jid), agent, mechanism, password: token, inline: fast() }
  await assert.rejects(authenticate2(c, byToken), LoginRefused)
  const again = { username: local(jid), agent, password: `${PASSWORD} anew`, inline: wants('HT-SHA-256-NONE') }
  assert.ok(has(await authenticate2(c, again), 'token'))
})

story('tokens of a disabled account let nobody in, also after it is enabled again', async (tell) => {
  const phone = await device(tell)
  const admin = tell.servers[0]?.running.admin
  await admin?.setDisabled(phone.jid, true)
  assert.equal(await refusal(tell, phone), 'account-disabled')
  assert.equal(await refusal(tell, { ...phone, token: 'guessed' }), 'not-authorized')
  await admin?.setDisabled(phone.jid, false)
  assert.equal(await refusal(tell, phone), 'credentials-expired')
})

story('a new account of the same name knows no token of the old one', async (tell) => {
  const phone = await device(tell)
  const admin = tell.servers[0]?.running.admin
  await admin?.deleteAccount(phone.jid)
  assert.equal(await refusal(tell, phone), 'not-authorized')
  await admin?.addAccount(phone.jid, PASSWORD)
  assert.equal(await refusal(tell, phone), 'not-authorized')
})

story(
  'one round trip after TLS brings a device back: by resumption, or to a new session',
  async (tell) => {
    const phone = await device(tell, 'HT-SHA-256-EXPR')
    const port = tell.servers[0]?.directTlsPort ?? 0
    const inline = `<bind xmlns='${NS_BIND2}'><tag>phone</tag><enable xmlns='${NS_SM}' resume='true'/></bind>`
    const reconnect = async (more: string): Promise<{ c: XmppConnection; success: Element; trips: number }> => {
      const trips = roundTrips()
      const c = await XmppConnection.open({ port, domain: tell.domain, directTls: true, log: trips.log })
      const { jid, agent, mechanism, token } = phone
      // What the server offers is known from last time (XEP-0388 §2.1).
      const header = streamHeader({ to: tell.domain, from: jid })
      const login = { username: local(jid), password: token, agent, mechanism, inline: fast() + more + inline }
      c.write(header + tokenLogin(c, login))
      assert.equal((await c.next()).kind, 'header')
      await c.features()
      const success = await answered(c)
      // Whatever was sent after the answer began would be a second one.
      return { c, success, trips: trips.count() }
    }
    const first = await reconnect('')
    assert.equal(first.trips, 1)
    const enabled = the(the(first.success, 'bound'), 'enabled')
    first.c.destroy()
    const back = await reconnect(`<resume xmlns='${NS_SM}' previd='${enabled.attrs.id}' h='0'/>`)
    assert.equal(back.trips, 1)
    assert.ok(has(back.success, 'resumed') && !has(back.success, 'bound'))
    // It works.
    back.c.write(`<iq type='get' id='p' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    assert.equal((await back.c.element()).attrs.id, 'p')
    back.c.destroy()

    // The old way, for comparison: header, auth, response, header, resource.
    const old = roundTrips()
    const c = await XmppConnection.open({ port, domain: tell.domain, directTls: true, log: old.log })
    await logIn(c, { username: local(phone.jid), password: PASSWORD })
    await bind(c, 'phone')
    assert.equal(old.count(), 5)
    c.destroy()
  },
  ONE,
)

story(
  'a Kontalk device logs in by its key once, and comes back by tokens without any certificate',
  async (tell) => {
    const settings = { port: tell.servers[0]?.directTlsPort ?? 0, domain: tell.domain, directTls: true }
    const number = '+4915123456789'
    const name = createHash('sha1').update(number).digest('hex')
    const jid = `${name}@${tell.domain}`
    const made = await phoneKey(jid, { date: new Date(Date.now() - 86_400_000) })
    const key = { ...made, ring: await registersKey(tell, settings, number, made) }
    const agent = randomUUID()
    const mechanism = 'HT-SHA-256-EXPR'
    const inline = `<bind xmlns='${NS_BIND2}'><tag>Kontalk</tag><enable xmlns='${NS_SM}' resume='true'/></bind>`

    const c = await XmppConnection.open({ ...settings, ...shown(key) })
    const features = await openFrom(c, jid)
    const offered = the(features, 'authentication').children.map((e) => (typeof e === 'string' ? '' : text(e)))
    assert.equal(offered[0], 'EXTERNAL')
    const external = { mechanism: 'EXTERNAL', username: name, password: '', agent }
    const success = await authenticate2(c, { ...external, inline: wants(mechanism) + inline })
    const full = text(the(success, 'authorization-identifier'))
    assert.ok(full.startsWith(`${jid}/Kontalk/`))
    const smid = the(the(success, 'bound'), 'enabled').attrs.id
    const phone: Device = { jid, agent, mechanism, token: the(success, 'token').attrs.token ?? '' }
    c.destroy()

    // No certificate, no key, no password from here on.
    const resume = `<resume xmlns='${NS_SM}' previd='${smid}' h='0'/>`
    const back = await comes(tell, phone, { inline: fast() + resume + inline })
    assert.ok(has(back, 'resumed'))
    assert.equal(text(the(back, 'authorization-identifier')), full)
    const anew = await comes(tell, phone, { inline: fast() + inline })
    assert.equal(text(the(anew, 'authorization-identifier')), full)
    assert.equal(await refusal(tell, phone, { agent: randomUUID() }), 'not-authorized')

    // In SASL2, too, the certificate names one account, and no other.
    const other = await tell.account('romeo')
    for (const [from, authzid] of [
      [other, undefined],
      [other, other],
      [jid, other],
    ] as const) {
      const m = await XmppConnection.open({ ...settings, ...shown(key) })
      await openFrom(m, from)
      const login = { ...external, ...(authzid === undefined ? {} : { authzid }) }
      await assert.rejects(
        authenticate2(m, login),
        (e) => e instanceof LoginRefused && e.condition === 'invalid-authzid',
      )
      m.destroy()
    }
    // Without a bridge certificate it is neither offered nor taken.
    const bare = await tell.connection({ directTls: true })
    assert.ok(!write(await openFrom(bare, jid)).includes('EXTERNAL'))
    await assert.rejects(
      authenticate2(bare, external),
      (e) => e instanceof LoginRefused && e.condition === 'invalid-mechanism',
    )
  },
  {
    servers: 1,
    config: {
      account: { registration: ['sms'] },
      sms: { provider: 'console' },
      limits: { registration: WIDE_BUDGETS },
    },
  },
)
