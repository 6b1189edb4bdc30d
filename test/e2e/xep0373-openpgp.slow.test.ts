import assert from 'node:assert/strict'
import { test as skip } from 'node:test'
import { readKey } from 'openpgp'
import { parseDateTime } from '../../src/xmpp/date-time.ts'
import { type Element, firstElement } from '../../src/xmpp/element.ts'
import { jidOf, phone, publishes, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { difference, parse, write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import { slixmppIsMissing } from '../interop/helpers/missing.ts'
import { startSlixmpp } from '../interop/helpers/program.ts'

const PUBSUB = 'http://jabber.org/protocol/pubsub'
const OX = 'urn:xmpp:openpgp:0'
const LIST = `${OX}:public-keys`
const SECRET = `${OX}:secret-key`
const OTHER = `${LIST}:${'F'.repeat(40)}`
const KONTALK = {
  account: { registration: ['sms'] },
  sms: { provider: 'console' },
  limits: { registration: WIDE_BUDGETS },
}
const CONFIG = { config: KONTALK }

const items = (node: string, more = '', inner = ''): string =>
  `<pubsub xmlns='${PUBSUB}'><items node='${node}'${more}>${inner}</items></pubsub>`
const of = (node: string, inner: string): Element =>
  parse(`<pubsub xmlns='${PUBSUB}'><items node='${node}'>${inner}</items></pubsub>`)
/** What came, as XML, with nothing in it that depends on who was asked and when. */
async function told(client: XmppClient, payload: string, to?: string, type: 'get' | 'set' = 'get'): Promise<string> {
  const answer = write(await client.asks(type, payload, to))
  return answer.replaceAll(to ?? client.bare, 'WHOM').replace(/ id='ask-\d+'/, '')
}
const isNotFound = (answer: string): boolean => /<error type='cancel'><item-not-found /.test(answer)
const hears = (answer: Element, expected: Element): void => {
  assert.equal(answer.attrs.type, 'result')
  assert.equal(difference(expected, firstElement(answer) as Element), undefined)
}
const dateIn = (answer: Element): string => / date='([^']*)'/.exec(write(answer))?.[1] ?? ''

story(
  'the key of an account is found in its list and fetched by its fingerprint when its owner wants that',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const nurse = await tell.client('nurse', 'kitchen', { server: 1 })
    const { fingerprint } = romeo.key
    const node = `${LIST}:${fingerprint}`
    for (const one of [LIST, node]) assert.ok(isNotFound(await told(nurse, items(one), romeo.jid)))
    await publishes(device, true)
    const list = await nurse.asks('get', items(LIST), romeo.jid)
    const date = dateIn(list)
    const made = parseDateTime(date)?.getTime() ?? 0
    assert.ok(made <= Date.now() && made > Date.now() - 600_000, `certified at ${date}`)
    const listed = `<item id='${date}'><public-keys-list xmlns='${OX}'><pubkey-metadata v4-fingerprint='${fingerprint}' date='${date}'/></public-keys-list></item>`
    hears(list, of(LIST, listed))
    const key = await nurse.asks('get', items(node, ` max_items='1'`), romeo.jid)
    hears(key, of(node, `<item id='${date}'><pubkey xmlns='${OX}'><data>{any}</data></pubkey></item>`))
    const data = /<data>([A-Za-z0-9+/]+=*)<\/data>/.exec(write(key))?.[1] ?? ''
    const got = await readKey({ binaryKey: Buffer.from(data, 'base64') })
    assert.equal(got.getFingerprint().toUpperCase(), fingerprint)
    assert.deepEqual(got.getUserIDs(), [`Romeo <${romeo.jid}>`])
    // XEP-0060 §6.5.8, §6.5.9.12: an item by its id, also among others; result without items where there is none of that name.
    for (const ids of [`<item id='x'/><item id='${date}'/>`, `<item id='${date}'/>`])
      hears(await nurse.asks('get', items(LIST, '', ids), romeo.jid), of(LIST, listed))
    hears(await nurse.asks('get', items(LIST, '', `<item id='x'/>`), romeo.jid), of(LIST, ''))
    for (const unknown of [OTHER, node.toLowerCase(), `${node}0`, `${LIST}:`, 'urn:xmpp:avatar:data'])
      assert.ok(isNotFound(await told(nurse, items(unknown), romeo.jid)), unknown)
    await publishes(device, false)
    for (const one of [LIST, node]) assert.ok(isNotFound(await told(nurse, items(one), romeo.jid)))
  },
  CONFIG,
)

story(
  'its owner finds it always',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    for (const to of [undefined, romeo.jid]) {
      const list = await device.asks('get', items(LIST), to)
      assert.match(write(list), new RegExp(`v4-fingerprint='${romeo.key.fingerprint}'`))
      assert.match(write(await device.asks('get', items(`${LIST}:${romeo.key.fingerprint}`), to)), /<data>/)
      assert.ok(isNotFound(await told(device, items(OTHER), to)))
    }
    const nurse = await tell.client('nurse', 'kitchen')
    assert.ok(isNotFound(await told(nurse, items(LIST))), 'there is a password only')
  },
  CONFIG,
)

