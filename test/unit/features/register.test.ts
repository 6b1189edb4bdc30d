import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { pino } from 'pino'
import { Counter, Registry } from 'prom-client'
import type { OfferedStream } from '../../../src/contract/handler.ts'
import type { Session } from '../../../src/contract/session.ts'
import register from '../../../src/features/xep0077-register/index.ts'
import { KeyTransfers } from '../../../src/keys/transfers.ts'
import type { Element } from '../../../src/xmpp/element.ts'
import { type BareJid, bareOf, type FullJid, type Jid } from '../../../src/xmpp/jid.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { type Asking, ask } from '../../helpers/feature-handlers.ts'
import { difference, parse, write } from '../../helpers/match-element.ts'
import {
  certificate,
  DOMAIN,
  FakeSms,
  IP,
  openMemory,
  PHONE,
  PHONE_JID,
  type WorldOptions,
  worldOn,
} from '../account/world.ts'

const stores = await openMemory()
const PASSWORD = 'deny thy father'
const TYPE = `<field var='FORM_TYPE' type='hidden'><value>jabber:iq:register</value></field>`
const CODE_TYPE = `<field var='FORM_TYPE' type='hidden'><value>http://kontalk.org/protocol/register#code</value></field>`

const query = (content: string): string => `<query xmlns='jabber:iq:register'>${content}</query>`
const form = (fields: Readonly<Record<string, string>>, type = TYPE): string => {
  const filled = Object.entries(fields).map(([name, v]) => `<field var='${name}'><value>${v}</value></field>`)
  return query(`<x xmlns='jabber:x:data' type='submit'>${type}${filled.join('')}</x>`)
}
const plain = (username: string, password = PASSWORD): string =>
  query(`<username>${username}</username><password>${password}</password>`)

interface SetUpOptions extends WorldOptions {
  readonly terms?: string
  readonly certificate?: Uint8Array
  readonly secure?: boolean
}

/** The feature over real accounts: a stream before login, and what a session may ask. */
async function setUp(t: TestContext, options: SetUpOptions = {}) {
  const world = await worldOn(stores, t, options)
  const logged: string[] = []
  const ended: [string, string, string | undefined][] = []
  const registers = [new Registry()]
  const { name, help, labels } = register.metrics.steps
  const steps = new Counter({ name, help, labelNames: [...labels], registers })
  const into = new Writable({ write: (line: Buffer, _, next) => next(void logged.push(line.toString())) })
  const handlers = await register.setup({
    config: register.config.parse(options.terms === undefined ? undefined : { terms: options.terms }),
    metrics: { steps },
    ports: {
      accounts: world.accounts,
      registration: world.registration,
      keyTransfers: new KeyTransfers({
        store: stores.keyTransfers,
        accounts: stores.accounts,
        keys: { of: () => Promise.resolve(undefined) },
        lifetimeMs: 60_000,
        tries: { count: 10, perMs: 60_000 },
        tell: () => Promise.resolve(true),
      }),
      sessions: { end: (account, condition, _, except) => void ended.push([account, condition, except]) },
    },
    log: pino({ level: 'trace' }, into),
    signal: new AbortController().signal,
  })
  const [feature] = handlers.streamFeatures ?? []
  assert.ok(feature?.chosenBy)
  const { choose } = feature.chosenBy
  const stream: OfferedStream = {
    flags: new Set(options.secure === false ? [] : ['secure']),
    domain: DOMAIN,
    ip: IP,
    certificate: options.certificate,
  }
  const say = async (type: 'get' | 'set', xml: string) => (await choose(parse(xml), stream, type)).reply
  const outcomes = async () =>
    (await steps.get()).values.map(({ labels: l, value }) => `${String(l.step)} ${String(l.outcome)} ${value}`)
  return { ...world, handlers, feature, stream, logged, ended, say, outcomes }
}
type SetUp = Awaited<ReturnType<typeof setUp>>

function matches(actual: Element | undefined, expected: string): void {
  assert.ok(actual, 'expected an answer')
  const found = difference(parse(expected), actual)
  assert.equal(found, undefined, `${found ?? ''}\n${write(actual)}`)
}
async function refuses(work: Promise<unknown>, condition: string, type: string, text?: string): Promise<StanzaError> {
  const error: unknown = await work.then(
    () => assert.fail(`expected ${condition}`),
    (e: unknown) => e,
  )
  assert.ok(error instanceof StanzaError, String(error))
  assert.deepEqual([error.condition, error.type], [condition, type], error.message)
  if (text !== undefined) assert.equal(error.text, text)
  return error
}
const wrong = (s: SetUp) => String((Number(s.sms.code) + 1) % 1_000_000).padStart(6, '0')
const fieldNames = (answer: Element | undefined): (string | undefined)[] => {
  assert.ok(answer)
  const x = answer.children.find((c): c is Element => typeof c !== 'string' && c.name === 'x')
  return (x?.children ?? []).flatMap((c) => (typeof c !== 'string' && c.name === 'field' ? [c.attrs.var] : []))
}

