import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encryptKey, revokeKey } from 'openpgp'
import { loadConfig } from '../../src/config/load.ts'
import { FEATURES } from '../../src/features/index.ts'
import { startServer } from '../../src/server.ts'
import type { BareJid } from '../../src/xmpp/jid.ts'
import type { PhoneKey } from '../helpers/bridge-certificate.ts'
import { befriend } from '../helpers/contacts.ts'
import {
  codeIn,
  jidOf,
  KONTALK_CODE,
  keyFor,
  NUMBERS,
  type Person,
  phone,
  phoneOf,
  registrationForm,
  settingsOf,
  shown,
  WIDE_BUDGETS,
} from '../helpers/kontalk-phone.ts'
import { auth, authenticate, bind, LoginRefused, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { authenticate2, NS_FAST, openFrom, the } from '../helpers/sasl2.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

/** Flows b.5 and b.6 of Kontalk's protocol, and what keeps an account from whoever has its number for an hour. */

const REGISTER = 'jabber:iq:register'
const DAY_MS = 86_400_000

const withAccount = (
  account: Readonly<Record<string, string>> = {},
  registration: Readonly<Record<string, unknown>> = {},
) => ({
  config: {
    account: { registration: ['sms'], ...account },
    sms: { provider: 'console' },
    limits: { registration: { ...WIDE_BUDGETS, ...registration } },
  },
})
/** Whoever comes a second time has waited. */
const AT_ONCE = withAccount({ takeover_delay: '1ms' })
const CONFLICT = /type='error'.*<error type='modify'><conflict .*Another user is registered with the same id\./
const WAIT =
  /type='error'.*<error type='wait'><service-unavailable .*unless one of them refuses, come again after 2\d{3}-/
const WRONG_CODE = /type='error'.*<bad-request .*Invalid verification code\./
const CERTIFIED = /type='result'.*var='publickey'/
const error = (answer: string): string => /<error.*<\/error>/.exec(answer)?.[0] ?? answer

/** One step of a registration, on a connection of its own. */
async function step(tell: Story, fields: Readonly<Record<string, string>>, key?: PhoneKey): Promise<string> {
  const c = await XmppConnection.open({ ...settingsOf(tell, 1), ...(key === undefined ? {} : shown(key)) })
  try {
    await secureStream(c)
    c.write(registrationForm(fields))
    return write(await c.element())
  } finally {
    c.destroy()
  }
}
const asks = (tell: Story, person: Person, more: Readonly<Record<string, string>> = {}): Promise<string> =>
  step(tell, { FORM_TYPE: REGISTER, phone: NUMBERS[person], challenge: 'pin', ...more })
/** @returns the code */
async function forces(tell: Story, person: Person): Promise<string> {
  assert.match(await asks(tell, person, { force: 'true' }), /type='result'/)
  return codeIn(tell.codes)
}
const comes = (
  tell: Story,
  key: PhoneKey,
  code: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> => step(tell, { FORM_TYPE: KONTALK_CODE, code, ...more }, key)

const logIn = async (tell: Story, key: PhoneKey, server = 0): Promise<XmppConnection> => {
  const c = await XmppConnection.open({ ...settingsOf(tell, server), ...shown(key) })
  await secureStream(c)
  return c
}
async function isLetIn(tell: Story, key: PhoneKey, server = 0): Promise<boolean> {
  const c = await logIn(tell, key, server)
  c.write(auth('EXTERNAL', '='))
  const { name } = await c.element()
  c.destroy()
  return name === 'success'
}
/** The text of the next message from the registration service; presences and pushes before it are passed over. */
async function told(client: XmppClient, by = `registration@${client.domain}`): Promise<string> {
  for (;;) {
    const e = await client.receivesAny()
    if (e.name === 'message') {
      assert.equal(e.attrs.from, by)
      return write(e)
    }
  }
}
async function command(client: XmppClient, node: string, fields?: Readonly<Record<string, string>>): Promise<string> {
  const ns = 'http://jabber.org/protocol/commands'
  const opened = write(await client.asks('set', `<command xmlns='${ns}' node='${node}'/>`))
  const sessionid = /sessionid='([^']+)'/.exec(opened)?.[1]
  if (fields === undefined || sessionid === undefined) return opened
  const filled = Object.entries(fields).map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
  return write(
    await client.asks(
      'set',
      `<command xmlns='${ns}' node='${node}' sessionid='${sessionid}' action='complete'><x xmlns='jabber:x:data' type='submit'>${filled.join('')}</x></command>`,
    ),
  )
}
const says = (client: XmppClient, body: string): Promise<void> =>
  client.sends(
    `<message to='registration@${client.domain}' type='chat' id='${randomUUID()}'><body>${body}</body></message>`,
  )
