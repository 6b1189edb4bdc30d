import assert from 'node:assert/strict'
import { pbkdf2Sync } from 'node:crypto'
import type { Element } from '../../src/xmpp/element.ts'
import { LoginRefused } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import {
  agentElement,
  answered,
  authenticate2,
  elements,
  has,
  NS_SASL2,
  openFrom,
  text,
  the,
} from '../helpers/sasl2.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

const NS_UPGRADE = 'urn:xmpp:sasl:upgrade:0'
const NS_SCRAM_UPGRADE = 'urn:xmpp:scram-upgrade:0'
const ONE = { servers: 1 } as const
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const upgrade = (name: string): string => `<upgrade xmlns='${NS_UPGRADE}'>UPGR-${name}</upgrade>`
const BOTH = upgrade('SCRAM-SHA-256') + upgrade('SCRAM-SHA-512')
const next = (name: string): string => `<next xmlns='${NS_SASL2}' task='UPGR-${name}'/>`
const taskData = (hash: string): string =>
  `<task-data xmlns='${NS_SASL2}'><hash xmlns='${NS_SCRAM_UPGRADE}'>${hash}</hash></task-data>`

const mechanismsIn = (features: Element): string[] =>
  elements(the(features, 'authentication'))
    .filter((e) => e.name === 'mechanism')
    .map(text)

/** What a client makes of <salt/>. */
function salted(data: Element, hash: 'sha256' | 'sha512', password: string): string {
  const salt = the(data, 'salt')
  assert.equal(salt.ns, NS_SCRAM_UPGRADE)
  const iterations = Number(salt.attrs.iterations)
  assert.ok(iterations >= 4096)
  const bytes = hash === 'sha256' ? 32 : 64
  return pbkdf2Sync(password, Buffer.from(text(salt), 'base64'), iterations, bytes, hash).toString('base64')
}

async function opened(tell: Story, jid: string): Promise<XmppConnection> {
  const c = await tell.connection({ directTls: true })
  await openFrom(c, jid)
  return c
}
/** Logs in by SHA-1 and asks for upgrades. @returns the connection and what came of it */
async function begun(tell: Story, jid: string, inline = BOTH) {
  const c = await opened(tell, jid)
  const login = { mechanism: 'SCRAM-SHA-1', username: local(jid), password: PASSWORD, inline }
  return { c, answer: await authenticate2(c, login) }
}
async function logsIn(tell: Story, jid: string, mechanism: string, password = PASSWORD): Promise<boolean> {
  const c = await opened(tell, jid)
  try {
    await authenticate2(c, { mechanism, username: local(jid), password })
    return true
  } catch (error) {
    if (error instanceof LoginRefused) return false
    throw error
  } finally {
    c.destroy()
  }
}

story(
  'an account that came with SHA-1 alone has its password hashed anew, by the client',
  async (tell) => {
    const jid = await tell.account('romeo', ['SCRAM-SHA-1'])
    const first = await tell.connection({ directTls: true })
    const features = await openFrom(first, jid)
    assert.deepEqual(mechanismsIn(features), ['SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1', 'PLAIN'])
    const offered = elements(the(features, 'authentication')).filter((e) => e.name === 'upgrade')
    assert.deepEqual(offered.map(text), ['UPGR-SCRAM-SHA-256', 'UPGR-SCRAM-SHA-512'])
    assert.equal(await logsIn(tell, jid, 'PLAIN'), true)
    assert.equal(await logsIn(tell, jid, 'PLAIN', 'wrong'), false)

    const { c, answer } = await begun(tell, jid)
    assert.equal(answer.name, 'continue')
    assert.ok(has(answer, 'additional-data'), 'the server has proven itself')
    assert.deepEqual(elements(the(answer, 'tasks')).map(text), ['UPGR-SCRAM-SHA-256'])
    c.write(next('SCRAM-SHA-256'))
    c.write(taskData(salted(await c.element(), 'sha256', PASSWORD)))
    const second = await answered(c)
    assert.equal(second.name, 'continue')
    assert.deepEqual(elements(the(second, 'tasks')).map(text), ['UPGR-SCRAM-SHA-512'])
    c.write(next('SCRAM-SHA-512'))
    c.write(taskData(salted(await c.element(), 'sha512', PASSWORD)))
    const success = await answered(c)
    assert.equal(success.name, 'success')
    assert.equal(text(the(success, 'authorization-identifier')), jid)
    assert.ok(!has(success, 'additional-data'))
    assert.ok(has(await c.features(), 'bind'))

    for (const mechanism of ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
      assert.equal(await logsIn(tell, jid, mechanism), true, mechanism)
      assert.equal(await logsIn(tell, jid, mechanism, 'wrong'), false, mechanism)
    }
    const again = await begun(tell, jid)
    assert.equal(again.answer.name, 'success', 'there is nothing left to do')
  },
  ONE,
)

