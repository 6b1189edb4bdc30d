import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { auth, authenticate, bind, type Login, LoginRefused, NS_SASL, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64')
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))

/** Tries one login on a fresh stream. @returns the condition it was refused with, or undefined */
async function attempt(tell: Story, login: Login): Promise<string | undefined> {
  const c = await tell.connection({ directTls: true })
  await secureStream(c)
  try {
    await authenticate(c, login)
    return undefined
  } catch (error) {
    if (error instanceof LoginRefused) return error.condition
    throw error
  } finally {
    c.destroy()
  }
}

/** Sends one element on a secured stream and returns the answer. */
async function answerTo(c: XmppConnection, xml: string): Promise<Element> {
  c.write(xml)
  return c.element()
}
const conditionOf = (e: Element): string | undefined =>
  e.children.find((c): c is Element => typeof c !== 'string' && c.name !== 'text')?.name

for (const mechanism of ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN']) {
  story(
    `${mechanism} logs in with the password and with no other`,
    async (tell) => {
      const username = local(await tell.account('romeo'))
      assert.equal(await attempt(tell, { mechanism, username, password: PASSWORD }), undefined)
      assert.equal(await attempt(tell, { mechanism, username, password: `${PASSWORD}!` }), 'not-authorized')
      assert.equal(
        await attempt(tell, { mechanism, username, password: '' }),
        mechanism === 'PLAIN' ? 'malformed-request' : 'not-authorized',
      )
    },
    { servers: 1 },
  )
}

for (const mechanism of ['SCRAM-SHA-1-PLUS', 'SCRAM-SHA-256-PLUS', 'SCRAM-SHA-512-PLUS']) {
  for (const channelBinding of ['tls-exporter', 'tls-server-end-point'] as const) {
    story(
      `${mechanism} logs in bound to the channel by ${channelBinding}`,
      async (tell) => {
        const username = local(await tell.account('romeo'))
        assert.equal(await attempt(tell, { mechanism, username, password: PASSWORD, channelBinding }), undefined)
        const foreign = { mechanism, username, password: PASSWORD, channelBinding, bindingData: Buffer.alloc(32, 7) }
        assert.equal(await attempt(tell, foreign), 'not-authorized')
      },
      { servers: 1 },
    )
  }
}

story(
  'a stripped channel binding is noticed: y with -PLUS offered fails',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    assert.equal(await attempt(tell, { username, password: PASSWORD, gs2: 'y' }), 'not-authorized')
  },
  { servers: 1 },
)

story(
  'the GS2 flag must fit the mechanism',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    const plus = { mechanism: 'SCRAM-SHA-256-PLUS', username, password: PASSWORD }
    for (const gs2 of ['n', 'y', 'p=tls-unique', 'p=made-up', 'p=']) {
      const refused = await attempt(tell, { ...plus, gs2 })
      assert.ok(refused === 'malformed-request' || refused === 'not-authorized', `${gs2}: ${refused}`)
    }
    const refused = await attempt(tell, {
      mechanism: 'SCRAM-SHA-256',
      username,
      password: PASSWORD,
      gs2: 'p=tls-exporter',
    })
    assert.ok(refused === 'malformed-request' || refused === 'not-authorized', String(refused))
  },
  { servers: 1 },
)

story(
  'an unknown user is not told from a wrong password',
  async (tell) => {
    const known = local(await tell.account('romeo'))
    const unknown = local(tell.stranger('nobody'))
    for (const mechanism of ['SCRAM-SHA-1', 'SCRAM-SHA-256']) {
      const salts: string[] = []
      for (const username of [known, unknown, unknown]) {
        const c = await tell.connection({ directTls: true })
        await secureStream(c)
        const challenge = await answerTo(c, auth(mechanism, base64(`n,,n=${username},r=nonce`)))
        assert.equal(challenge.name, 'challenge')
        const text = Buffer.from(challenge.children.join(''), 'base64').toString()
        salts.push(/s=([^,]+),i=(\d+)/.exec(text)?.slice(1).join(' ') ?? '')
        const nonce = /r=([^,]+)/.exec(text)?.[1] ?? ''
        const final = base64(`c=biws,r=${nonce},p=${base64(Buffer.alloc(mechanism === 'SCRAM-SHA-1' ? 20 : 32))}`)
        const refused = await answerTo(c, `<response xmlns='${NS_SASL}'>${final}</response>`)
        assert.equal(conditionOf(refused), 'not-authorized')
        c.destroy()
      }
      assert.equal(salts[1], salts[2], 'a made-up salt stays the same')
      assert.notEqual(salts[0], salts[1])
      assert.ok(salts.every((s) => s !== ''))
    }
    const wrong = await plain(tell, `\0${known}\0wrong`)
    const nobody = await plain(tell, `\0${unknown}\0wrong`)
    assert.equal(write(wrong), write(nobody))
  },
  { servers: 1 },
)

async function plain(tell: Story, message: string): Promise<Element> {
  const c = await tell.connection({ directTls: true })
  await secureStream(c)
  return answerTo(c, auth('PLAIN', base64(message)))
}

story(
  'an authorization identity must be the own bare address, in every mechanism',
  async (tell) => {
    const jid = await tell.account('romeo')
    const other = await tell.account('juliet')
    const username = local(jid)
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'SCRAM-SHA-256-PLUS']) {
      const login = { mechanism, username, password: PASSWORD }
      assert.equal(await attempt(tell, { ...login, authzid: jid }), undefined, `${mechanism} as oneself`)
      for (const authzid of [
        other,
        `${username}@elsewhere.example`,
        `${jid}/resource`,
        local(other),
        'admin',
        `${jid} `,
      ]) {
        const refused = await attempt(tell, { ...login, authzid })
        assert.ok(
          refused === 'invalid-authzid' || refused === 'not-authorized' || refused === 'malformed-request',
          `${mechanism} as ${authzid}: ${refused}`,
        )
      }
    }
  },
  { servers: 1 },
)