const unused = (tell: Story, ms: number): Promise<unknown> =>
  tell.stores.database.query('update last_active set at = $1', [Date.now() - ms])

story(
  'b.5: a number that has an account is a conflict; by force a code comes, and nobody is told whether there is one',
  async (tell) => {
    await phone(tell, 'romeo')
    assert.match(await asks(tell, 'romeo'), CONFLICT)
    const sent = tell.codes.length
    const [taken, free] = [await asks(tell, 'romeo', { force: '1' }), await asks(tell, 'nobody', { force: '1' })]
    assert.equal(taken, free)
    assert.equal(tell.codes.length, sent + 2)
    const stranger = await keyFor(jidOf(tell, 'romeo'))
    const nobody = await keyFor(jidOf(tell, 'nobody'))
    assert.equal(error(await comes(tell, stranger, '000000')), error(await comes(tell, nobody, '000000')))
  },
  withAccount(),
)

story(
  'b.5: an account in use stays: its devices are told, once, and whoever has the number has to wait',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    const [here, there] = [await old.device('here', 0), await old.device('there', 1)]
    for (const device of [here, there]) await device.isAvailable()
    const key = await keyFor(old.jid)
    const code = await forces(tell, 'romeo')
    const answer = await comes(tell, key, code)
    assert.match(answer, WAIT)
    const until = Date.parse(/after (\S+Z)\./.exec(answer)?.[1] ?? '') - Date.now()
    assert.ok(until > DAY_MS - 60_000 && until <= DAY_MS + 1_000, String(until))
    for (const device of [here, there]) assert.match(await told(device), /answer NO/)
    // Again, with the same code: the same answer, nobody is told again. With another key, or by password: the code is wrong.
    assert.equal(await comes(tell, key, code), answer)
    assert.match(await comes(tell, await keyFor(old.jid), code), WRONG_CODE)
    assert.match(
      await step(tell, { FORM_TYPE: REGISTER, phone: NUMBERS.romeo, code, password: PASSWORD, force: '1' }),
      WRONG_CODE,
    )
    for (const device of [here, there]) await device.receivesNothing()
    assert.ok(await isLetIn(tell, old.key))
    assert.ok(!(await isLetIn(tell, key)))
    const events = tell.logged.filter((line) => line.includes('"takeover"'))
    assert.ok(events.some((line) => line.includes('"waiting"')))
    const secrets = [NUMBERS.romeo.slice(1), old.jid.slice(0, 40), code]
    for (const secret of secrets) assert.ok(!tell.logged.some((line) => line.includes(secret)))
  },
  withAccount(),
)

story(
  'b.5: the notice finds room in an inbox that others have filled',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    const device = await old.device('phone')
    await device.isAvailable()
    await device.disconnects()
    const stranger = await tell.client('stranger', 'den')
    const sends = (id: string) =>
      stranger.sends(`<message to='${old.jid}' type='chat' id='${id}'><body>full</body></message>`)
    for (const id of ['f1', 'f2']) await sends(id)
    const account = (await tell.stores.accounts.find(old.jid as BareJid))?.id ?? 0
    while ((await tell.stores.inbox.waiting(account)).entries < 2);
    await sends('f3')
    await stranger.receives(
      `<message from='${old.jid}' to='${stranger.jid}' type='error' id='f3'><error type='wait'>{...}</error></message>`,
    )
    assert.match(await comes(tell, await keyFor(old.jid), await forces(tell, 'romeo')), WAIT)
    const again = await old.device('phone')
    await again.isAvailable()
    for (const text of [/full/, /full/, /answer NO/]) {
      let e = await again.receivesAny()
      while (e.name !== 'message') e = await again.receivesAny()
      assert.match(write(e), text)
    }
  },
  {
    servers: 1,
    config: { ...withAccount().config, limits: { registration: WIDE_BUDGETS, inbox: { open_entries: 2 } } },
  },
)