story(
  'one upgrade alone, beside a new session',
  async (tell) => {
    const jid = await tell.account('romeo', ['SCRAM-SHA-1'])
    const inline = `${upgrade('SCRAM-SHA-512')}${upgrade('BLOOP-42')}<bind xmlns='urn:xmpp:bind:0'/>`
    const { c, answer } = await begun(tell, jid, inline)
    assert.deepEqual(elements(the(answer, 'tasks')).map(text), ['UPGR-SCRAM-SHA-512'])
    assert.ok(!has(answer, 'bound'), 'nothing runs before the task is done')
    c.write(next('SCRAM-SHA-512'))
    c.write(taskData(salted(await c.element(), 'sha512', PASSWORD)))
    assert.ok(has(await answered(c), 'bound'))
    assert.equal(await logsIn(tell, jid, 'SCRAM-SHA-256'), false)
    assert.equal(await logsIn(tell, jid, 'SCRAM-SHA-512'), true)
  },
  ONE,
)

story(
  'a task that is done wrong ends the login, and nothing is kept of it',
  async (tell) => {
    const jid = await tell.account('romeo', ['SCRAM-SHA-1'])
    for (const [what, xml, condition] of [
      ['another task', next('SCRAM-SHA-512'), 'malformed-request'],
      ['no task', `<next xmlns='${NS_SASL2}'/>`, 'malformed-request'],
      ['giving up', `<abort xmlns='${NS_SASL2}'/>`, 'aborted'],
    ] as const) {
      const { c } = await begun(tell, jid)
      c.write(xml)
      await assert.rejects(answered(c), (e) => e instanceof LoginRefused && e.condition === condition, what)
      // Not logged in.
      c.write(`<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`)
      assert.match(write(await c.element()), /not-authorized/)
    }
    for (const [hash, condition] of [
      ['', 'malformed-request'],
      ['AAAA', 'malformed-request'],
      [Buffer.alloc(64).toString('base64'), 'malformed-request'],
      ['?', 'incorrect-encoding'],
    ] as const) {
      const { c } = await begun(tell, jid)
      c.write(next('SCRAM-SHA-256'))
      await c.element()
      c.write(taskData(hash))
      await assert.rejects(answered(c), (e) => e instanceof LoginRefused && e.condition === condition, hash)
    }
    for (const xml of [
      taskData(Buffer.alloc(32).toString('base64')),
      `<response xmlns='${NS_SASL2}'/>`,
      '<presence/>',
      `<authenticate xmlns='${NS_SASL2}' mechanism='PLAIN'/>`,
    ]) {
      const { c } = await begun(tell, jid)
      c.write(xml)
      await c.endsWith('policy-violation')
    }
    const { c } = await begun(tell, jid)
    c.write(next('SCRAM-SHA-256'))
    await c.element()
    c.write(next('SCRAM-SHA-256'))
    await c.endsWith('policy-violation')
    assert.equal(await logsIn(tell, jid, 'SCRAM-SHA-256'), false)
    assert.equal(await logsIn(tell, jid, 'SCRAM-SHA-1'), true)
  },
  ONE,
)

story(
  'a hash of a password that was changed meanwhile is not kept',
  async (tell) => {
    const jid = await tell.account('romeo', ['SCRAM-SHA-1'])
    const { c } = await begun(tell, jid)
    c.write(next('SCRAM-SHA-256'))
    const data = await c.element()
    await tell.servers[0]?.running.admin.setPassword(jid, 'another password')
    c.write(taskData(salted(data, 'sha256', PASSWORD)))
    await assert.rejects(answered(c), (e) => e instanceof LoginRefused && e.condition === 'credentials-expired')
    assert.equal(await logsIn(tell, jid, 'SCRAM-SHA-256'), false)
    assert.equal(await logsIn(tell, jid, 'SCRAM-SHA-256', 'another password'), true)
  },
  ONE,
)

story(
  'who has shown a token and no password hashes none',
  async (tell) => {
    const jid = await tell.account('romeo', ['SCRAM-SHA-1'])
    const agent = 'd4565fa7-4d72-4749-b3d3-740edbf87770'
    const wants = `<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>`
    const { answer } = await begun(tell, jid, agentElement(agent) + wants)
    const token = the(answer, 'token').attrs.token ?? ''
    const c = await opened(tell, jid)
    const inline = `<fast xmlns='urn:xmpp:fast:0'/>${BOTH}`
    const login = { mechanism: 'HT-SHA-256-NONE', username: local(jid), password: token, agent, inline }
    assert.equal((await authenticate2(c, login)).name, 'success')
  },
  ONE,
)