describe('what strangers are asked', () => {
  test('a number: the form that Kontalk and others fill in', async (t) => {
    const s = await setUp(t)
    const answer = await s.say('get', query(''))
    matches(
      answer,
      query(`{...}<x xmlns='jabber:x:data' type='form'>{...}
        ${TYPE}
        <field var='phone' type='text-single' label='Phone number'><required/></field>
        <field var='code' type='text-single' label='{any}'/>
        <field var='password' type='text-private' label='Password'><required/></field>
        <field var='force' type='boolean' label='{any}'><value>0</value></field>
        <field var='registration-lock' type='text-private' label='{any}'/>
        <field var='challenge' type='hidden' label='Challenge type'><value>pin</value></field></x>`),
    )
    assert.deepEqual(fieldNames(answer), [
      'FORM_TYPE',
      'phone',
      'code',
      'password',
      'force',
      'registration-lock',
      'challenge',
    ])
    assert.ok(!write(answer as Element).includes('<username'))
  })
  test('the terms, where there are some', async (t) => {
    const answer = await (await setUp(t, { terms: 'https://example.org/terms' })).say('get', query(''))
    matches(
      answer,
      query(`{...}<x xmlns='jabber:x:data' type='form'>{...}
        <field var='accept-terms' type='boolean' label='{any}'><required/></field>
        <field var='terms' type='hidden'><value>https://example.org/terms</value></field></x>`),
    )
  })
  test('another way for the code, where there is one', async (t) => {
    const s = await setUp(t, { fallback: new FakeSms('voice') })
    assert.ok(fieldNames(await s.say('get', query(''))).includes('fallback'))
  })
  test('a name, where it is open', async (t) => {
    const s = await setUp(t, { modes: ['open'] })
    matches(await s.say('get', query('')), query('<instructions>{any}</instructions><username/><password/>'))
  })
  test('either: the plain fields beside the form', async (t) => {
    const s = await setUp(t, { modes: ['sms', 'open'] })
    const answer = await s.say('get', query(''))
    matches(
      answer,
      query(`<instructions>{any}</instructions><username/><password/>
        <x xmlns='jabber:x:data' type='form'>{...}<field var='phone' type='text-single' label='Phone number'/>
        <field var='username' type='text-single' label='{any}'/></x>`),
    )
  })
  test('nothing, where registration is closed or the stream is in clear', async (t) => {
    const closed = await setUp(t, { modes: [] })
    assert.equal(closed.feature.advertise(closed.stream), undefined)
    await refuses(closed.say('get', query('')), 'not-allowed', 'cancel')
    await refuses(closed.say('set', plain('romeo')), 'not-allowed', 'cancel')
    const clear = await setUp(t, { modes: ['open'], secure: false })
    await refuses(clear.say('set', plain('romeo')), 'not-allowed', 'cancel')
    assert.equal(await clear.accounts.find('romeo@example.org' as BareJid), undefined)
  })
  test('is shown as a stream feature after TLS and before login', async (t) => {
    const { feature, stream } = await setUp(t)
    matches(feature.advertise(stream), `<register xmlns='http://jabber.org/features/iq-register'/>`)
    assert.deepEqual([feature.needs, feature.until], [['secure'], ['authenticated']])
  })
  test('nothing else by a get', async (t) => {
    const s = await setUp(t)
    const account = (content: string): string =>
      query(`<account xmlns='http://kontalk.org/protocol/register#account'>${content}</account>`)
    await refuses(s.say('get', account('<publickey/>')), 'feature-not-implemented', 'cancel')
    await refuses(s.say('get', account('<privatekey/>')), 'bad-request', 'modify')
    await refuses(s.say('get', account('<privatekey><token>1</token></privatekey>')), 'not-authorized', 'auth')
  })
})