story(
  'b.5: a device says no: the account stays, and the number’s holder is told so',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    const device = await old.device('phone')
    await device.isAvailable()
    const key = await keyFor(old.jid)
    await says(device, 'No.')
    assert.match(await told(device), /Nobody wants/)
    const code = await forces(tell, 'romeo')
    assert.match(await comes(tell, key, code), WAIT)
    await told(device)
    await says(device, 'what?')
    assert.match(await told(device), /YES or NO/)
    await says(device, ' no! ')
    assert.match(await told(device), /Refused/)
    const refused = /type='error'.*<error type='wait'><service-unavailable .*has refused\. You may ask again after 2/
    assert.match(await comes(tell, key, code), refused)
    assert.match(await comes(tell, key, await forces(tell, 'romeo')), refused)
    await device.receivesNothing()
    assert.ok(await isLetIn(tell, old.key))
  },
  withAccount(),
)

story(
  'b.5: a device says yes, and the other one goes on at once, with the code it has',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    const [here, there] = [await old.device('here', 0), await old.device('there', 1)]
    await here.isAvailable()
    const key = await keyFor(old.jid)
    const code = await forces(tell, 'romeo')
    assert.match(await comes(tell, key, code), WAIT)
    await told(here)
    assert.match(await command(there, 'takeover'), /Somebody has proven this account’s number/)
    assert.match(await command(there, 'takeover', { word: 'perhaps' }), /<bad-request /)
    assert.match(await command(there, 'takeover', { word: 'agreed' }), /The other device may go on/)
    assert.match(await comes(tell, key, code), CERTIFIED)
    for (const device of [here, there]) await device.connection.endsWith('not-authorized')
    for (const server of [0, 1]) {
      assert.ok(!(await isLetIn(tell, old.key, server)))
      assert.ok(await isLetIn(tell, key, server))
    }
    // Whose answer was lost gets it again.
    assert.match(await comes(tell, key, code), CERTIFIED)
  },
  withAccount(),
)