story(
  'nobody, no key, one not published, another fingerprint, a blocked asker and one over the budget are told the same',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const juliet = await phone(tell, 'juliet')
    const device = await romeo.device('phone')
    await publishes(device, true)
    const tybalt = await tell.client('tybalt', 'street')
    const nurse = await tell.client('nurse', 'kitchen')
    const nobody = jidOf(tell, 'nobody')
    const mine = `${LIST}:${romeo.key.fingerprint}`
    for (const node of [LIST, OTHER]) {
      const none = await told(nurse, items(node), nobody)
      assert.ok(isNotFound(none))
      for (const to of [juliet.jid, tybalt.bare]) assert.equal(await told(nurse, items(node), to), none)
    }
    assert.equal(await told(nurse, items(OTHER), romeo.jid), await told(nurse, items(OTHER), nobody))
    // Four were asked about. What is asked again costs nothing; no more are given.
    assert.match(await told(nurse, items(mine), romeo.jid), /<data>/)
    const lady = await tell.client('lady', 'hall')
    for (const who of ['a', 'b', 'c', 'd']) await told(lady, items(LIST), `${who}@${tell.domain}`)
    const spent = await told(lady, items(mine), nobody)
    assert.ok(isNotFound(spent))
    assert.equal(await told(lady, items(mine), romeo.jid), spent)
    assert.match(await metricsOf(tell), /^fernruf_openpgp_refused_total 2$/m)
    // Nodes that no account has cost nothing, and what was spent here is spent for the other directory as well.
    const keyAsked = `<pubkey xmlns='urn:xmpp:pubkey:2'/>`
    assert.ok(isNotFound(await told(lady, keyAsked, romeo.jid)))
    const peter = await tell.client('peter', 'hall')
    for (let n = 0; n < 6; n++) await told(peter, items('urn:xmpp:avatar:data'), `n${n}@${tell.domain}`)
    assert.match(await told(peter, items(mine), romeo.jid), /<data>/)
    await device.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${peter.bare}'/></block>`)
    assert.equal(await told(peter, items(mine), romeo.jid), await told(peter, items(mine), nobody))
    // Who is on the roster is no stranger.
    await device.asks('set', `<query xmlns='jabber:iq:roster'><item jid='${lady.bare}'/></query>`)
    assert.match(await told(lady, items(mine), romeo.jid), /<data>/)
  },
  { servers: 1, config: { ...KONTALK, limits: { ...KONTALK.limits, lookup: { new_per_day: 4 } } } },
)
const metricsOf = async (tell: Story): Promise<string> =>
  await (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()

story(
  'secret keys are served to nobody, and nothing else of PubSub is there, whoever is asked for',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    await publishes(device, true)
    const nurse = await tell.client('nurse', 'kitchen')
    const whom: readonly (readonly [XmppClient, string | undefined])[] = [
      [device, undefined],
      [device, romeo.jid],
      [nurse, romeo.jid],
      [nurse, undefined],
      [nurse, jidOf(tell, 'nobody')],
    ]
    const refused = async (type: 'get' | 'set', payload: string): Promise<string> => {
      const answers = new Set<string>()
      for (const [client, to] of whom) {
        const answer = (await told(client, payload, to, type)).replace(client.jid, 'WHO')
        answers.add(answer.replace(/^<iq [^>]*>/, (tag) => /type='\w+'/.exec(tag)?.[0] ?? ''))
      }
      const [answer = '', ...others] = answers
      assert.deepEqual(others, [])
      assert.match(answer, /^type='error'/)
      return answer
    }
    for (const asked of [items(SECRET), items(SECRET, ` max_items='1'`), items(SECRET, '', `<item id='current'/>`)])
      assert.ok(isNotFound(await refused('get', asked)))
    const published = `<publish node='${SECRET}'><item><secretkey xmlns='${OX}'>AAAA</secretkey></item></publish>`
    const table: readonly (readonly ['get' | 'set', string, string, string])[] = [
      ['set', '', published, 'publish'],
      ['set', '', published.replace(SECRET, LIST), 'publish'],
      ['set', '', `<create node='${SECRET}'/><configure/>`, 'create-nodes'],
      ['set', '', `<retract node='${LIST}'><item id='x'/></retract>`, 'delete-items'],
      ['set', '', `<subscribe node='${LIST}' jid='paris@example.org'/>`, 'subscribe'],
      ['set', '', `<unsubscribe node='${LIST}' jid='paris@example.org'/>`, 'subscribe'],
      ['get', '', `<subscriptions/>`, 'retrieve-subscriptions'],
      ['get', '', `<affiliations/>`, 'retrieve-affiliations'],
      ['get', '', `<default/>`, 'retrieve-default-sub'],
      ['get', '', `<options node='${LIST}' jid='paris@example.org'/>`, 'subscription-options'],
      ['get', '#owner', `<configure node='${LIST}'/>`, 'config-node'],
      ['get', '#owner', `<default/>`, 'retrieve-default'],
      ['get', '#owner', `<affiliations node='${LIST}'/>`, 'modify-affiliations'],
      ['get', '#owner', `<subscriptions node='${LIST}'/>`, 'manage-subscriptions'],
      ['set', '#owner', `<configure node='${LIST}'/>`, 'config-node'],
      ['set', '#owner', `<delete node='${LIST}'/>`, 'delete-nodes'],
      ['set', '#owner', `<purge node='${LIST}'/>`, 'purge-nodes'],
    ]
    for (const [type, part, action, feature] of table) {
      const answer = await refused(type, `<pubsub xmlns='${PUBSUB}${part}'>${action}</pubsub>`)
      const [error] = /<error .*$/.exec(answer) ?? ['']
      assert.match(error, /^<error type='cancel'><feature-not-implemented [^>]*>.*<unsupported /, action)
      assert.ok(error.includes(`feature='${feature}'`) && error.includes(`xmlns='${PUBSUB}#errors'`), error)
    }
    const bad: readonly (readonly ['get' | 'set', string])[] = [
      ['get', ''],
      ['set', items(LIST)],
      ['get', items(LIST, ` max_items='0'`)],
      ['get', items(LIST, ` max_items='-1'`)],
      ['get', items(LIST, ` max_items='many'`)],
      ['get', items(LIST, '', '<item/>')],
      ['get', `<pubsub xmlns='${PUBSUB}'><items/></pubsub>`],
    ]
    for (const [type, payload] of bad)
      assert.match(await refused(type, payload || `<pubsub xmlns='${PUBSUB}'/>`), /<error type='modify'><bad-request /)
    assert.match(await refused('get', bad.at(-1)?.[1] ?? ''), /<nodeid-required xmlns='[^']*#errors'\/>/)
    assert.match(
      await refused('set', `<pubsub xmlns='${PUBSUB}'><sing/></pubsub>`),
      /<error type='cancel'><feature-not-implemented /,
    )
    // Nothing came of all that was published.
    assert.ok(isNotFound(await told(device, items(SECRET))))
    assert.match(await told(nurse, items(LIST), romeo.jid), new RegExp(romeo.key.fingerprint))
    const info = await told(device, `<query xmlns='http://jabber.org/protocol/disco#info'/>`, romeo.jid)
    assert.match(info, /<feature var='http:\/\/jabber.org\/protocol\/pubsub#retrieve-items'\/>/)
    assert.doesNotMatch(info, /category='pubsub'|pubsub#(publish|access|persistent|auto)|protocol\/pubsub'/)
  },
  CONFIG,
)

story(
  'switched off, nothing of it is there',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    await publishes(await romeo.device('phone'), true)
    const nurse = await tell.client('nurse', 'kitchen')
    for (const to of [romeo.jid, jidOf(tell, 'nobody')])
      assert.match(await told(nurse, items(LIST), to), /<error type='cancel'><service-unavailable /)
    const info = await told(nurse, `<query xmlns='http://jabber.org/protocol/disco#info'/>`)
    assert.doesNotMatch(info, /pubsub/)
  },
  { servers: 1, config: { ...KONTALK, features: { openpgp: false } } },
)

