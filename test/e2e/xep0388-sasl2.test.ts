import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { bind, LoginRefused, NS_SASL, NS_SM } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import {
  agentElement,
  answered,
  authenticate2,
  authenticateElement,
  elements,
  has,
  type Login2,
  NS_BIND2,
  NS_SASL2,
  openFrom,
  text,
  the,
} from '../helpers/sasl2.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const ONE = { servers: 1 } as const

async function opened(tell: Story, from: string | undefined): Promise<XmppConnection> {
  const c = await tell.connection({ directTls: true })
  await openFrom(c, from)
  return c
}
/** @returns the condition a login on a fresh stream is refused with, or undefined */
async function refusal(tell: Story, from: string | undefined, login: Login2): Promise<string | undefined> {
  const c = await opened(tell, from)
  try {
    await authenticate2(c, login)
    return undefined
  } catch (error) {
    if (error instanceof LoginRefused) return error.condition
    throw error
  } finally {
    c.destroy()
  }
}

story(
  'both profiles are offered with the same mechanisms, and what runs inside a login',
  async (tell) => {
    const c = await tell.connection({ directTls: true })
    const features = await openFrom(c, await tell.account('romeo'))
    const authentication = the(features, 'authentication')
    assert.equal(authentication.ns, NS_SASL2)
    const named = (e: typeof authentication): string[] =>
      elements(e)
        .filter((m) => m.name === 'mechanism')
        .map(text)
    assert.deepEqual(named(authentication), named(the(features, 'mechanisms')))
    assert.ok(named(authentication).includes('SCRAM-SHA-256-PLUS'))
    const inline = the(authentication, 'inline')
    assert.deepEqual(
      elements(inline).map((e) => [e.name, e.ns]),
      [
        ['bind', NS_BIND2],
        ['sm', NS_SM],
        ['fast', 'urn:xmpp:fast:0'],
      ],
    )
    const vars = elements(the(the(inline, 'bind'), 'inline')).map((e) => e.attrs.var)
    assert.ok(vars.includes(NS_SM))
    assert.ok(elements(the(features, 'sasl-channel-binding')).some((e) => e.attrs.type === 'tls-server-end-point'))
  },
  ONE,
)

story(
  'nothing of it is offered or taken before TLS',
  async (tell) => {
    const c = await tell.connection()
    await c.openStream()
    assert.equal(has(await c.features(), 'authentication'), false)
    c.write(authenticateElement('PLAIN', `\0romeo\0${PASSWORD}`))
    await c.endsWith('not-authorized')
  },
  ONE,
)

for (const mechanism of ['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'SCRAM-SHA-256-PLUS']) {
  story(
    `${mechanism} logs in without a restart, and with no other password`,
    async (tell) => {
      const jid = await tell.account('romeo')
      const login = { mechanism, username: local(jid), password: PASSWORD }
      const c = await opened(tell, jid)
      const success = await authenticate2(c, login)
      assert.equal(text(the(success, 'authorization-identifier')), jid)
      assert.equal(has(success, 'bound'), false)
      // No header in between.
      const features = await c.features()
      assert.ok(has(features, 'bind') && !has(features, 'authentication') && !has(features, 'mechanisms'))
      assert.equal(await bind(c, 'balcony'), `${jid}/balcony`)
      assert.equal(await refusal(tell, jid, { ...login, password: 'wrong' }), 'not-authorized')
      assert.equal(await refusal(tell, undefined, login), undefined, 'a header without from will do')
    },
    ONE,
  )
}

story(
  'row 10: whoever proves to be somebody else than the header names is refused, in every mechanism',
  async (tell) => {
    const romeo = await tell.account('romeo')
    const juliet = await tell.account('juliet')
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-512', 'SCRAM-SHA-256-PLUS']) {
      const login = { mechanism, username: local(romeo), password: PASSWORD }
      assert.equal(await refusal(tell, juliet, login), 'invalid-authzid', `${mechanism}: from is another`)
      assert.equal(await refusal(tell, juliet, { ...login, authzid: juliet }), 'invalid-authzid')
      assert.equal(await refusal(tell, romeo, { ...login, authzid: romeo }), undefined, `${mechanism} as oneself`)
      for (const authzid of [juliet, `${local(romeo)}@elsewhere.example`, `${romeo}/r`, 'admin', `${romeo}\u0000`]) {
        const refused = await refusal(tell, romeo, { ...login, authzid })
        assert.ok(
          ['invalid-authzid', 'malformed-request'].includes(refused ?? ''),
          `${mechanism} ${authzid}: ${refused}`,
        )
      }
    }
  },
  ONE,
)