story(
  'b.5: after the delay the number’s holder has the account, and nothing of the one before',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    const other = await phone(tell, 'juliet')
    const [romeo, juliet] = [await old.device('phone', 0), await other.device('phone', 1)]
    for (const c of [romeo, juliet]) await c.isAvailable()
    await befriend(romeo, juliet)
    const local = old.jid.slice(0, 40)
    const kept = [
      [`<block xmlns='urn:xmpp:blocking'><item jid='evil.example'/></block>`, `<blocklist xmlns='urn:xmpp:blocking'/>`],
      [
        `<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'>mine</x></query>`,
        `<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>`,
      ],
      [`<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>`, `<vCard xmlns='vcard-temp'/>`],
    ] as const
    for (const [set] of kept) assert.equal((await romeo.asks('set', set)).attrs.type, 'result')
    const password = `<username>${local}</username><password>${PASSWORD}</password>`
    assert.equal((await romeo.asks('set', `<query xmlns='${REGISTER}'>${password}</query>`)).attrs.type, 'result')
    const agent = randomUUID()
    const tokens = await XmppConnection.open(settingsOf(tell))
    await openFrom(tokens, old.jid)
    const wish = `<request-token xmlns='${NS_FAST}' mechanism='HT-SHA-256-NONE'/>`
    const login = { username: local, password: PASSWORD, agent }
    const given = the(await authenticate2(tokens, { ...login, inline: wish }), 'token').attrs.token ?? ''
    tokens.destroy()
    const ring = Buffer.from((await encryptKey({ privateKey: old.key.key, passphrase: 'correct horse' })).write())
    const leaving = registrationForm({
      FORM_TYPE: 'http://kontalk.org/protocol/register#privatekey',
      privatekey: ring.toString('base64'),
    })
    const left = write(await romeo.asks('set', /<query.*<\/query>/s.exec(leaving)?.[0] ?? ''))
    const token = /<value>(\d{40})</.exec(left)?.[1] ?? ''
    assert.equal(token.length, 40, left)
    assert.match(await told(romeo, tell.domain), /was left on the server/)
    await juliet.sends(`<message to='${old.jid}' type='chat' id='h1'><body>said before</body></message>`)
    await romeo.receives(`<message from='${juliet.jid}' to='${old.jid}' type='chat' id='h1'>{...}</message>`)
    await romeo.disconnects()
    await juliet.sends(`<message to='${old.jid}' type='chat' id='h2'><body>for him alone</body></message>`)
    // It waits.
    while (
      (await tell.stores.inbox.waiting((await tell.stores.accounts.find(old.jid as BareJid))?.id ?? 0)).entries === 0
    );

    const key = await keyFor(old.jid)
    const code = await forces(tell, 'romeo')
    assert.match(await comes(tell, key, code), WAIT)
    assert.match(await comes(tell, key, code), CERTIFIED)

    const seen: string[] = []
    while (seen.length < 2) {
      const e = await juliet.receivesAny()
      if (e.name === 'presence' && e.attrs.from === old.jid) seen.push(e.attrs.type ?? '')
    }
    assert.deepEqual(seen.toSorted(), ['unsubscribe', 'unsubscribed'])
    const contacts = write(await juliet.asks('get', `<query xmlns='jabber:iq:roster'/>`))
    assert.match(contacts, new RegExp(`jid='${old.jid}'[^>]* subscription='none'`))

    const next = await phoneOf(tell, 'romeo', key).device('phone', 1)
    await next.isAvailable()
    await next.receivesNothing()
    assert.match(
      write(await next.asks('get', `<query xmlns='jabber:iq:roster'/>`)),
      /<query xmlns='jabber:iq:roster'[^>]*\/>/,
    )
    const found: string[] = []
    for (const [, get] of kept) found.push(write(await next.asks('get', get)))
    for (const [i, word] of ['evil', 'mine', 'Romeo'].entries()) assert.ok(!found[i]?.includes(word), found[i])
    const history = write(await next.asks('set', `<query xmlns='urn:xmpp:mam:2'/>`))
    assert.match(history, /complete='true'/)
    assert.ok(!history.includes('<first'), history)
    assert.match(write(await next.asks('get', `<list xmlns='urn:xmpp:cam:0'/>`)), /^(?!.*type='access')/)

    const byPassword = await XmppConnection.open(settingsOf(tell))
    await secureStream(byPassword)
    await assert.rejects(authenticate(byPassword, { username: local, password: PASSWORD }), LoginRefused)
    byPassword.destroy()
    const byToken = await XmppConnection.open(settingsOf(tell, 1))
    await openFrom(byToken, old.jid)
    const fast = { ...login, mechanism: 'HT-SHA-256-NONE', password: given, inline: `<fast xmlns='${NS_FAST}'/>` }
    await assert.rejects(authenticate2(byToken, fast), LoginRefused)
    byToken.destroy()
    assert.ok(!(await isLetIn(tell, old.key)))
    const fetching = await XmppConnection.open(settingsOf(tell))
    await secureStream(fetching)
    fetching.write(
      `<iq type='get' id='k' to='${tell.domain}'><query xmlns='${REGISTER}'><account xmlns='http://kontalk.org/protocol/register#account'><privatekey><token>${token}</token></privatekey></account></query></iq>`,
    )
    assert.match(write(await fetching.element()), /<not-authorized .*Invalid private key token\./)
    fetching.destroy()
  },
  AT_ONCE,
)

