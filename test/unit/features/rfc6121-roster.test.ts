import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Handlers } from '../../../src/contract/feature.ts'
import roster from '../../../src/features/rfc6121-roster.ts'
import { el } from '../../../src/xmpp/element.ts'
import { NS_ROSTER } from '../../../src/xmpp/ns.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { ask, handlersOf, offered } from '../../helpers/feature-handlers.ts'
import { bare, type FakeSession, PresenceWorld } from '../../helpers/presence-world.ts'

const condition = (expected: string) => (error: unknown) => error instanceof StanzaError && error.condition === expected
const query = (items: string, attrs = '') => `<query xmlns='jabber:iq:roster'${attrs}>${items}</query>`

async function setUp(maxItems = 100) {
  const world = new PresenceWorld({ maxItems })
  const { line, views, rosters, step } = world
  const handlers = await handlersOf(roster, { line, views, rosters, presence: step })
  const phone = await world.connect('romeo', 'phone')
  const request = (type: 'get' | 'set', items: string, attrs = '', session: FakeSession = phone) =>
    ask(handlers, { target: 'self', from: session.jid, session }, type, query(items, attrs))
  const get = (attrs = '') => request('get', '', attrs)
  const set = (items: string) => request('set', items)
  return { world, handlers, phone, request, get, set }
}

describe('the roster', () => {
  test('is empty at first, and asking for it makes a session interested', async () => {
    const { get, phone } = await setUp()
    phone.flag('interested', false)
    assert.equal(await get(), `<query xmlns='jabber:iq:roster'/>`)
    assert.deepEqual([...phone.flags], ['interested'])
  })
  test('shows names, groups and subscriptions; who was never named has its localpart (kontalk 0.8)', async () => {
    const { get, set, world } = await setUp()
    await world.befriend('romeo', 'juliet')
    await set(`<item jid='nurse@example.org' name='Amme &amp; co'><group>Friends</group><group>Old</group></item>`)
    await world.arrives('subscribe', 'paris@example.org', 'romeo@example.org')
    assert.equal(
      await get(),
      `<query xmlns='jabber:iq:roster'><item jid='juliet@example.org' name='juliet' subscription='both'/>` +
        `<item jid='nurse@example.org' name='Amme &amp; co' subscription='none'><group>Friends</group><group>Old</group></item></query>`,
    )
  })
  test('is changed by its owner, and every interested device is told', async () => {
    const { set, world, phone } = await setUp()
    const laptop = await world.connect('romeo', 'laptop')
    const blind = await world.connect('romeo', 'blind')
    blind.flag('interested', false)
    assert.equal(await set(`<item jid='juliet@example.org' name='J' subscription='both' ask='subscribe'/>`), '')
    const push = (to: string) => [
      `<iq to='${to}' from='romeo@example.org' id='push-1-1' type='set'><query xmlns='jabber:iq:roster' ver='1-1'>` +
        `<item jid='juliet@example.org' name='J' subscription='none'/></query></iq>`,
    ]
    assert.deepEqual(phone.taken(), push('romeo@example.org/phone'))
    assert.deepEqual(laptop.taken(), push('romeo@example.org/laptop'))
    assert.deepEqual(blind.taken(), [])
  })
  test('forgets a contact with all subscriptions', async () => {
    const { set, world, phone } = await setUp()
    await world.befriend('romeo', 'juliet')
    const juliet = await world.available('juliet', 'j')
    await set(`<item jid='juliet@example.org' subscription='remove'/>`)
    await world.quiet()
    assert.match(phone.taken().join(), /<item jid='juliet@example.org' subscription='remove'\/>/)
    assert.equal(await world.item('romeo', 'juliet'), '-')
    assert.equal(await world.item('juliet', 'romeo'), 'none')
    assert.match(juliet.taken().join(), /type='unsubscribe'.*type='unsubscribed'/)
    await assert.rejects(set(`<item jid='juliet@example.org' subscription='remove'/>`), condition('item-not-found'))
  })
})

describe('a bad change of the roster (RFC 6121 §2.3.3)', () => {
  const long = 'x'.repeat(1024)
  const cases: readonly [string, string, string][] = [
    ['without item', '', 'bad-request'],
    ['with two items', `<item jid='a@b'/><item jid='c@d'/>`, 'bad-request'],
    ['of another name', `<thing jid='a@b'/>`, 'bad-request'],
    ['without address', `<item/>`, 'bad-request'],
    ['with an empty address', `<item jid=''/>`, 'jid-malformed'],
    ['with a bad address', `<item jid='@@'/>`, 'jid-malformed'],
    ['with a resource', `<item jid='a@b/c'/>`, 'bad-request'],
    ['with a long name', `<item jid='a@b' name='${long}'/>`, 'not-acceptable'],
    ['with an empty group', `<item jid='a@b'><group/></item>`, 'not-acceptable'],
    ['with a long group', `<item jid='a@b'><group>${long}</group></item>`, 'not-acceptable'],
    ['with a group twice', `<item jid='a@b'><group>x</group><group>x</group></item>`, 'bad-request'],
    [
      'with too many groups',
      `<item jid='a@b'><group>1</group><group>2</group><group>3</group><group>4</group></item>`,
      'not-acceptable',
    ],
    ['that removes nobody', `<item jid='a@b' subscription='remove'/>`, 'item-not-found'],
  ]
  for (const [what, items, expected] of cases) {
    test(`${what}: ${expected}`, async () => {
      const { set, get, phone } = await setUp()
      await assert.rejects(set(items), condition(expected))
      assert.deepEqual(phone.taken(), [])
      assert.equal(await get(), `<query xmlns='jabber:iq:roster'/>`)
    })
  }
  test('names and groups may be as long as allowed', async () => {
    const { set } = await setUp()
    const most = 'x'.repeat(1023)
    assert.equal(await set(`<item jid='a@b' name='${most}'><group>${most}</group></item>`), '')
  })
  test('that is one too many: resource-constraint', async () => {
    const { set } = await setUp(1)
    await set(`<item jid='a@b'/>`)
    await assert.rejects(set(`<item jid='c@d'/>`), condition('resource-constraint'))
  })
})