describe('Kontalk', () => {
  const phone = (more: Readonly<Record<string, string>> = { challenge: 'pin' }) => form({ phone: PHONE, ...more })
  test('asks for a code', async (t) => {
    const s = await setUp(t)
    matches(
      await s.say('set', phone()),
      query(`<instructions>{any}</instructions><x xmlns='jabber:x:data' type='form'>${TYPE}
        <field var='from' type='text-single' label='Sender ID'><value>Sender fake</value></field>
        <field var='challenge' type='text-single' label='Challenge type'><value>pin</value></field></x>`),
    )
    assert.equal(s.sms.messages.length, 1)
  })
  test('asks for a code the other way', async (t) => {
    const voice = new FakeSms('voice')
    const s = await setUp(t, { fallback: voice })
    matches(
      await s.say('set', phone()),
      query(`{...}<x xmlns='jabber:x:data' type='form'>{...}
        <field var='can-fallback' type='boolean' label='{any}'><value>true</value></field></x>`),
    )
    const again = await s.say('set', phone({ fallback: 'true' }))
    assert.ok(!fieldNames(again).includes('can-fallback'))
    assert.deepEqual([s.sms.messages.length, voice.messages.length], [1, 1])
  })
  test('gets its key back, certified, for the code', async (t) => {
    const s = await setUp(t, { certificate: certificate(PHONE_JID) })
    await s.say('set', phone())
    const key = Buffer.from(`certified ${'A'.repeat(40)} for ${PHONE_JID}`).toString('base64')
    matches(
      await s.say('set', form({ code: s.sms.code }, CODE_TYPE)),
      query(`<x xmlns='jabber:x:data' type='form'>${CODE_TYPE}
        <field var='publickey' type='text-single' label='Signed public key'><value>${key}</value></field></x>`),
    )
    assert.equal((await s.accounts.show(PHONE_JID)).fingerprint, 'A'.repeat(40))
    assert.deepEqual(await s.outcomes(), ['phone done 1', 'code done 1'])
  })
  test('gets the errors it knows', async (t) => {
    const s = await setUp(t, { certificate: certificate(PHONE_JID), throttle: { number: { hour: 2, day: 9 } } })
    const code = (value: string) => s.say('set', form({ code: value }, CODE_TYPE))
    await refuses(s.say('set', form({ phone: '12345' })), 'bad-request', 'modify', 'Bad phone number.')
    await refuses(s.say('set', form({ phone: '+499001234567' })), 'not-acceptable', 'modify')
    await refuses(code('123456'), 'bad-request', 'modify', 'Invalid verification code.')
    await s.say('set', phone())
    await refuses(code(wrong(s)), 'bad-request', 'modify', 'Invalid verification code.')
    await refuses(code(''), 'bad-request', 'modify', 'Invalid verification code.')
    s.certifier.fail = 'certify'
    await refuses(code(s.sms.code), 'internal-server-error', 'wait')
    s.certifier.fail = undefined
    await code(s.sms.code)
    const taken = 'Another user is registered with the same id.'
    await refuses(s.say('set', phone({ challenge: 'pin' })), 'conflict', 'modify', taken)
    await refuses(s.say('set', phone()), 'service-unavailable', 'wait', 'Too many attempts.')
  })
  test('is told when no provider took the number', async (t) => {
    const s = await setUp(t)
    s.sms.act = () => Promise.reject(new Error('down'))
    await refuses(s.say('set', phone()), 'not-acceptable', 'modify', 'Unable to verify number.')
  })
  test('needs a certificate with a key for the second step', async (t) => {
    const without = await setUp(t)
    await refuses(
      without.say('set', form({ code: '123456' }, CODE_TYPE)),
      'bad-request',
      'modify',
      'Invalid public key.',
    )
    const foreign = await setUp(t, { certificate: certificate('romeo@example.com') })
    await refuses(
      foreign.say('set', form({ code: '123456' }, CODE_TYPE)),
      'bad-request',
      'modify',
      'Invalid public key.',
    )
  })
  test('must accept the terms, before anything is sent', async (t) => {
    const s = await setUp(t, { terms: 'https://example.org/terms' })
    const refused = 'Service terms were not accepted.'
    await refuses(s.say('set', phone()), 'bad-request', 'modify', refused)
    await refuses(s.say('set', phone({ 'accept-terms': '0' })), 'bad-request', 'modify', refused)
    assert.equal(s.sms.messages.length, 0)
    for (const yes of ['true', '1']) await s.say('set', phone({ 'accept-terms': yes }))
    assert.equal(s.sms.messages.length, 2)
  })
})

