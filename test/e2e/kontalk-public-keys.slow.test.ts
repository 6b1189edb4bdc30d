import assert from 'node:assert/strict'
import { readKey, revokeKey } from 'openpgp'
import type { Element } from '../../src/xmpp/element.ts'
import { phoneKey } from '../helpers/bridge-certificate.ts'
import { befriend } from '../helpers/contacts.ts'
import { type Phone, phone, registrationForm, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { difference, parse, write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS = 'urn:xmpp:pubkey:2'
const PUBKEY = `<pubkey xmlns='${NS}'/>`
const FORGED = 'F'.repeat(40)

const KONTALK = {
  account: { registration: ['sms'] },
  sms: { provider: 'console' },
  limits: { registration: WIDE_BUDGETS },
}
const CONFIG = { config: KONTALK }
const budgetOf = (new_per_day: number) => ({
  config: { ...KONTALK, limits: { ...KONTALK.limits, lookup: { new_per_day } } },
})

const notice = ({ key }: Pick<Phone, 'key'>): string =>
  `<pubkey xmlns='${NS}'><print>${key.fingerprint}</print></pubkey>`
const carried = ({ key }: Phone): string =>
  `<pubkey xmlns='${NS}'><key>${key.ring.toString('base64')}</key><print>${key.fingerprint}</print></pubkey>`

const answerOf = (e: Element): Element => e.children[0] as Element
const ringOf = (e: Element): Buffer => {
  assert.equal(e.attrs.type, 'result', write(e))
  const { name, ns, children } = answerOf(e)
  assert.deepEqual([name, ns, children.length], ['pubkey', NS, 1], write(e))
  return Buffer.from(children[0] as string, 'base64')
}
/** The answer as another would see it, whoever asked whom. */
const refusal = async (client: XmppClient, to: string): Promise<string> =>
  write(await client.asks('get', PUBKEY, to))
    .replaceAll(client.jid, 'ASKER')
    .replaceAll(to, 'TO')
    .replace(/ask-\d+/, 'ID')
const NOT_FOUND = /type='error'.*<error type='cancel'><item-not-found xmlns='[^']*'\/><\/error>/

story(
  'f.2 whoever asks an account for its key gets it, signed by the server, in one text',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const nurse = await tell.client('nurse', 'kitchen')
    const answer = await nurse.asks('get', PUBKEY, romeo.jid)
    assert.equal(answer.attrs.from, romeo.jid)
    assert.deepEqual(ringOf(answer), romeo.key.ring)
    const device = await romeo.device('phone')
    assert.deepEqual(ringOf(await nurse.asks('get', PUBKEY, romeo.jid)), romeo.key.ring, 'whether he is there or not')
    assert.deepEqual(ringOf(await device.asks('get', PUBKEY, romeo.jid)), romeo.key.ring, 'his own')
    for (const to of [tell.domain, nurse.bare]) {
      const info = await nurse.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, to)
      assert.ok(write(info).includes(`<feature var='${NS}'/>`), to)
    }
  },
  CONFIG,
)

story(
  'f.2 the domain, and a request without address, stand for the server’s own key',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const other = await tell.client('nurse', 'kitchen')
    const fingerprint = tell.servers[0]?.running.fingerprint
    for (const client of [device, other])
      for (const to of [tell.domain, undefined]) {
        const server = await readKey({ binaryKey: ringOf(await client.asks('get', PUBKEY, to)) })
        assert.equal(server.getFingerprint().toUpperCase(), fingerprint)
        assert.ok(!server.isPrivate())
      }
  },
  CONFIG,
)

story(
  'f.2 no account, no key and a block have one answer; a key is never set',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const nurse = await tell.client('nurse', 'kitchen')
    const nobody = await refusal(nurse, tell.stranger('nobody'))
    assert.match(nobody, NOT_FOUND)
    assert.equal(await refusal(device, nurse.bare), nobody, 'an account without a key')
    assert.match(await refusal(nurse, nurse.bare), NOT_FOUND)
    await device.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${nurse.bare}'/></block>`)
    assert.equal(await refusal(nurse, romeo.jid), nobody)
    for (const to of [tell.domain, undefined, nurse.bare, romeo.jid, tell.stranger('nobody')]) {
      const refused = write(await nurse.asks('set', `<pubkey xmlns='${NS}'>AAAA</pubkey>`, to))
      assert.match(refused, /<error type='modify'><bad-request xmlns='[^']*'\/><\/error>/)
    }
  },
  CONFIG,
)