describe('versions (RFC 6121 §2.6)', () => {
  test('an unchanged roster is not sent again', async () => {
    const { set, get, phone } = await setUp()
    await set(`<item jid='a@b'/>`)
    phone.taken()
    assert.equal(
      await get(` ver=''`),
      `<query xmlns='jabber:iq:roster' ver='1-1'><item jid='a@b' name='a' subscription='none'/></query>`,
    )
    assert.equal(await get(` ver='1-1'`), '')
    await turn()
    assert.deepEqual(phone.taken(), [])
  })
  test('a changed one comes as pushes after an empty result, in the order of the changes, each with its version', async () => {
    const { set, get, phone } = await setUp()
    for (const item of [
      `<item jid='a@b'/>`,
      `<item jid='c@d'/>`,
      `<item jid='a@b' subscription='remove'/>`,
      `<item jid='e@f'/>`,
    ]) {
      await set(item)
    }
    phone.taken()
    const answer = get(` ver='1-1'`)
    assert.equal(await answer, '')
    assert.deepEqual(phone.taken(), [])
    await turn()
    const push = (ver: string, item: string) =>
      `<iq to='romeo@example.org/phone' from='romeo@example.org' id='push-${ver}' type='set'><query xmlns='jabber:iq:roster' ver='${ver}'>${item}</query></iq>`
    assert.deepEqual(phone.taken(), [
      push('1-2', `<item jid='c@d' name='c' subscription='none'/>`),
      push('1-3', `<item jid='a@b' subscription='remove'/>`),
      push('1-4', `<item jid='e@f' name='e' subscription='none'/>`),
    ])
  })
  test('an unknown version, or too many changes, bring the whole roster', async () => {
    const { set, get, phone } = await setUp()
    for (let i = 0; i < 51; i++) await set(`<item jid='c${i}@b'/>`)
    phone.taken()
    for (const ver of ['1-0', '1-99', '2-51', 'x'])
      assert.match(await get(` ver='${ver}'`), /ver='1-51'>(<item [^>]*>){51}<\/query>$/)
    assert.equal(await get(` ver='1-1'`), '')
    await turn()
    assert.equal(phone.taken().length, 50)
  })
  test('are offered on the stream before binding', async () => {
    const { handlers } = await setUp()
    const { feature, xml } = offered(handlers, 'ver')
    assert.equal(xml, `<ver xmlns='urn:xmpp:features:rosterver'/>`)
    assert.deepEqual([feature.needs, feature.until], [['authenticated'], ['bound']])
  })
})

describe('a roster request of somebody else (conformance row 18)', () => {
  async function guard(handlers: Handlers, world: PresenceWorld, type: string, kind: 'client' | 'remote' | 'server') {
    const hook = handlers.hooks?.find((h) => h.station === 'toAccount' && h.kind === 'iq' && h.phase === 'guard')
    const account = await world.views.load(bare('romeo'))
    const from = await world.connect('paris', 'p')
    const to = (await world.connect('romeo', 'phone')).jid
    const payload = el('query', NS_ROSTER, {}, el('item', NS_ROSTER, { jid: 'evil@example.net' }))
    const stanza = Stanza.of({ kind: 'iq', type, from: from.jid, to, id: 'x' }, payload)
    const origin = kind === 'client' ? { kind, session: from, number: 1 } : { kind, domain: 'example.net' }
    return () => hook?.run({ stanza, account, direction: 'received', origin, recipients: [] } as never)
  }
  test('is not passed on, whoever sends it and whatever it claims', async () => {
    const { world, handlers } = await setUp()
    for (const kind of ['client', 'remote'] as const) {
      for (const type of ['get', 'set']) {
        assert.throws(await guard(handlers, world, type, kind), condition('service-unavailable'))
      }
    }
    assert.equal((await guard(handlers, world, 'result', 'remote'))(), 'pass')
    assert.equal((await guard(handlers, world, 'set', 'server'))(), 'pass')
  })
  test('is not read, and forbidden to change, account or not (§2.1.5)', async () => {
    const { handlers } = await setUp()
    const others = handlers.iq?.filter((h) => h.target !== 'self') ?? []
    assert.deepEqual(
      others.map((h) => [h.target, h.type, h.target === 'account' && h.refusal]),
      [['account', 'set', 'forbidden']],
    )
    assert.throws(() => others[0]?.answer({} as never), condition('forbidden'))
  })
})