describe('any client that shows forms', () => {
  /** As a client submits the form: all fields, hidden ones as they came. */
  const filled = (code: string, more: Readonly<Record<string, string>> = {}) =>
    form({ phone: '+49 170 1234567', code, password: PASSWORD, force: '0', challenge: 'pin', ...more })
  test('gets a code without one, with the same form and the address, and an account with it', async (t) => {
    const s = await setUp(t)
    const error = await refuses(s.say('set', filled('')), 'not-acceptable', 'modify')
    assert.match(error.text ?? '', /A code was sent/)
    assert.ok(error.text?.includes(PHONE_JID))
    assert.deepEqual(fieldNames(error.app && parse(query(write(error.app)))), fieldNames(await s.say('get', query(''))))
    matches(
      await s.say('set', filled(s.sms.code)),
      query(`<registered/><username>${PHONE_JID.slice(0, 40)}</username><password/>`),
    )
    assert.ok((await s.stores.accounts.credential(PHONE_JID, 'SCRAM-SHA-256'))?.secrets)
  })
  test('may leave empty fields out', async (t) => {
    const s = await setUp(t)
    await refuses(s.say('set', form({ phone: PHONE, password: PASSWORD })), 'not-acceptable', 'modify')
    assert.ok(await s.say('set', form({ phone: PHONE, password: PASSWORD, code: s.sms.code })))
  })
  test('needs a password before a code is sent', async (t) => {
    const s = await setUp(t)
    await refuses(s.say('set', form({ phone: PHONE, code: '', password: '' })), 'not-acceptable', 'modify')
    assert.equal(s.sms.messages.length, 0)
  })
  test('is told of a wrong code and a short password, and may go on', async (t) => {
    const s = await setUp(t)
    await refuses(s.say('set', filled('')), 'not-acceptable', 'modify')
    await refuses(s.say('set', filled(wrong(s))), 'bad-request', 'modify', 'Invalid verification code.')
    await refuses(s.say('set', filled(s.sms.code, { password: 'short' })), 'not-acceptable', 'modify')
    assert.ok(await s.say('set', filled(s.sms.code)))
    await refuses(s.say('set', filled(s.sms.code)), 'conflict', 'modify')
    await refuses(s.say('set', filled('')), 'conflict', 'modify')
  })
  test('may choose a name instead where that is open', async (t) => {
    const s = await setUp(t, { modes: ['sms', 'open'] })
    assert.equal(await s.say('set', form({ phone: '', code: '', username: 'romeo', password: PASSWORD })), undefined)
    assert.equal((await s.accounts.show('romeo@example.org' as BareJid)).isNumber, false)
  })
  test('gets a clear answer to anything else', async (t) => {
    const s = await setUp(t)
    await refuses(s.say('set', query('')), 'bad-request', 'modify')
    await refuses(s.say('set', form({})), 'bad-request', 'modify')
    await refuses(s.say('set', form({ ['__proto__']: 'x', constructor: 'y' })), 'bad-request', 'modify')
    const cancelled = query(`<x xmlns='jabber:x:data' type='cancel'/>`)
    await refuses(s.say('set', cancelled), 'bad-request', 'modify')
    await refuses(s.say('set', plain('romeo')), 'not-allowed', 'cancel')
  })
})

describe('the plain fields', () => {
  test('make an account where that is open', async (t) => {
    const s = await setUp(t, { modes: ['open'] })
    assert.equal(await s.say('set', plain('Romeo')), undefined)
    assert.ok(await s.accounts.show('romeo@example.org' as BareJid))
    await refuses(s.say('set', plain('romeo')), 'conflict', 'modify')
    await refuses(s.say('set', plain('juliet', '')), 'not-acceptable', 'modify')
    await refuses(s.say('set', plain('juliet', 'short')), 'not-acceptable', 'modify')
    await refuses(s.say('set', plain(PHONE_JID.slice(0, 40))), 'not-acceptable', 'modify')
    await refuses(s.say('set', plain('admin')), 'not-acceptable', 'modify')
    await refuses(s.say('set', query(`<phone>${PHONE}</phone>`)), 'not-allowed', 'cancel')
  })
})

