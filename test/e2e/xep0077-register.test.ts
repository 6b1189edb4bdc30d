import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Element } from '../../src/xmpp/element.ts'
import { befriend } from '../helpers/contacts.ts'
import { authenticate, LoginRefused, secureStream } from '../helpers/login.ts'
import { difference, parse, write } from '../helpers/match-element.ts'
import { bounce, PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

const NS = 'jabber:iq:register'
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))

/** Asks on a stream that is not logged in. */
async function asks(c: XmppConnection, type: 'get' | 'set', content: string): Promise<Element> {
  c.write(`<iq type='${type}' id='r' to='${c.settings.domain}'><query xmlns='${NS}'>${content}</query></iq>`)
  return c.element()
}
const form = (fields: Readonly<Record<string, string>>): string =>
  `<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>${NS}</value></field>${Object.entries(fields)
    .map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
    .join('')}</x>`

async function logsIn(tell: Story, username: string, password: string): Promise<boolean> {
  const c = await tell.connection({ directTls: true })
  await secureStream(c)
  try {
    await authenticate(c, { username, password })
    return true
  } catch (error) {
    if (error instanceof LoginRefused) return false
    throw error
  }
}

story(
  'registration is offered, described, and leads to an account that logs in',
  async (tell) => {
    const name = local(tell.stranger('romeo'))
    const c = await tell.connection()
    const features = await secureStream(c)
    assert.ok(features.children.some((f) => typeof f !== 'string' && f.ns === 'http://jabber.org/features/iq-register'))
    const described = await asks(c, 'get', '')
    assert.equal(described.attrs.type, 'result', write(described))
    assert.equal(
      difference(parse(`<query xmlns='${NS}'>{...}<username/><password/></query>`), described.children[0] as Element),
      undefined,
    )
    const made = await asks(c, 'set', `<username>${name}</username><password>${PASSWORD}</password>`)
    assert.equal(made.attrs.type, 'result', write(made))
    await authenticate(c, { username: name, password: PASSWORD })
    assert.ok(await logsIn(tell, name, PASSWORD))
    assert.ok(!(await logsIn(tell, name, 'another')))
  },
  { servers: 1 },
)

story(
  'registration by data form works as well',
  async (tell) => {
    const name = local(tell.stranger('juliet'))
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    const made = await asks(c, 'set', form({ username: name, password: PASSWORD }))
    assert.equal(made.attrs.type, 'result', write(made))
    assert.ok(await logsIn(tell, name, PASSWORD))
  },
  { servers: 1 },
)

story(
  'a taken name, a bad name and a missing or short password are refused',
  async (tell) => {
    const taken = local(await tell.account('romeo'))
    const cases: readonly (readonly [string, string])[] = [
      [`<username>${taken}</username><password>${PASSWORD}</password>`, 'conflict'],
      [`<username>${taken.toUpperCase()}</username><password>${PASSWORD}</password>`, 'conflict'],
      [`<username>a b</username><password>${PASSWORD}</password>`, 'not-acceptable|jid-malformed'],
      [`<username>a@b</username><password>${PASSWORD}</password>`, 'not-acceptable|jid-malformed'],
      [`<username>${'x'.repeat(1100)}</username><password>${PASSWORD}</password>`, 'not-acceptable|jid-malformed'],
      [`<username>somebody</username>`, 'not-acceptable|bad-request'],
      [`<password>${PASSWORD}</password>`, 'not-acceptable|bad-request'],
      [`<username>somebody</username><password>x</password>`, 'not-acceptable'],
      [`<username>${'a'.repeat(40)}</username><password>${PASSWORD}</password>`, 'not-acceptable'],
      [`<remove/>`, 'not-allowed|bad-request|not-authorized|not-acceptable|registration-required'],
    ]
    for (const [content, condition] of cases) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      const answer = await asks(c, 'set', content)
      assert.equal(answer.attrs.type, 'error', content)
      assert.match(write(answer), new RegExp(condition), content)
      c.destroy()
    }
  },
  { servers: 1 },
)