story(
  'PLAIN with NUL tricks logs nobody in',
  async (tell) => {
    const jid = await tell.account('romeo')
    const other = await tell.account('juliet')
    const user = local(jid)
    for (const message of [
      `${other}\0${user}\0${PASSWORD}`,
      `\0${user}\0${PASSWORD}\0`,
      `\0${user}\0${PASSWORD}\0${other}`,
      `${user}\0${PASSWORD}`,
      `\0\0${PASSWORD}`,
      `\0${user}`,
      '\0\0',
      '',
    ]) {
      const answer = await plain(tell, message)
      assert.notEqual(answer.name, 'success', JSON.stringify(message))
    }
  },
  { servers: 1 },
)

story(
  'a login is for the account whose password was shown, whatever is bound',
  async (tell) => {
    const jid = await tell.account('romeo')
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    await authenticate(c, { username: local(jid), password: PASSWORD, authzid: jid })
    await c.openStream({ from: await tell.account('juliet') })
    await c.features()
    assert.ok((await bind(c, 'balcony')).startsWith(`${jid}/`))
  },
  { servers: 1 },
)

story(
  'bad base64, bad messages and unknown mechanisms get their SASL error',
  async (tell) => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      [auth('PLAIN', '!!!!'), ['incorrect-encoding']],
      [auth('PLAIN', 'AGE=AGI'), ['incorrect-encoding']],
      [auth('SCRAM-SHA-1', 'not base64'), ['incorrect-encoding']],
      [auth('SCRAM-SHA-1', base64('n,,n=romeo')), ['malformed-request']],
      [auth('SCRAM-SHA-1', base64('n,,n=ro=meo,r=x')), ['malformed-request', 'not-authorized']],
      [auth('SCRAM-SHA-1', base64('n,,m=ext,n=romeo,r=x')), ['malformed-request', 'not-authorized']],
      [auth('SCRAM-SHA-1', base64('n,,n=,r=x')), ['malformed-request', 'not-authorized']],
      [auth('SCRAM-SHA-1', base64(Buffer.from([0xff, 0xfe, 0x00]))), ['malformed-request']],
      [auth('SCRAM-SHA-1', base64('n,,n=romeo,r=')), ['malformed-request']],
      [auth('DIGEST-MD5', ''), ['invalid-mechanism']],
      [auth('__proto__', ''), ['invalid-mechanism']],
      [auth('constructor', '='), ['invalid-mechanism']],
      [`<auth xmlns='${NS_SASL}'/>`, ['invalid-mechanism', 'malformed-request']],
      [`<response xmlns='${NS_SASL}'>AA==</response>`, ['malformed-request', 'not-authorized']],
      [`<abort xmlns='${NS_SASL}'/>`, ['aborted']],
    ]
    for (const [xml, conditions] of cases) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      const answer = await answerTo(c, xml)
      assert.equal(answer.name, 'failure', `${xml}: ${write(answer)}`)
      assert.ok(conditions.includes(conditionOf(answer) ?? ''), `${xml}: ${write(answer)}`)
      c.destroy()
    }
  },
  { servers: 1 },
)

story(
  'a huge first message is refused within the limit before login',
  async (tell) => {
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    c.write(auth('SCRAM-SHA-1', 'A'.repeat(100_000)))
    await c.endsWith('policy-violation')
    const long = await tell.connection({ directTls: true })
    await secureStream(long)
    const answer = await answerTo(long, auth('SCRAM-SHA-1', base64(`n,,n=romeo,r=${'x'.repeat(20_000)}`)))
    assert.equal(answer.name, 'failure')
  },
  { servers: 1 },
)

story(
  'a failed login may be tried again on the same stream, but not for ever',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    await assert.rejects(authenticate(c, { username, password: 'wrong' }), LoginRefused)
    await authenticate(c, { username, password: PASSWORD })
    const other = await tell.connection({ directTls: true })
    await secureStream(other)
    for (let tries = 0; ; tries++) {
      assert.ok(tries < 20, 'the server never had enough')
      other.write(auth('PLAIN', base64(`\0${username}\0wrong`)))
      const incoming = await other.next()
      if (incoming.kind !== 'element' || incoming.element.name !== 'failure') break
    }
    await other.closes().catch(() => {})
    assert.ok(other.ended)
  },
  { servers: 1 },
)

story(
  'a challenge may be aborted',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    const challenge = await answerTo(c, auth('SCRAM-SHA-1', base64(`n,,n=${username},r=abc`)))
    assert.equal(challenge.name, 'challenge')
    assert.equal(conditionOf(await answerTo(c, `<abort xmlns='${NS_SASL}'/>`)), 'aborted')
    await authenticate(c, { username, password: PASSWORD })
  },
  { servers: 1 },
)

story(
  'SCRAM refuses a changed nonce and a changed header',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    for (const final of [
      (r: string) => `c=biws,r=${r}x,p=AAAA`,
      (r: string) => `c=eSws,r=${r},p=AAAA`,
      (r: string) => `r=${r},p=AAAA`,
      () => '',
    ]) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      const challenge = await answerTo(c, auth('SCRAM-SHA-256', base64(`n,,n=${username},r=abc`)))
      const r = /r=([^,]+)/.exec(Buffer.from(challenge.children.join(''), 'base64').toString())?.[1] ?? ''
      const refused = await answerTo(c, `<response xmlns='${NS_SASL}'>${base64(final(r))}</response>`)
      assert.equal(refused.name, 'failure')
      c.destroy()
    }
  },
  { servers: 1 },
)
