import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { auth, authenticate, LoginRefused, logIn, NS_BIND, NS_SASL, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import { NS_TLS, streamHeader, type XmppConnection } from '../helpers/xmpp-connection.ts'

/** Rows 2, 3, 8, 9 and 30 of the attacks: what can be done without an account. */

const HEADER = streamHeader({ to: 'localhost' })
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const isUnharmed = async (witness: XmppClient): Promise<void> => {
  const answer = await witness.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, witness.domain)
  assert.equal(answer.attrs.type, 'result')
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** MB that this process, with server and clients in it, really uses. */
function usedMegabytes(): number {
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 2 ** 20
}
async function openConnections(tell: Story): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()
  return Number(/^fernruf_c2s_connections(?:\{[^}]*\})? (\d+)/m.exec(page)?.[1] ?? Number.NaN)
}

story(
  'row 2: many who each send all that is allowed and never end it take no more than a small multiple',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const before = usedMegabytes()
    const connections: XmppConnection[] = []
    for (let i = 0; i < 100; i++) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      const attrs = Array.from({ length: 20 }, (_, n) => `a${n}='${'v'.repeat(20)}'`).join(' ')
      c.write(`<x xmlns='urn:x'>${`<e ${attrs}/>`.repeat(40)}<y>${'t'.repeat(5_000)}`)
      connections.push(c)
    }
    await isUnharmed(witness)
    const grown = usedMegabytes() - before
    // 3 MB were sent; TLS on both ends of a hundred connections is part of the sum.
    assert.ok(grown < 60, `${grown.toFixed(1)} MB`)
    assert.ok(connections.every((c) => !c.ended))
  },
  { servers: 1 },
)

story(
  'row 3: 2,000 connections that come, try and go leave neither connections nor memory behind',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const idle = await openConnections(tell)
    const round = async (): Promise<void> => {
      const connections = await Promise.all(Array.from({ length: 50 }, () => tell.connection()))
      for (const c of connections) {
        c.write(`${HEADER}<iq type='get' id='x'><query xmlns='jabber:iq:register'/></iq>`)
        await c.next()
        c.destroy()
      }
    }
    for (let i = 0; i < 10; i++) await round()
    const before = usedMegabytes()
    for (let i = 0; i < 30; i++) await round()
    while ((await openConnections(tell)) > idle);
    const grown = usedMegabytes() - before
    // The transcript of the story grows as well.
    assert.ok(grown < 40, `${grown.toFixed(1)} MB`)
    await isUnharmed(witness)
  },
  { servers: 1 },
)

story(
  'row 3: 200 who fail to log in and then sit there are gone in time, whatever they send',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const idle = await openConnections(tell)
    const failed: XmppConnection[] = []
    const fails = async (): Promise<void> => {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      await assert.rejects(
        authenticate(c, { username: 'nobody', password: 'x', mechanism: 'SCRAM-SHA-1' }),
        LoginRefused,
      )
      c.write(' <')
      failed.push(c)
    }
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 10 }, () => fails().catch(() => undefined)))
    for (const c of failed) if (!c.ended) await c.closes()
    while ((await openConnections(tell)) > idle);
    await isUnharmed(witness)
  },
  { servers: 1, config: { limits: { stream: { login_timeout: '1s', close_timeout: '1s' } } } },
)

story(
  'row 8: a byte a time before login, in TLS, in a header, in an element, ends with the time to log in',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const slow = [await tell.connection(), await tell.connection(), await tell.connection({ directTls: true })]
    const [inHeader, inStartTls, inElement] = slow as [XmppConnection, XmppConnection, XmppConnection]
    await inStartTls.openStream()
    await inStartTls.features()
    inStartTls.write(`<starttls xmlns='${NS_TLS}'/>`)
    await inStartTls.element()
    await secureStream(inElement)
    inHeader.write('<stream:stream a="')
    inStartTls.write('\x16\x03\x01\x20\x00\x01\x00\x1f\xfc')
    inElement.write(`<iq type='set' id='`)
    while (slow.some((c) => !c.ended)) {
      for (const c of slow) if (!c.ended) c.write('x')
      await isUnharmed(witness)
    }
  },
  { servers: 1, config: { limits: { stream: { login_timeout: '1s', close_timeout: '1s' } } } },
)

story(
  'what is sent in clear together with <starttls/> is never obeyed',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    const plain = Buffer.from(`\0${username}\0${PASSWORD}`).toString('base64')
    for (const injected of [auth('PLAIN', plain), HEADER, `<iq type='get' id='i'/>`, ' ']) {
      const c = await tell.connection()
      await c.openStream()
      await c.features()
      c.write(`<starttls xmlns='${NS_TLS}'/>${injected}`)
      const answer = await c.element()
      if (answer.name === 'proceed') {
        // White space may have been read as what stands between two elements.
        assert.equal(injected, ' ')
        continue
      }
      assert.match(write(answer), /policy-violation/)
      await c.closes()
    }
    const late = await tell.connection()
    await late.openStream()
    await late.features()
    late.write(`<starttls xmlns='${NS_TLS}'/>`)
    assert.equal((await late.element()).name, 'proceed')
    late.write(auth('PLAIN', plain))
    await late.closes()
  },
  { servers: 1 },
)