story(
  'f.2 an address book is asked for in one go: every request has its answer',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const nurse = await tell.client('nurse', 'kitchen')
    const targets = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? romeo.jid : tell.stranger(`n${i}`)))
    const asked = targets.map((to, i) => `<iq type='get' id='abc${i}const' to='${to}'>${PUBKEY}</iq>`)
    await nurse.sends(asked.join(''))
    const open = new Map(targets.map((to, i) => [`abc${i}const`, to]))
    while (open.size > 0) {
      const answer = await nurse.receivesAny()
      const to = open.get(answer.attrs.id ?? '')
      assert.equal(answer.attrs.from, to, write(answer))
      assert.match(write(answer), to === romeo.jid ? /type='result'/ : NOT_FOUND)
      open.delete(answer.attrs.id ?? '')
    }
  },
  CONFIG,
)

story(
  'f.2 over the budget everybody is nobody; contacts and those asked before are not strangers',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const juliet = await phone(tell, 'juliet')
    const nurse = await tell.client('nurse', 'kitchen', { hearsPresence: true })
    await nurse.isAvailable()
    const nobody = await refusal(nurse, tell.stranger('nobody'))
    assert.deepEqual(ringOf(await nurse.asks('get', PUBKEY, romeo.jid)), romeo.key.ring)
    // Who is not there has cost as much as who is.
    assert.equal(await refusal(nurse, juliet.jid), nobody)
    assert.equal(await refusal(nurse, tell.stranger('another')), nobody)
    assert.deepEqual(ringOf(await nurse.asks('get', PUBKEY, romeo.jid)), romeo.key.ring, 'asked before')
    // To put somebody on one’s own roster, or to ask him, is not to be on his.
    await nurse.asks('set', `<query xmlns='jabber:iq:roster'><item jid='${juliet.jid}'/></query>`)
    const device = await juliet.device('phone')
    await device.isAvailable()
    await nurse.sends(`<presence type='subscribe' to='${juliet.jid}'/>`)
    await hears(device, `<presence type='subscribe' from='${nurse.bare}' to='${juliet.jid}'/>`)
    assert.equal(await refusal(nurse, juliet.jid), nobody)
    await device.asks('set', `<query xmlns='jabber:iq:roster'><item jid='${nurse.bare}'/></query>`)
    assert.deepEqual(ringOf(await nurse.asks('get', PUBKEY, juliet.jid)), juliet.key.ring)
    // Its own key, and the server's, are nobody's secret.
    for (const to of [device.bare, tell.domain, undefined]) ringOf(await device.asks('get', PUBKEY, to))
  },
  budgetOf(2),
)

story(
  'row 32: keys, contact discovery and last activity spend one budget, on whichever node',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const juliet = await phone(tell, 'juliet')
    const nurse = [await tell.client('nurse', 'kitchen'), await tell.client('nurse', 'garden')] as const
    const match = async (by: XmppClient, ...jids: readonly string[]): Promise<string> => {
      const items = jids.map((jid) => `<item jid='${jid}'/>`).join('')
      const query = `<query xmlns='http://kontalk.org/extensions/roster'>${items}</query>`
      return write(await by.asks('get', query, `probe@${tell.domain}`))
    }
    const last = `<query xmlns='jabber:iq:last'/>`
    ringOf(await nurse[0].asks('get', PUBKEY, romeo.jid))
    assert.match(await match(nurse[1], tell.stranger('a')), /<query [^>]*\/>/)
    assert.match(write(await nurse[0].asks('get', last, tell.stranger('b'))), /<forbidden /)
    // Nothing is left for anything, but what was asked before, whatever it was asked for.
    const spent = await match(nurse[0], juliet.jid, romeo.jid)
    assert.ok(spent.includes(`jid='${romeo.jid}'`) && !spent.includes(juliet.jid), spent)
    assert.match(await refusal(nurse[1], juliet.jid), NOT_FOUND)
    ringOf(await nurse[1].asks('get', PUBKEY, romeo.jid))
    assert.match(write(await nurse[1].asks('get', last, juliet.jid)), /<forbidden /)
    ringOf(await (await tell.client('friar', 'cell')).asks('get', PUBKEY, juliet.jid))
  },
  budgetOf(3),
)