describe('who is logged in', () => {
  const ROMEO = 'romeo@example.org' as BareJid
  const PHONE_SESSION = 'romeo@example.org/phone' as FullJid
  function session(jid: FullJid, accountId: number): Session {
    return {
      jid,
      account: bareOf(jid),
      accountId,
      node: 'node',
      priority: 0,
      flags: new Set(),
      ip: IP,
      send: () => undefined,
      sendArchived: () => undefined,
      skipWaiting: () => Promise.resolve(),
      flag: () => undefined,
    }
  }
  async function loggedIn(t: TestContext) {
    const s = await setUp(t, { modes: [] })
    const { id } = await s.accounts.create({ jid: ROMEO, naming: 'chosen', password: PASSWORD })
    const own: Asking = { target: 'self', from: PHONE_SESSION, session: session(PHONE_SESSION, id) }
    const server: Asking = { ...own, target: 'server', to: DOMAIN as Jid }
    const secrets = async () => (await s.stores.accounts.credential(ROMEO, 'SCRAM-SHA-256'))?.secrets?.storedKey
    return { ...s, secrets, own, server }
  }

  for (const at of ['own', 'server'] as const) {
    test(`is told so (${at})`, async (t) => {
      const s = await loggedIn(t)
      assert.equal(
        await ask(s.handlers, s[at], 'get', query('')),
        query('<registered/><username>romeo</username><password/>'),
      )
    })
    test(`changes the password, which ends the other sessions (${at})`, async (t) => {
      const s = await loggedIn(t)
      const before = await s.secrets()
      assert.equal(await ask(s.handlers, s[at], 'set', plain('romeo', 'refuse thy name')), '')
      assert.notDeepEqual(await s.secrets(), before)
      assert.deepEqual(s.changes.at(-1), [ROMEO, 'password', PHONE_SESSION])
      assert.deepEqual(s.ended, [[ROMEO, 'not-authorized', PHONE_SESSION]])
    })
    test(`removes the account, is answered, and then ends (${at})`, async (t) => {
      const s = await loggedIn(t)
      assert.equal(await ask(s.handlers, s[at], 'set', query('<remove/>')), '')
      assert.deepEqual(s.ended, [])
      assert.equal(await s.accounts.find(ROMEO), undefined)
      await turn()
      assert.deepEqual(s.ended, [[ROMEO, 'not-authorized', undefined]])
      await refuses(ask(s.handlers, s[at], 'set', query('<remove/>')), 'registration-required', 'auth')
    })
  }
  test('changes the password by form too, and with the whole address', async (t) => {
    const s = await loggedIn(t)
    const type = TYPE.replace('jabber:iq:register', 'jabber:iq:register:changepassword')
    const change = form({ username: 'romeo@example.org', password: 'refuse thy name' }, type)
    assert.equal(await ask(s.handlers, s.own, 'set', change), '')
    assert.equal(s.changes.at(-1)?.[1], 'password')
  })
  test('changes nothing by half or for others', async (t) => {
    const s = await loggedIn(t)
    const before = await s.secrets()
    const set = (xml: string) => ask(s.handlers, s.own, 'set', xml)
    await refuses(set(plain('romeo', '')), 'bad-request', 'modify')
    await refuses(set(query(`<password>${PASSWORD}</password>`)), 'bad-request', 'modify')
    await refuses(set(plain('juliet')), 'not-allowed', 'cancel')
    await refuses(set(plain('romeo', 'short')), 'not-acceptable', 'modify')
    await refuses(set(query('<remove/><username>romeo</username>')), 'bad-request', 'modify')
    const kontalk = form(
      { publickey: 'AAAA' },
      TYPE.replace('jabber:iq:register', 'http://kontalk.org/protocol/register#other'),
    )
    await refuses(set(kontalk), 'feature-not-implemented', 'cancel')
    assert.deepEqual(await s.secrets(), before)
    assert.deepEqual(s.ended, [])
  })
  test('is at home on one domain, and others are not at all', async (t) => {
    const { handlers, server } = await loggedIn(t)
    const elsewhere = { ...server, to: 'example.com' as Jid }
    await refuses(ask(handlers, elsewhere, 'set', query('<remove/>')), 'service-unavailable', 'cancel')
    const remote: Asking = { target: 'server', from: 'romeo@example.net/x' as Jid, to: DOMAIN as Jid }
    await refuses(ask(handlers, remote, 'set', query('<remove/>')), 'service-unavailable', 'cancel')
    await refuses(ask(handlers, remote, 'get', query('')), 'service-unavailable', 'cancel')
  })
})

test('nothing that is secret is logged', async (t) => {
  const s = await setUp(t, { certificate: certificate(PHONE_JID) })
  await refuses(s.say('set', form({ phone: PHONE, password: PASSWORD })), 'not-acceptable', 'modify')
  await refuses(s.say('set', form({ code: wrong(s) }, CODE_TYPE)), 'bad-request', 'modify')
  await s.say('set', form({ phone: PHONE, password: PASSWORD, code: s.sms.code }))
  await refuses(s.say('set', form({ phone: PHONE })), 'conflict', 'modify')
  const text = s.logged.join('')
  assert.match(text, /"fault":"wrong-code"/)
  for (const secret of [PHONE.slice(1), PHONE_JID.slice(0, 40), s.sms.code, PASSWORD]) assert.ok(!text.includes(secret))
})