story(
  'what follows a login on the old stream is never obeyed',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j')
    await juliet.isAvailable()
    const username = local(await tell.account('romeo'))
    const plain = Buffer.from(`\0${username}\0${PASSWORD}`).toString('base64')
    for (const more of [
      `<message to='${juliet.bare}'><body>early</body></message>`,
      `<iq type='set' id='b'><bind xmlns='${NS_BIND}'/></iq>`,
      auth('PLAIN', plain),
      `<response xmlns='${NS_SASL}'/>`,
    ]) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      c.write(auth('PLAIN', plain) + more)
      assert.equal((await c.element()).name, 'success')
      await c.closes()
    }
    await juliet.receivesNothing()
  },
  { servers: 1 },
)

story(
  'nothing but logging in and registering is possible before login',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j')
    await juliet.isAvailable()
    for (const stanza of [
      `<message to='${juliet.bare}'><body>x</body></message>`,
      `<message to='${juliet.bare}' from='${juliet.bare}'><body>x</body></message>`,
      `<presence/>`,
      `<presence to='${juliet.bare}' type='subscribe'/>`,
      `<iq type='result' id='x' to='${juliet.jid}'/>`,
      `<iq type='set'/>`,
    ]) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      c.write(stanza)
      await c.endsWith('not-authorized')
    }
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    for (const payload of [
      `<bind xmlns='${NS_BIND}'/>`,
      `<ping xmlns='urn:xmpp:ping'/>`,
      `<query xmlns='jabber:iq:roster'/>`,
      `<query xmlns='http://jabber.org/protocol/disco#info'/>`,
      `<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>`,
    ]) {
      for (const type of ['get', 'set'])
        for (const to of ['', `to='${juliet.jid}'`, `to='localhost'`]) {
          c.write(`<iq type='${type}' id='q' ${to}>${payload}</iq>`)
          assert.match(write(await c.element()), /type='error'.*<not-authorized/)
        }
    }
    await juliet.receivesNothing()
  },
  { servers: 1 },
)

story(
  'row 9: a stream stays with the domain it began with, before and after login',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    const login = { username, password: PASSWORD }
    const first = await tell.connection()
    await first.startTls()
    first.write(streamHeader({ to: 'other.localhost' }))
    await first.endsWith('not-authorized')
    const loggedIn = await tell.connection({ directTls: true })
    await secureStream(loggedIn)
    await authenticate(loggedIn, login)
    await loggedIn.openStream({ to: 'other.localhost' })
    assert.match(write(await loggedIn.endsWith('not-authorized')), /<text /)
    for (const to of ['third.localhost', 'localhost.example', 'xn--', '[::1]']) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      await authenticate(c, login)
      await c.openStream({ to })
      const ended = await c.endsWith('').catch((error: Error) => error)
      assert.match(String(ended), /host-unknown|not-authorized|improper-addressing/, to)
    }
    // The account is one of its own domain.
    const other = await tell.connection({ directTls: true })
    other.write(streamHeader({ to: 'other.localhost' }))
    assert.equal((await other.next()).kind, 'header')
    await other.features()
    await assert.rejects(authenticate(other, login), /not-authorized/)
    await assert.rejects(authenticate(other, { ...login, mechanism: 'PLAIN' }), /not-authorized/)
    await assert.rejects(
      authenticate(other, { ...login, mechanism: 'PLAIN', authzid: `${username}@localhost` }),
      /invalid-authzid|not-authorized/,
    )
  },
  { servers: 1, config: { domain: undefined, domains: ['localhost', 'other.localhost'] } },
)

story(
  'row 9: a bound stream is not restarted',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    romeo.connection.write(streamHeader({ to: 'localhost' }))
    const ended = await romeo.connection.endsWith('').catch((error: Error) => error)
    assert.match(String(ended), /not-well-formed|restricted-xml|not-authorized|unsupported-stanza-type|invalid-xml/)
  },
  { servers: 1 },
)

story(
  'row 30: TLS 1.2 is renegotiated a few times at most, on both kinds of port',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const username = local(await tell.account('romeo'))
    for (const directTls of [true, false]) {
      const c = await tell.connection({ directTls, tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } })
      await logIn(c, { username, password: PASSWORD })
      let times = 0
      const { tls } = c
      assert.ok(tls !== undefined)
      const again = (): Promise<boolean> =>
        new Promise((done) => {
          tls.once('close', () => done(false))
          if (!tls.renegotiate({}, (error) => done(error === null))) done(false)
        })
      while (await again()) assert.ok(++times <= 3, 'renegotiated for ever')
      if (times > 0) await c.closes()
      await isUnharmed(witness)
    }
  },
  { servers: 1 },
)