/** Hears presence until one of that sender, type and with a status or not; that must be the one expected. */
async function hears(client: XmppClient, xml: string): Promise<void> {
  const expected = parse(xml)
  const shape = (e: Element): string => `${e.name} ${e.attrs.from} ${e.attrs.type} ${write(e).includes('<status>')}`
  for (;;) {
    const e = await client.receivesAny()
    if (shape(e) !== shape(expected)) continue
    assert.equal(difference(expected, e), undefined, write(e))
    return
  }
}

story(
  'f.1 presence carries the fingerprint that the server knows, to contacts, to one’s own devices, to who comes later',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const nurse = await tell.client('nurse', 'kitchen', { hearsPresence: true })
    for (const client of [device, nurse]) await client.isAvailable()
    await befriend(device, nurse)
    await device.sends(`<presence><status>hi</status></presence>`)
    const said = `<presence from='${device.jid}' to='{any}'><status>hi</status>${notice(romeo)}</presence>`
    // Whatever befriending brought comes before.
    for (const client of [device, nurse]) await hears(client, said)
    const second = await romeo.device('tablet')
    await second.sends('<presence/>')
    await hears(second, said)
    const late = await tell.client('nurse', 'garden', { hearsPresence: true })
    await late.sends('<presence/>')
    await hears(late, said)
    await nurse.sends(`<presence type='probe' to='${device.bare}'/>`)
    await hears(nurse, said)
    // Directed presence as well; who goes says nothing of keys.
    const stranger = await tell.client('friar', 'cell', { hearsPresence: true })
    await device.sends(`<presence to='${stranger.jid}'/>`)
    await stranger.receives(`<presence from='${device.jid}' to='${stranger.jid}'>${notice(romeo)}</presence>`)
    await device.sends(`<presence type='unavailable' to='${stranger.jid}'/>`)
    await stranger.receives(`<presence type='unavailable' from='${device.jid}' to='${stranger.jid}'/>`)
  },
  CONFIG,
)

story(
  'f.1 a fingerprint that a client claims is replaced, and taken off where the account has no key',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const tybalt = await tell.client('tybalt', 'street', { hearsPresence: true })
    const nurse = await tell.client('nurse', 'kitchen', { hearsPresence: true })
    const claimed = [
      `<pubkey xmlns='${NS}'><print>${FORGED}</print></pubkey>`,
      `<pubkey xmlns='${NS}'><print>${romeo.key.fingerprint}</print></pubkey>`,
      `<k:print xmlns:k='${NS}'>${FORGED}</k:print>`,
    ].join('<show>away</show>')
    for (const [client, said] of [
      [device, notice(romeo)],
      [tybalt, ''],
    ] as const) {
      await client.sends(`<presence to='${nurse.jid}'>${claimed.replace('<show>away</show>', '')}</presence>`)
      await nurse.receives(`<presence from='${client.jid}' to='${nurse.jid}'><show>away</show>${said}</presence>`)
      await client.sends(`<presence type='unavailable' to='${nurse.jid}'>${claimed.split('<show>')[0]}</presence>`)
      await nurse.receives(`<presence type='unavailable' from='${client.jid}' to='${nurse.jid}'/>`)
      await client.sends(`<presence>${claimed.split('<show>')[0]}</presence>`)
      await client.receives(`<presence from='${client.jid}' to='${client.bare}'>${said}</presence>`)
    }
  },
  CONFIG,
)

