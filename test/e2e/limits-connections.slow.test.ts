import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { authenticate, bind, LoginRefused, logIn, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

/** Limits on connections, on logins, and on requests to the operator's page. */

const one = (limits: Readonly<Record<string, unknown>>) => ({ servers: 1, config: { limits } }) as const
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))

/** A connection from one of this machine's addresses, as far as the server lets it come. */
async function from(tell: Story, localAddress: string): Promise<{ c: XmppConnection; isIn: boolean }> {
  const port = tell.servers[0]?.starttlsPort ?? 0
  const c = await XmppConnection.open({ port, domain: tell.domain, localAddress })
  c.write(
    `<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
  )
  const first = await c.next()
  if (first.kind === 'header') await c.features()
  return { c, isIn: first.kind === 'header' }
}
/** The same with a session. */
async function sessionFrom(tell: Story, localAddress: string): Promise<XmppConnection> {
  const port = tell.servers[0]?.directTlsPort ?? 0
  const c = await XmppConnection.open({ port, domain: tell.domain, localAddress, directTls: true })
  await logIn(c, { username: local(await tell.account('romeo')), password: PASSWORD })
  await bind(c, undefined)
  return c
}
async function isUnharmed(c: XmppConnection): Promise<void> {
  c.write(`<iq type='get' id='unharmed'><ping xmlns='urn:xmpp:ping'/></iq>`)
  assert.equal((await c.element()).attrs.id, 'unharmed')
}
/** Lets go of one and comes in again as soon as the server has seen that. */
async function comesInAfter(tell: Story, leaving: XmppConnection, localAddress: string): Promise<XmppConnection> {
  leaving.destroy()
  for (;;) {
    const { c, isIn } = await from(tell, localAddress)
    if (isIn) return c
  }
}

story(
  'connections.per_address: one address has so many, logged in or not; another is not concerned',
  async (tell) => {
    const session = await sessionFrom(tell, '127.0.0.2')
    const open = [await from(tell, '127.0.0.2'), await from(tell, '127.0.0.2')]
    assert.deepEqual(
      open.map((o) => o.isIn),
      [true, true],
    )
    for (let i = 0; i < 20; i++) assert.ok(!(await from(tell, '127.0.0.2')).isIn)
    const other = await from(tell, '127.0.0.3')
    assert.ok(other.isIn)
    await isUnharmed(session)
    const again = await comesInAfter(tell, open[0]?.c as XmppConnection, '127.0.0.2')
    for (const c of [session, again, other.c, ...open.map((o) => o.c)]) c.destroy()
  },
  one({ connections: { per_address: 3 } }),
)

story(
  'connections.total: all addresses together have so many',
  async (tell) => {
    const session = await sessionFrom(tell, '127.0.0.2')
    const other = await from(tell, '127.0.0.3')
    assert.ok(other.isIn)
    for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.4']) assert.ok(!(await from(tell, address)).isIn, address)
    await isUnharmed(session)
    const again = await comesInAfter(tell, other.c, '127.0.0.4')
    for (const c of [session, again]) c.destroy()
  },
  one({ connections: { total: 2 } }),
)

story(
  'connections.before_login and before_login_per_address: those who have logged in count no more',
  async (tell) => {
    const sessions = [await sessionFrom(tell, '127.0.0.2'), await sessionFrom(tell, '127.0.0.2')]
    const open = [await from(tell, '127.0.0.2')]
    assert.ok(!(await from(tell, '127.0.0.2')).isIn, 'one of an address')
    open.push(await from(tell, '127.0.0.3'))
    assert.ok(open.every((o) => o.isIn))
    assert.ok(!(await from(tell, '127.0.0.4')).isIn, 'two at all')
    for (const c of sessions) await isUnharmed(c)
    const again = await comesInAfter(tell, open[1]?.c as XmppConnection, '127.0.0.4')
    for (const c of [again, ...sessions, ...open.map((o) => o.c)]) c.destroy()
  },
  one({ connections: { before_login: 2, before_login_per_address: 1 } }),
)

story(
  'login.attempts: the stream ends with the last of them',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const username = local(await tell.account('romeo'))
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    for (let i = 0; i < 2; i++) await assert.rejects(authenticate(c, { username, password: 'wrong' }), LoginRefused)
    assert.match(write(await c.endsWith('policy-violation')), /<text /)
    await witness.receivesNothing()
  },
  one({ login: { attempts: 2 } }),
)

story(
  'login.failures_per_address: then not even the right password, from there; sessions and other addresses are not concerned',
  async (tell) => {
    const session = await sessionFrom(tell, '127.0.0.5')
    const username = local(await tell.account('romeo'))
    const tries = async (localAddress: string, password: string): Promise<string> => {
      const port = tell.servers[0]?.directTlsPort ?? 0
      const c = await XmppConnection.open({ port, domain: tell.domain, localAddress, directTls: true })
      await secureStream(c)
      try {
        await authenticate(c, { username, password })
        return 'success'
      } catch (error) {
        if (!(error instanceof LoginRefused)) throw error
        return error.message
      } finally {
        c.destroy()
      }
    }
    for (let i = 0; i < 4; i++) assert.match(await tries('127.0.0.5', 'wrong'), /<not-authorized/)
    for (const password of ['wrong', PASSWORD, PASSWORD])
      assert.match(await tries('127.0.0.5', password), /<temporary-auth-failure.*<text /)
    assert.equal(await tries('127.0.0.6', PASSWORD), 'success')
    await isUnharmed(session)
    session.destroy()
  },
  one({ login: { failures_per_address: '4/1h' } }),
)

story(
  'login.checks: who comes while too many are computed is told to come again',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const username = local(await tell.account('romeo'))
    const connections = await Promise.all(Array.from({ length: 24 }, () => tell.connection({ directTls: true })))
    for (const c of connections) await secureStream(c)
    const outcomes = await Promise.all(
      connections.map((c) =>
        authenticate(c, { mechanism: 'PLAIN', username, password: PASSWORD }).then(
          () => 'success',
          (error: Error) => error.message,
        ),
      ),
    )
    assert.ok(outcomes.includes('success'))
    const refused = outcomes.filter((o) => o !== 'success')
    assert.ok(refused.length > 0, 'everybody was let wait')
    for (const o of refused) assert.match(o, /<temporary-auth-failure.*<text /)
    await witness.receivesNothing()
    // It was no fault of theirs, so it counts for nothing.
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    await authenticate(c, { mechanism: 'PLAIN', username, password: PASSWORD })
  },
  one({ login: { checks: 1, failures_per_address: '5/1h' } }),
)

/** Sends bytes to the operator's page and returns what comes until it is closed. */
function asksPage(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let answer = ''
    socket.on('data', (data) => (answer += String(data)))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })
}
story(
  'http.max_header and header_timeout: a header too long or too slow ends the connection',
  async (tell) => {
    const port = tell.servers[0]?.opsPort ?? 0
    const head = 'GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n'
    assert.match(await asksPage(port, `${head}\r\n`), /^HTTP\/1.1 200 /)
    assert.match(await asksPage(port, `${head}a: ${'x'.repeat(2_000)}\r\n\r\n`), /^HTTP\/1.1 431 /)
    assert.match(await asksPage(port, `${head}a: never`), /^HTTP\/1.1 408 /)
    assert.match(await asksPage(port, ''), /^HTTP\/1.1 408 /)
  },
  one({ http: { max_header: '1KiB', header_timeout: '1s' } }),
)
