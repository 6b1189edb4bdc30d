import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { befriend } from '../helpers/contacts.ts'
import { difference, parse, write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const EMPTY = `<vCard xmlns='vcard-temp'/>`
const CARD = `<vCard xmlns='vcard-temp'><FN>Juliet &amp; Søn</FN><N><GIVEN>Juliet</GIVEN></N>
  <PHOTO><TYPE>image/png</TYPE><BINVAL>${'iVBORw0KGgo'.repeat(100)}</BINVAL></PHOTO></vCard>`
const isCard = (answer: Element, card: string): void => {
  assert.equal(answer.attrs.type, 'result', write(answer))
  assert.equal(difference(parse(card), answer.children[0] as Element), undefined, write(answer))
}
const keeps = async (client: XmppClient, card: string): Promise<void> =>
  assert.equal((await client.asks('set', card)).attrs.type, 'result')
/** The answer as another would see it, whoever was asked. */
const refusal = async (client: XmppClient, to: string): Promise<string> =>
  write(await client.asks('get', EMPTY, to))
    .replaceAll(to, 'TO')
    .replace(/ask-\d+/, 'ID')

story('a card is kept, replaced and taken away by its owner', async ({ client, domain }) => {
  const phone = await client('juliet', 'phone')
  const laptop = await client('juliet', 'laptop')
  assert.match(write(await phone.asks('get', EMPTY)), /<item-not-found /)
  await keeps(phone, CARD)
  isCard(await laptop.asks('get', EMPTY), CARD)
  isCard(await laptop.asks('get', EMPTY, phone.bare), CARD)
  await keeps(laptop, `<vCard xmlns='vcard-temp'><FN>J</FN></vCard>`)
  isCard(await phone.asks('get', EMPTY), `<vCard xmlns='vcard-temp'><FN>J</FN></vCard>`)
  await keeps(laptop, EMPTY)
  assert.match(write(await phone.asks('get', EMPTY)), /<item-not-found /)
  for (const to of [domain, phone.bare]) {
    const info = await phone.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, to)
    assert.ok(write(info).includes(`<feature var='vcard-temp'/>`), to)
  }
})

story('others read it, whether its owner is there or not; nobody else changes it', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await keeps(juliet, CARD)
  await juliet.isAvailable()
  isCard(await romeo.asks('get', EMPTY, juliet.bare), CARD)
  await juliet.receivesNothing()
  assert.match(write(await romeo.asks('set', EMPTY, juliet.bare)), /type='error'/)
  const { bare } = juliet
  await juliet.disconnects()
  isCard(await romeo.asks('get', EMPTY, bare), CARD)
})

story('an account without a card, one that blocks the asker, and none at all look the same', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  const juliet = await tell.client('juliet', 'balcony')
  const nurse = await tell.client('nurse', 'kitchen')
  await keeps(nurse, CARD)
  await nurse.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${romeo.bare}'/></block>`)
  const nobody = await refusal(romeo, tell.stranger('nobody'))
  assert.match(nobody, /<service-unavailable /)
  assert.equal(await refusal(romeo, juliet.bare), nobody)
  assert.equal(await refusal(romeo, nurse.bare), nobody)
  for (const to of [juliet.bare, tell.stranger('nobody')])
    assert.match(write(await romeo.asks('set', EMPTY, to)), /<service-unavailable /)
})

story(
  'cards may be for contacts only',
  async (tell) => {
    const hears = { hearsPresence: true } as const
    const romeo = await tell.client('romeo', 'garden', hears)
    const juliet = await tell.client('juliet', 'balcony', hears)
    await keeps(juliet, CARD)
    assert.equal(await refusal(romeo, juliet.bare), await refusal(romeo, tell.stranger('nobody')))
    await befriend(romeo, juliet)
    isCard(await romeo.asks('get', EMPTY, juliet.bare), CARD)
  },
  { config: { features: { vcard: { shown_to: 'contacts' } } } },
)

story(
  'a card that is too large is refused, and the old one stays',
  async ({ client }) => {
    const juliet = await client('juliet', 'balcony')
    const card = (length: number) => `<vCard xmlns='vcard-temp'><FN>${'x'.repeat(length)}</FN></vCard>`
    const most = 1024 - card(0).length
    await keeps(juliet, card(most))
    assert.match(write(await juliet.asks('set', card(most + 1))), /<policy-violation .*too large/)
    isCard(await juliet.asks('get', EMPTY), card(most))
  },
  { config: { features: { vcard: { max_bytes: '1024B' } } } },
)

story('the hash of a picture goes with presence, as the client has put it there', async ({ client }) => {
  const hears = { hearsPresence: true } as const
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  for (const c of [romeo, juliet]) await c.isAvailable()
  await befriend(romeo, juliet)
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}'/>`)
  const update = `<x xmlns='vcard-temp:x:update'><photo>01b87fcd030b72895ff8e88db57ec525450f000d</photo></x>`
  await juliet.sends(`<presence>${update}</presence>`)
  await romeo.receives(`<presence from='${juliet.jid}' to='${romeo.bare}'>${update}</presence>`)
})