story(
  'a number is registered with its code: the standard form, twice',
  async (tell) => {
    const { codes, domain } = tell
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    const phone = `+49151${String(process.pid).padStart(8, '2')}`
    const asked = await asks(c, 'set', form({ phone, code: '', password: PASSWORD }))
    assert.equal(asked.attrs.type, 'error', write(asked))
    assert.match(write(asked), /not-acceptable/)
    const code = /\b(\d{4,8})\b/.exec(codes.at(-1)?.replace(phone, '') ?? '')?.[1]
    assert.ok(code !== undefined, `no code in ${codes.at(-1)}`)
    const wrong = await asks(
      c,
      'set',
      form({ phone, code: code === '000000' ? '111111' : '000000', password: PASSWORD }),
    )
    assert.match(write(wrong), /bad-request/)
    const made = await asks(c, 'set', form({ phone, code, password: PASSWORD }))
    assert.equal(made.attrs.type, 'result', write(made))
    const username = createHash('sha1').update(phone).digest('hex')
    assert.ok(await logsIn(tell, username, PASSWORD), `${username}@${domain}`)
    assert.ok(
      !tell.logged.some((line) => line.includes(phone.slice(1)) || line.includes(username) || line.includes(PASSWORD)),
    )
  },
  { servers: 1, config: { account: { registration: ['sms', 'open'] }, sms: { provider: 'console' } } },
)

story(
  'closed registration is not offered and refused',
  async (tell) => {
    const c = await tell.connection({ directTls: true })
    const features = await secureStream(c)
    assert.ok(!write(features).includes('iq-register'))
    const answer = await asks(c, 'set', `<username>somebody</username><password>${PASSWORD}</password>`)
    assert.equal(answer.attrs.type, 'error')
    assert.match(write(answer), /not-allowed|service-unavailable|forbidden/)
  },
  { servers: 1, config: { account: { registration: [] } } },
)

story(
  'accounts from one address are bounded',
  async (tell) => {
    const answers: string[] = []
    for (let i = 0; i < 3; i++) {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      const answer = await asks(
        c,
        'set',
        `<username>${local(tell.stranger(`x${i}`))}</username><password>${PASSWORD}</password>`,
      )
      answers.push(answer.attrs.type === 'result' ? 'result' : write(answer))
    }
    assert.deepEqual(answers.slice(0, 2), ['result', 'result'])
    assert.match(answers[2] ?? '', /wait/)
  },
  { servers: 1, config: { limits: { registration: { accounts: { hour: 2, day: 2 } } } } },
)

story('a password is changed: the old one is refused, other sessions end, this one stays', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  const phone = await tell.client('romeo', 'phone')
  const changed = await romeo.asks(
    'set',
    `<query xmlns='${NS}'><username>${local(romeo.bare)}</username><password>quite another</password></query>`,
  )
  assert.equal(changed.attrs.type, 'result', write(changed))
  await phone.connection.closes()
  await romeo.receivesNothing()
  assert.ok(!(await logsIn(tell, local(romeo.bare), PASSWORD)))
  assert.ok(await logsIn(tell, local(romeo.bare), 'quite another'))
})

story('nobody changes the password of another', async (tell) => {
  const tybalt = await tell.client('tybalt', 'street')
  const romeo = await tell.account('romeo')
  const answer = await tybalt.asks(
    'set',
    `<query xmlns='${NS}'><username>${local(romeo)}</username><password>quite another</password></query>`,
  )
  assert.equal(answer.attrs.type, 'error', write(answer))
  for (const content of [`<username>${local(romeo)}</username><password>quite another</password>`, '<remove/>']) {
    await tybalt.sends(`<iq type='set' id='x' to='${romeo}'><query xmlns='${NS}'>${content}</query></iq>`)
    const refused = await tybalt.receivesAny()
    assert.equal(refused.attrs.type, 'error')
  }
  assert.ok(await logsIn(tell, local(romeo), PASSWORD))
})

story('an account is removed: sessions end, nothing of it is left, contacts are told', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  const juliet = await tell.client('juliet', 'balcony', { hearsPresence: true })
  await juliet.asks('get', `<query xmlns='jabber:iq:roster'/>`)
  await juliet.isAvailable()
  await juliet.sends(`<presence to='${romeo.bare}' type='subscribed'/>`)
  await juliet.receivesAny()
  await romeo.asks('get', `<query xmlns='jabber:iq:roster'/>`)
  await romeo.sends(`<presence to='${juliet.bare}' type='subscribe'/>`)
  // The push that says `from`: romeo is subscribed now.
  await juliet.receivesAny()
  await romeo.sends(`<iq type='set' id='rm'><query xmlns='${NS}'><remove/></query></iq>`)
  for (;;) {
    const e = await romeo.receivesAny()
    if (e.attrs.id === 'rm') {
      assert.equal(e.attrs.type, 'result')
      break
    }
  }
  await romeo.connection.closes()
  assert.ok(!(await logsIn(tell, local(romeo.bare), PASSWORD)))
  let told = false
  while (!told) {
    const e = await juliet.receivesAny()
    told =
      e.name === 'presence' &&
      (e.attrs.type === 'unsubscribe' || e.attrs.type === 'unsubscribed') &&
      e.attrs.from === romeo.bare
  }
  const sender = await tell.client('tybalt', 'street')
  await sender.sends(`<message to='${romeo.bare}' type='chat' id='m'><body>?</body></message>`)
  await sender.receives(
    bounce('message', { from: romeo.bare, to: sender.jid, id: 'm' }, 'cancel', 'service-unavailable'),
  )
})