story(
  'f.3 a request for subscription carries the key, also one that waited',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const tybalt = await tell.client('tybalt', 'street')
    const nurse = await tell.client('nurse', 'kitchen', { hearsPresence: true })
    await nurse.isAvailable()
    const forged = `<pubkey xmlns='${NS}'><key>AAAA</key><print>${FORGED}</print></pubkey>`
    await device.sends(`<presence type='subscribe' to='${nurse.bare}'>${forged}<status>It is I</status></presence>`)
    const request = `<presence type='subscribe' from='${romeo.jid}' to='${nurse.bare}'><status>It is I</status>${carried(romeo)}</presence>`
    await nurse.receives(request)
    const late = await tell.client('nurse', 'garden', { hearsPresence: true })
    await late.sends('<presence/>')
    await hears(late, request)
    // Who has no key has none to show.
    await tybalt.sends(`<presence type='subscribe' to='${nurse.bare}'>${forged}</presence>`)
    await hears(nurse, `<presence type='subscribe' from='${tybalt.bare}' to='${nurse.bare}'/>`)
  },
  CONFIG,
)

story(
  'f.2 the key is the one of the last login: what it has gained is told on every node',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const nurse = await tell.client('nurse', 'kitchen', { server: 1 })
    assert.deepEqual(ringOf(await nurse.asks('get', PUBKEY, romeo.jid)), romeo.key.ring)
    const grown = await romeo.key.key.addSubkey({
      type: 'ecc',
      curve: 'nistP256',
      date: new Date(Date.now() - 60_000),
    } as never)
    const ring = Buffer.from(grown.toPublic().write())
    const device = await tell.client('romeo', 'phone', {
      ...shown(romeo.key, { ring }),
      login: { mechanism: 'EXTERNAL' },
      server: 0,
    })
    assert.equal(device.bare, romeo.jid)
    const now = await readKey({ binaryKey: ringOf(await nurse.asks('get', PUBKEY, romeo.jid)) })
    assert.equal(now.getSubkeys().length, grown.getSubkeys().length)
    assert.equal(now.users[0]?.otherCertifications.length, 1)
  },
  { ...CONFIG, servers: 2 },
)

story(
  'f.1 when a key follows another one, contacts are told at once, and get the new one',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const nurse = await tell.client('nurse', 'kitchen', { hearsPresence: true })
    for (const client of [device, nurse]) await client.isAvailable()
    await befriend(device, nurse)
    await device.sends(`<presence><status>hi</status><priority>5</priority></presence>`)
    const said = (by: Pick<Phone, 'key'>): string =>
      `<presence from='${device.jid}' to='{any}'><status>hi</status><priority>5</priority>${notice(by)}</presence>`
    for (const client of [device, nurse]) await hears(client, said(romeo))
    assert.deepEqual(ringOf(await nurse.asks('get', PUBKEY, romeo.jid)), romeo.key.ring)

    const next = await phoneKey(romeo.jid, { date: new Date(Date.now() - 86_400_000) })
    const { publicKey: revoked } = await revokeKey({ key: romeo.key.key, format: 'object' })
    const rolls = {
      FORM_TYPE: 'http://kontalk.org/protocol/register#key',
      publickey: next.ring.toString('base64'),
      revoked: Buffer.from(revoked.write()).toString('base64'),
    }
    await device.sends(registrationForm(rolls))
    for (const client of [nurse, device]) await hears(client, said({ key: next }))
    const got = await readKey({ binaryKey: ringOf(await nurse.asks('get', PUBKEY, romeo.jid)) })
    assert.equal(got.getFingerprint().toUpperCase(), next.fingerprint)
    // Who comes later is told the same.
    const late = await tell.client('nurse', 'garden', { hearsPresence: true })
    await late.sends('<presence/>')
    await hears(late, said({ key: next }))
  },
  CONFIG,
)

story(
  'a server without the directory says nothing of keys',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const device = await romeo.device('phone')
    const nurse = await tell.client('nurse', 'kitchen', { hearsPresence: true })
    for (const to of [tell.domain, romeo.jid])
      assert.match(write(await nurse.asks('get', PUBKEY, to)), /<service-unavailable /)
    await device.sends(`<presence to='${nurse.jid}'/>`)
    await nurse.receives(`<presence from='${device.jid}' to='${nurse.jid}'/>`)
    await nurse.isAvailable()
    await device.sends(`<presence type='subscribe' to='${nurse.bare}'/>`)
    await nurse.receives(`<presence type='subscribe' from='${romeo.jid}' to='${nurse.bare}'/>`)
  },
  { config: { ...KONTALK, features: { public_keys: false } }, servers: 1 },
)
