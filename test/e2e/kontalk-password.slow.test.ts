import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { befriend } from '../helpers/contacts.ts'
import { phone, settingsOf, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { auth, LoginRefused, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { authenticate2, NS_FAST, openFrom, the } from '../helpers/sasl2.ts'
import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'
import { slixmppIsMissing } from '../interop/helpers/missing.ts'
import { type Program, startSlixmpp, startXmppJs } from '../interop/helpers/program.ts'

/** An account that was registered with a key is there for every other client too. */

const REGISTER = 'jabber:iq:register'
const COMMANDS = 'http://jabber.org/protocol/commands'
const CONFIG = {
  config: { account: { registration: ['sms'] }, sms: { provider: 'console' }, limits: { registration: WIDE_BUDGETS } },
} as const
const FIRST = 'correct horse'
const SECOND = 'battery staple'
const local = (jid: string): string => jid.slice(0, 40)

/** A client that nobody here wrote, and that knows a name and a password. @returns its address */
async function comesIn(tell: Story, start: () => Program, jid: string, password: string): Promise<string> {
  const server = tell.servers.at(-1)
  assert.ok(server)
  const program = start()
  try {
    const { starttlsPort: port, directTlsPort: tlsPort } = server
    const { domain } = tell
    program.order({
      do: 'login',
      port,
      tlsPort,
      domain,
      user: local(jid),
      password,
      resource: 'other',
      register: false,
    })
    return (await program.event('online')).jid
  } finally {
    await program.stop()
  }
}
const sets = (client: XmppClient, password: string) =>
  client.asks(
    'set',
    `<query xmlns='${REGISTER}'><username>${local(client.bare)}</username><password>${password}</password></query>`,
  )
async function commands(client: XmppClient, fields: Readonly<Record<string, string>>): Promise<string> {
  const opened = write(await client.asks('set', `<command xmlns='${COMMANDS}' node='change-password'/>`))
  assert.ok(opened.includes(`as ${client.bare}`), opened)
  const sessionid = /sessionid='([^']+)'/.exec(opened)?.[1]
  const filled = Object.entries(fields).map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
  const form = `<x xmlns='jabber:x:data' type='submit'>${filled.join('')}</x>`
  const command = `<command xmlns='${COMMANDS}' node='change-password' sessionid='${sessionid}' action='complete'>${form}</command>`
  return write(await client.asks('set', command))
}
/** A device that logs in by password. @returns what logs it in by its token, or the condition of the refusal */
async function withToken(tell: Story, jid: string, password: string): Promise<() => Promise<string>> {
  const login = { username: local(jid), agent: randomUUID() }
  const c = await XmppConnection.open(settingsOf(tell))
  await openFrom(c, jid)
  const inline = `<request-token xmlns='${NS_FAST}' mechanism='HT-SHA-256-NONE'/>`
  const token = the(await authenticate2(c, { ...login, password, inline }), 'token').attrs.token ?? ''
  c.destroy()
  return async () => {
    const again = await XmppConnection.open(settingsOf(tell, 1))
    try {
      await openFrom(again, jid)
      const fast = `<fast xmlns='${NS_FAST}'/>`
      const { name } = await authenticate2(again, {
        ...login,
        password: token,
        mechanism: 'HT-SHA-256-NONE',
        inline: fast,
      })
      return name
    } catch (error) {
      if (error instanceof LoginRefused) return error.condition
      throw error
    } finally {
      again.destroy()
    }
  }
}

story(
  'a password set after a login by key lets xmpp.js in, by SCRAM, and slixmpp; a new one ends tokens and other sessions',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const [asking, other] = [await romeo.device('phone', 0), await romeo.device('tablet', 1)]
    await assert.rejects(comesIn(tell, startXmppJs, romeo.jid, FIRST))
    assert.equal((await sets(asking, FIRST)).attrs.type, 'result')
    await other.connection.endsWith('not-authorized')
    assert.equal(await comesIn(tell, startXmppJs, romeo.jid, FIRST), `${romeo.jid}/other`)
    if (slixmppIsMissing() === false)
      assert.equal(await comesIn(tell, startSlixmpp, romeo.jid, FIRST), `${romeo.jid}/other`)
    const byToken = await withToken(tell, romeo.jid, FIRST)
    assert.equal(await byToken(), 'success')
    const [third] = [await romeo.device('tablet', 1)]
    assert.equal((await sets(asking, SECOND)).attrs.type, 'result')
    await third.connection.endsWith('not-authorized')
    await asking.receivesNothing()
    assert.equal(await byToken(), 'credentials-expired')
    await assert.rejects(comesIn(tell, startXmppJs, romeo.jid, FIRST))
    assert.equal(await comesIn(tell, startXmppJs, romeo.jid, SECOND), `${romeo.jid}/other`)
    await romeo.device('tablet', 1)
    for (const secret of [FIRST, SECOND, local(romeo.jid)])
      assert.ok(!tell.logged.some((line) => line.includes(secret)))
  },
  CONFIG,
)

story(
  'the same by a command; other sessions stay where that is wanted, tokens never do',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const [asking, other] = [await romeo.device('phone', 0), await romeo.device('tablet', 1)]
    assert.match(await commands(asking, { password: FIRST, again: SECOND }), /<not-acceptable .*differ/)
    assert.match(await commands(asking, { password: '', again: '' }), /<not-acceptable /)
    assert.match(await commands(asking, { password: 'short', again: 'short' }), /<not-acceptable .*too short/)
    assert.match(await commands(asking, { password: FIRST, again: FIRST, 'end-sessions': '0' }), /was changed/)
    await other.receivesNothing()
    const byToken = await withToken(tell, romeo.jid, FIRST)
    assert.match(await commands(asking, { password: SECOND, again: SECOND, 'end-sessions': '0' }), /was changed/)
    await other.receivesNothing()
    assert.equal(await byToken(), 'credentials-expired')
    assert.equal(await comesIn(tell, startXmppJs, romeo.jid, SECOND), `${romeo.jid}/other`)
    assert.match(await commands(asking, { password: FIRST, again: FIRST }), /was changed/)
    await other.connection.endsWith('not-authorized')
    await asking.receivesNothing()
  },
  CONFIG,
)

story(
  'an account that was registered with a key is removed by its owner: its contacts are told, its number is free',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const juliet = await phone(tell, 'juliet')
    const [leaving, staying] = [await romeo.device('phone', 0), await juliet.device('phone', 1)]
    for (const c of [leaving, staying]) await c.isAvailable()
    await befriend(leaving, staying)
    assert.equal((await leaving.asks('set', `<query xmlns='${REGISTER}'><remove/></query>`)).attrs.type, 'result')
    await leaving.connection.endsWith('not-authorized')
    const seen = new Set<string>()
    while (!(seen.has('unsubscribe') && seen.has('unsubscribed'))) {
      const e = await staying.receivesAny()
      if (e.name === 'presence' && e.attrs.from === romeo.jid) seen.add(e.attrs.type ?? '')
    }
    const roster = write(await staying.asks('get', `<query xmlns='jabber:iq:roster'/>`))
    assert.match(roster, new RegExp(`jid='${romeo.jid}'[^>]* subscription='none'`))
    const c = await XmppConnection.open({ ...settingsOf(tell, 1), ...shown(romeo.key) })
    await secureStream(c)
    c.write(auth('EXTERNAL', '='))
    assert.equal((await c.element()).name, 'failure')
    c.destroy()
    // Without force, as a number that was never here.
    const next = await phone(tell, 'romeo')
    assert.notEqual(next.key.fingerprint, romeo.key.fingerprint)
  },
  CONFIG,
)