story(
  'b.5: who had logged in before and binds afterwards gets nothing of the new account',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    const lingering = await logIn(tell, old.key)
    lingering.write(auth('EXTERNAL', '='))
    assert.equal((await lingering.element()).name, 'success')
    await lingering.openStream()
    await lingering.features()
    await unused(tell, 8 * DAY_MS)
    const key = await keyFor(old.jid)
    assert.match(await comes(tell, key, await forces(tell, 'romeo')), CERTIFIED)
    await assert.rejects(bind(lingering, 'phone'))
    lingering.destroy()
    await (await phoneOf(tell, 'romeo', key).device('phone')).isAvailable()
  },
  withAccount(),
)

story(
  'b.5: an account that nobody has used goes at once',
  async (tell) => {
    const never = await phone(tell, 'romeo')
    const key = await keyFor(never.jid)
    assert.match(await comes(tell, key, await forces(tell, 'romeo')), CERTIFIED)
    const device = await phoneOf(tell, 'romeo', key).device('phone')
    await device.isAvailable()
    await device.disconnects()
    const third = await keyFor(never.jid)
    await unused(tell, 6 * DAY_MS)
    assert.match(await comes(tell, third, await forces(tell, 'romeo')), WAIT)
    await unused(tell, 8 * DAY_MS)
    assert.match(await comes(tell, third, await forces(tell, 'romeo')), CERTIFIED)
    // One that is connected is in use, whatever was noted.
    await phoneOf(tell, 'romeo', third).device('phone')
    await unused(tell, 8 * DAY_MS)
    assert.match(await comes(tell, await keyFor(never.jid), await forces(tell, 'romeo')), WAIT)
  },
  withAccount(),
)

story(
  'a registration lock holds the number beyond the delay, opens it at once, and cannot be guessed',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    const device = await old.device('phone')
    await device.isAvailable()
    assert.match(await command(device, 'registration-lock', { lock: 'short' }), /<not-acceptable /)
    assert.match(await command(device, 'registration-lock', { lock: 'open, Sesame' }), /lock is set/)
    const key = await keyFor(old.jid)
    const code = await forces(tell, 'romeo')
    const locked =
      /<error type='wait'><service-unavailable .*is locked\. Give its registration lock, or come again after 2/
    for (let i = 0; i < 3; i++) assert.match(await comes(tell, key, code), locked)
    assert.match(await told(device), /Without its registration lock/)
    for (let i = 0; i < 2; i++)
      assert.match(await comes(tell, key, code, { 'registration-lock': `guess ${i}` }), /<not-authorized /)
    const tooMany = /<error type='wait'><service-unavailable .*Too many attempts\./
    assert.match(await comes(tell, key, code, { 'registration-lock': 'open, Sesame' }), tooMany)
    assert.ok(await isLetIn(tell, old.key))
    // Set anew it has tries of its own.
    assert.match(await command(device, 'registration-lock', { lock: 'open, Barley' }), /lock is set/)
    const form = { FORM_TYPE: REGISTER, phone: NUMBERS.romeo, password: PASSWORD, force: '1' }
    assert.match(await step(tell, form), /<not-acceptable .*A code was sent/)
    const answer = { ...form, code: codeIn(tell.codes), 'registration-lock': 'open, Barley' }
    assert.match(await step(tell, answer), /type='result'.*<registered/)
    await device.connection.endsWith('not-authorized')
    const c = await XmppConnection.open(settingsOf(tell))
    await secureStream(c)
    await authenticate(c, { username: old.jid.slice(0, 40), password: PASSWORD })
    c.destroy()
    assert.ok(!(await isLetIn(tell, old.key)))
  },
  withAccount({ takeover_delay: '1ms' }, { lock_attempts: 2 }),
)