story(
  'a header from another domain ends the stream; one that names nobody is as none',
  async (tell) => {
    const c = await tell.connection({ directTls: true })
    await c.openStream({ from: 'romeo@elsewhere.example' })
    await c.endsWith('invalid-from')
    for (const from of [tell.domain, 'not a jid@@', '']) {
      const other = await tell.connection({ directTls: true })
      assert.ok(has(await openFrom(other, from === '' ? undefined : from), 'authentication'))
    }
  },
  ONE,
)

story(
  'anything else while a login is under way ends the stream',
  async (tell) => {
    const jid = await tell.account('romeo')
    const first = `n,,n=${local(jid)},r=abcdefgh`
    for (const other of [
      `<iq type='get' id='1' to='${tell.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`,
      `<message to='${jid}'><body>hi</body></message>`,
      `<presence/>`,
      `<auth xmlns='${NS_SASL}' mechanism='PLAIN'>AGEAYg==</auth>`,
      authenticateElement('PLAIN', `\0${local(jid)}\0${PASSWORD}`),
      `<resume xmlns='${NS_SM}' previd='x' h='0'/>`,
      `<next xmlns='${NS_SASL2}' task='UPGR-SCRAM-SHA-256'/>`,
      `<task-data xmlns='${NS_SASL2}'/>`,
    ]) {
      const c = await opened(tell, jid)
      c.write(authenticateElement('SCRAM-SHA-256', first))
      assert.equal((await c.element()).name, 'challenge')
      c.write(other)
      await c.endsWith('policy-violation')
    }
  },
  ONE,
)

story(
  'a login may be aborted, and tried again; too often it is not',
  async (tell) => {
    const jid = await tell.account('romeo')
    const c = await opened(tell, jid)
    c.write(authenticateElement('SCRAM-SHA-256', `n,,n=${local(jid)},r=abcdefgh`))
    await c.element()
    c.write(`<abort xmlns='${NS_SASL2}'/>`)
    await assert.rejects(answered(c), (e) => e instanceof LoginRefused && e.condition === 'aborted')
    await authenticate2(c, { username: local(jid), password: PASSWORD })
    const other = await opened(tell, jid)
    for (let tries = 0; ; tries++) {
      assert.ok(tries < 20, 'the server never had enough')
      other.write(authenticateElement('PLAIN', `\0${local(jid)}\0wrong`))
      const incoming = await other.next()
      if (incoming.kind !== 'element' || incoming.element.name !== 'failure') break
    }
    await other.closes()
  },
  ONE,
)

story(
  'a second login on the same stream ends it',
  async (tell) => {
    const jid = await tell.account('romeo')
    for (const bound of [false, true]) {
      const c = await opened(tell, jid)
      const login = { username: local(jid), password: PASSWORD }
      await authenticate2(c, bound ? { ...login, inline: `<bind xmlns='${NS_BIND2}'/>` } : login)
      c.write(authenticateElement('PLAIN', `\0${local(jid)}\0${PASSWORD}`))
      await c.endsWith('unsupported-stanza-type')
    }
  },
  ONE,
)