const missing = slixmppIsMissing()
if (missing !== false) skip('slixmpp finds a published key', { skip: missing })
else
  story(
    'slixmpp finds a published key, and none where none is',
    async (tell) => {
      const romeo = await phone(tell, 'romeo')
      const juliet = await phone(tell, 'juliet')
      await publishes(await romeo.device('phone'), true)
      const nurse = await tell.client('nurse', 'kitchen')
      const server = tell.servers.at(-1)
      assert.ok(server)
      const program = startSlixmpp()
      try {
        const { starttlsPort: port, directTlsPort: tlsPort } = server
        const login = { user: nurse.bare.split('@')[0] ?? '', password: PASSWORD, resource: 'hall', register: false }
        program.order({ do: 'login', port, tlsPort, domain: tell.domain, ...login })
        await program.event('online')
        program.order({ do: 'keys', of: juliet.jid })
        assert.deepEqual(await program.event('keys'), { is: 'keys', keys: {}, error: 'item-not-found' })
        program.order({ do: 'keys', of: romeo.jid })
        const { keys } = await program.event('keys', (event) => event.error === undefined)
        assert.deepEqual(Object.keys(keys), [romeo.key.fingerprint])
        const binaryKey = Buffer.from(keys[romeo.key.fingerprint] ?? '', 'base64')
        assert.equal((await readKey({ binaryKey })).getFingerprint().toUpperCase(), romeo.key.fingerprint)
      } finally {
        await program.stop()
      }
    },
    CONFIG,
  )
