import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { befriend } from '../helpers/contacts.ts'
import { write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const LAST = `<query xmlns='jabber:iq:last'/>`
const hears = { hearsPresence: true } as const
const FORBIDDEN = /type='error'.*<error type='auth'>.*<forbidden /

const secondsOf = (answer: Element): number => {
  const seconds = (answer.children[0] as Element).attrs.seconds ?? ''
  assert.match(seconds, /^\d+$/, write(answer))
  return Number(seconds)
}
/** The answer as another would see it, whoever was asked. */
const refusal = async (client: XmppClient, to: string): Promise<string> =>
  write(await client.asks('get', LAST, to))
    .replaceAll(to, 'TO')
    .replace(/ask-\d+/, 'ID')

story('the server tells how long it runs, and that it knows the protocol', async ({ client, domain }) => {
  const romeo = await client('romeo', 'garden')
  assert.ok(secondsOf(await romeo.asks('get', LAST, domain)) < 3_600)
  for (const to of [domain, romeo.bare]) {
    const info = await romeo.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, to)
    assert.ok(write(info).includes(`<feature var='jabber:iq:last'/>`), to)
  }
})

story('a subscriber is told 0 of who is connected, and never an error of who exists', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  for (const c of [romeo, juliet]) await c.isAvailable()
  await befriend(romeo, juliet)
  assert.equal(secondsOf(await romeo.asks('get', LAST, juliet.bare)), 0)
  assert.equal(secondsOf(await romeo.asks('get', LAST)), 0)
  await juliet.sends(`<presence type='unavailable'/>`)
  assert.equal(secondsOf(await romeo.asks('get', LAST, juliet.bare)), 0, 'connected, if not available')
  const { bare } = juliet
  await juliet.disconnects()
  assert.ok(secondsOf(await romeo.asks('get', LAST, bare)) < 60)
})

story('all others are told what they would be told of nobody', async (tell) => {
  const romeo = await tell.client('romeo', 'garden', hears)
  const juliet = await tell.client('juliet', 'balcony', hears)
  const nurse = await tell.client('nurse', 'kitchen', hears)
  for (const c of [romeo, juliet, nurse]) await c.isAvailable()
  const nobody = await refusal(romeo, tell.stranger('nobody'))
  assert.match(nobody, FORBIDDEN)
  assert.equal(await refusal(romeo, juliet.bare), nobody)
  for (const to of [juliet.jid, `${juliet.bare}/gone`, `${tell.stranger('nobody')}/gone`])
    assert.equal(await refusal(romeo, to), nobody, to)
  // Seeing somebody is not being seen: romeo lets the nurse see him.
  for (const c of [romeo, nurse]) await c.asks('get', `<query xmlns='jabber:iq:roster'/>`)
  await romeo.sends(`<presence to='${nurse.bare}' type='subscribed'/>`)
  await romeo.receivesAny()
  await nurse.sends(`<presence to='${romeo.bare}' type='subscribe'/>`)
  for (;;) if ((await nurse.receivesAny()).attrs.type === 'subscribed') break
  assert.equal(await refusal(romeo, nurse.bare), nobody)
  // A subscriber who is blocked is a stranger.
  await befriend(romeo, juliet)
  assert.equal(secondsOf(await romeo.asks('get', LAST, juliet.bare)), 0)
  await juliet.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${romeo.bare}'/></block>`)
  for (const to of [juliet.bare, juliet.jid, `${juliet.bare}/gone`]) assert.equal(await refusal(romeo, to), nobody, to)
})

story('a device answers for itself to whoever may see it', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  for (const c of [romeo, juliet]) await c.isAvailable()
  await befriend(romeo, juliet)
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}'/>`)
  await romeo.sends(`<iq type='get' id='q' to='${juliet.jid}'>${LAST}</iq>`)
  await juliet.receives(`<iq type='get' id='q' from='${romeo.jid}' to='${juliet.jid}'>${LAST}</iq>`)
  await juliet.sends(`<iq type='result' id='q' to='${romeo.jid}'><query xmlns='jabber:iq:last' seconds='123'/></iq>`)
  await romeo.receives(
    `<iq type='result' id='q' from='${juliet.jid}' to='${romeo.jid}'><query xmlns='jabber:iq:last' seconds='123'/></iq>`,
  )
})

story('a device that comes is told since when its contacts are away, by those who let it know', async (tell) => {
  const romeo = await tell.client('romeo', 'garden', hears)
  const juliet = await tell.client('juliet', 'balcony', hears)
  for (const c of [romeo, juliet]) await c.isAvailable()
  await befriend(romeo, juliet)
  const before = Date.now()
  const { bare } = juliet
  await juliet.disconnects()
  const from = `from='${bare}'`
  /** What a new device of romeo's hears of juliet. */
  async function hearsOfJuliet(): Promise<Element> {
    const phone = await tell.client('romeo', 'phone', hears)
    await phone.sends('<presence/>')
    for (;;) {
      const e = await phone.receivesAny()
      if (!write(e).includes(from)) continue
      await phone.disconnects()
      return e
    }
  }
  // The end of her session is written a moment after it.
  let told = await hearsOfJuliet()
  while (told.children.length === 0) told = await hearsOfJuliet()
  assert.equal(told.attrs.type, 'unavailable')
  const delay = told.children[0] as Element
  assert.deepEqual([delay.name, delay.ns, delay.attrs.from], ['delay', 'urn:xmpp:delay', tell.domain])
  const stamp = Date.parse(delay.attrs.stamp ?? '')
  assert.match(delay.attrs.stamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.ok(stamp >= before - 1_000 && stamp <= Date.now(), delay.attrs.stamp)

  const back = await tell.client('juliet', 'tower')
  await back.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${romeo.bare}'/></block>`)
  await back.disconnects()
  told = await hearsOfJuliet()
  assert.deepEqual([told.attrs.type, told.children.length], ['unavailable', 0])
})

story(
  'a server without it tells nobody',
  async ({ client, domain }) => {
    const romeo = await client('romeo', 'garden')
    assert.match(write(await romeo.asks('get', LAST, domain)), /<service-unavailable /)
    assert.match(write(await romeo.asks('get', LAST)), /<service-unavailable /)
  },
  { config: { features: { last_activity: false } }, servers: 1 },
)