story(
  'bad requests get their SASL error, and run nothing of what they hold',
  async (tell) => {
    const jid = await tell.account('romeo')
    const right = `\0${local(jid)}\0${PASSWORD}`
    const bindIt = `<bind xmlns='${NS_BIND2}'><tag>t</tag></bind>`
    const cases: readonly (readonly [string, string])[] = [
      [authenticateElement('PLAIN', `\0${local(jid)}\0wrong`, bindIt), 'not-authorized'],
      [authenticateElement('DIGEST-MD5', right, bindIt), 'invalid-mechanism'],
      [authenticateElement('EXTERNAL', '', bindIt), 'invalid-mechanism'],
      [authenticateElement('__proto__', right), 'invalid-mechanism'],
      [`<authenticate xmlns='${NS_SASL2}'/>`, 'invalid-mechanism'],
      [`<response xmlns='${NS_SASL2}'/>`, 'malformed-request'],
      [`<abort xmlns='${NS_SASL2}'/>`, 'aborted'],
      [authenticateElement('PLAIN', right, agentElement('not-a-uuid')), 'malformed-request'],
      // A UUID of version 1 tells time and machine.
      [authenticateElement('PLAIN', right, agentElement('d4565fa7-4d72-1749-b3d3-740edbf87770')), 'malformed-request'],
      [
        authenticateElement('PLAIN', right, `<bind xmlns='${NS_BIND2}'><tag>&#x202e;</tag></bind>`),
        'malformed-request',
      ],
      [
        authenticateElement('PLAIN', right, `<bind xmlns='${NS_BIND2}'><tag>${'x'.repeat(2000)}</tag></bind>`),
        'malformed-request',
      ],
      [
        `<authenticate xmlns='${NS_SASL2}' mechanism='PLAIN'><initial-response>!</initial-response></authenticate>`,
        'incorrect-encoding',
      ],
    ]
    for (const [xml, condition] of cases) {
      const c = await opened(tell, jid)
      c.write(xml)
      const failure = await c.element()
      assert.equal(failure.name, 'failure', write(failure))
      assert.equal(failure.ns, NS_SASL2)
      assert.equal(elements(failure)[0]?.name, condition, xml)
      assert.equal(elements(failure)[0]?.ns, NS_SASL, 'RFC 6120 section 6.5')
      assert.ok(!has(failure, 'bound'))
      // Still nobody.
      c.write(`<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`)
      assert.match(write(await c.element()), /type='error'.*not-authorized/)
      c.destroy()
    }
  },
  ONE,
)

story(
  'row 13: an account that is not there looks like a wrong password, from the features on',
  async (tell) => {
    const romeo = await tell.account('romeo')
    const nobody = tell.stranger('nobody')
    const heard: string[][] = []
    for (const jid of [romeo, nobody]) {
      const c = await tell.connection({ directTls: true })
      const features = write(await openFrom(c, jid))
      const agent = agentElement(randomUUID())
      c.write(authenticateElement('PLAIN', `\0${local(jid)}\0wrong`, agent))
      const plain = write(await c.element())
      c.write(authenticateElement('SCRAM-SHA-256', `n,,n=${local(jid)},r=abcdefgh`, agent))
      const challenge = Buffer.from(text(await c.element()), 'base64').toString()
      const nonce = /r=([^,]+)/.exec(challenge)?.[1] ?? ''
      const final = Buffer.from(`c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`).toString('base64')
      c.write(`<response xmlns='${NS_SASL2}'>${final}</response>`)
      const scram = write(await c.element())
      const message = Buffer.concat([Buffer.from(`${local(jid)}\0`), Buffer.alloc(32, 1)])
      c.write(authenticateElement('HT-SHA-256-NONE', message, `${agent}<fast xmlns='urn:xmpp:fast:0'/>`))
      heard.push([features, plain, scram, write(await c.element())])
    }
    assert.deepEqual(heard[0], heard[1])
  },
  ONE,
)

story(
  'what a device calls itself is told to nobody: not in its address, not to contacts, not in the log',
  async (tell) => {
    const jid = await tell.account('romeo')
    const id = randomUUID()
    const c = await opened(tell, jid)
    const agent = `<user-agent id='${id}'><software>A secret program</software><device>A secret phone</device></user-agent>`
    const inline = `${agent}<bind xmlns='${NS_BIND2}'><tag>t</tag></bind>`
    const success = await authenticate2(c, { username: local(jid), password: PASSWORD, inline })
    const features = await c.features()
    const said = write(success) + write(features) + tell.logged.join('\n')
    for (const secret of [id, id.replaceAll('-', ''), Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')])
      assert.ok(!said.includes(secret), 'the id')
    assert.ok(!said.includes('A secret'), 'the names')
  },
  ONE,
)