story('of an account that is removed each contact is told that both subscriptions ended', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await client('juliet', 'balcony', { hearsPresence: true })
  for (const c of [romeo, juliet]) await c.isAvailable()
  await befriend(romeo, juliet)
  await juliet.asks('get', `<query xmlns='jabber:iq:roster'/>`)
  await romeo.sends(`<iq type='set' id='rm'><query xmlns='${NS}'><remove/></query></iq>`)
  await romeo.connection.closes()
  const ended = new Set<string>()
  for (let item = ''; !/subscription='none'/.test(item) || ended.size < 2; ) {
    const e = await juliet.receivesAny()
    if (e.attrs.from === romeo.bare && e.attrs.type !== 'unavailable') ended.add(e.attrs.type ?? '')
    if (e.name === 'iq') item = write(e)
  }
  assert.deepEqual([...ended].toSorted(), ['unsubscribe', 'unsubscribed'])
  const list = write(await juliet.asks('get', `<query xmlns='jabber:iq:roster'/>`))
  assert.match(
    list,
    new RegExp(`jid='${romeo.bare}' [^>]*subscription='none'|subscription='none' [^>]*jid='${romeo.bare}'`),
  )
  assert.doesNotMatch(list, /ask=/)
})

story('who takes the name of an account that was removed finds nothing of it, nor do its contacts', async (tell) => {
  const hears = { hearsPresence: true } as const
  const romeo = await tell.client('romeo', 'garden', hears)
  const juliet = await tell.client('juliet', 'balcony', hears)
  for (const c of [romeo, juliet]) await c.isAvailable()
  await befriend(romeo, juliet)
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}'/>`)
  const { bare } = romeo
  const kept = [
    [`<block xmlns='urn:xmpp:blocking'><item jid='evil.example'/></block>`, `<blocklist xmlns='urn:xmpp:blocking'/>`],
    [
      `<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'>mine</x></query>`,
      `<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>`,
    ],
    [`<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>`, `<vCard xmlns='vcard-temp'/>`],
  ] as const
  const found = async (client: XmppClient): Promise<string[]> => {
    const answers: string[] = []
    for (const [, get] of kept) answers.push(write(await client.asks('get', get)))
    return answers
  }
  for (const [set] of kept) assert.equal((await romeo.asks('set', set)).attrs.type, 'result')
  const had = await found(romeo)
  for (const [i, word] of ['evil', 'mine', 'Romeo'].entries()) assert.ok(had[i]?.includes(word))

  await romeo.asks('set', `<query xmlns='${NS}'><remove/></query>`)
  await romeo.connection.closes()
  // RFC 6121 §3.3.2, §3.2.2: it leaves its contacts, and they are left; its device goes away last.
  const told: string[] = []
  while (told.length < 3) {
    const e = await juliet.receivesAny()
    if (e.name === 'presence') told.push(`${e.attrs.type} ${e.attrs.from}`)
  }
  assert.deepEqual(told.toSorted(), [`unavailable ${romeo.jid}`, `unsubscribe ${bare}`, `unsubscribed ${bare}`])
  const roster = write(await juliet.asks('get', `<query xmlns='jabber:iq:roster'/>`))
  assert.match(roster, new RegExp(`<item jid='${bare}'[^>]* subscription='none'`))

  const connection = await tell.connection({ directTls: true })
  await connection.openStream()
  await connection.features()
  connection.write(
    `<iq type='set' id='reg'><query xmlns='${NS}'><username>${local(bare)}</username><password>${PASSWORD}</password></query></iq>`,
  )
  assert.equal((await connection.element()).attrs.type, 'result')
  connection.destroy()
  const other = await tell.client('romeo', 'phone')
  const has = await found(other)
  assert.match(has[0] ?? '', /<blocklist xmlns='urn:xmpp:blocking'\/>/)
  assert.match(has[1] ?? '', /<x xmlns='urn:example:x'\/>/)
  assert.match(has[2] ?? '', /<item-not-found /)
  assert.match(write(await juliet.asks('get', `<query xmlns='jabber:iq:last'/>`, bare)), /<forbidden /)
  assert.match(write(await juliet.asks('get', `<vCard xmlns='vcard-temp'/>`, bare)), /<service-unavailable /)
})