story(
  'b.6: whoever comes with the account’s own key keeps it, with all it has and all that is connected',
  async (tell) => {
    const own = await phone(tell, 'romeo')
    const device = await own.device('phone')
    await device.asks('set', `<query xmlns='jabber:iq:roster'><item jid='friend@example.org' name='Friend'/></query>`)
    const before = await tell.stores.accounts.find(own.jid as BareJid)
    // As it comes out of a key pack: with our certification, or without it.
    const bare = { ...own.key, ring: Buffer.from(own.key.key.toPublic().write()) }
    for (const key of [own.key, bare]) {
      assert.match(await comes(tell, key, await forces(tell, 'romeo')), CERTIFIED)
      assert.ok(await isLetIn(tell, key))
    }
    assert.deepEqual(await tell.stores.accounts.find(own.jid as BareJid), before)
    assert.match(write(await device.asks('get', `<query xmlns='jabber:iq:roster'/>`)), /friend@example\.org/)
  },
  withAccount(),
)

story(
  'b.6: a key that has revoked itself is no way back, though the shown copy does not say so',
  async (tell) => {
    const own = await phone(tell, 'romeo')
    const { publicKey } = await revokeKey({ key: own.key.key, format: 'object' })
    await tell.stores.database.query('update public_key set ring = $1', [Buffer.from(publicKey.write())])
    assert.match(await comes(tell, own.key, await forces(tell, 'romeo')), /<internal-server-error /)
    assert.ok(!(await isLetIn(tell, own.key)))
  },
  withAccount(),
)

story(
  'an account that the operator has shut is nobody’s, and its number stays with it',
  async (tell) => {
    const old = await phone(tell, 'romeo')
    await tell.servers[0]?.running.admin.setDisabled(old.jid, true)
    assert.match(
      await comes(tell, await keyFor(old.jid), await forces(tell, 'romeo')),
      /<forbidden .*shut by the operator/,
    )
    assert.match(await comes(tell, old.key, await forces(tell, 'romeo')), /<forbidden .*shut by the operator/)
    assert.equal((await tell.stores.accounts.find(old.jid as BareJid))?.fingerprint, old.key.fingerprint)
  },
  withAccount(),
)

test('what was begun goes on after a restart: the claim, the code, and whose it is', { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-takeover-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'fernruf.yaml')
  const { config } = withAccount()
  const place = {
    domain: 'localhost',
    environment: 'development',
    data_dir: join(folder, 'data'),
    c2s: { starttls: ['127.0.0.1:0'], direct_tls: ['127.0.0.1:0'] },
    http: { ops: { listen: '127.0.0.1:0' } },
  }
  writeFileSync(file, JSON.stringify({ ...place, ...config }))
  const codes: string[] = []
  const start = async () => {
    const parts = { log: { write: () => undefined }, printCode: (line: string) => void codes.push(line) }
    const running = await startServer(loadConfig(file, {}, FEATURES), parts)
    const port = running.addresses.find(({ kind }) => kind === 'direct_tls')?.address.port ?? 0
    const steps = { domain: 'localhost', servers: [{ directTlsPort: port }], codes } as unknown as Story
    return { running, steps }
  }
  const online = async (steps: Story, key: PhoneKey): Promise<XmppConnection> => {
    const c = await logIn(steps, key)
    t.after(() => c.destroy())
    c.write(auth('EXTERNAL', '='))
    assert.equal((await c.element()).name, 'success')
    await c.openStream()
    await c.features()
    await bind(c, 'phone')
    return c
  }
  const before = await start()
  const old = await phone(before.steps, 'romeo')
  await online(before.steps, old.key)
  const key = await keyFor(old.jid)
  const code = await forces(before.steps, 'romeo')
  assert.match(await comes(before.steps, key, code), WAIT)
  await before.running.close()

  const after = await start()
  t.after(() => after.running.close())
  assert.match(await comes(after.steps, await keyFor(old.jid), code), WRONG_CODE)
  assert.match(await comes(after.steps, key, code), WAIT)
  const device = await online(after.steps, old.key)
  device.write(`<message to='registration@localhost' type='chat' id='yes'><body>yes</body></message>`)
  assert.match(write(await device.element()), /The other device may go on/)
  assert.match(await comes(after.steps, key, code), CERTIFIED)
  await device.endsWith('not-authorized')
})
