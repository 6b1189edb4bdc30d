import assert from 'node:assert/strict'
import { befriend } from '../helpers/contacts.ts'
import { story } from '../helpers/story.ts'

const hears = { hearsPresence: true } as const
const ROSTER = `<query xmlns='jabber:iq:roster'/>`
const push = (item: string) =>
  `<iq type='set' id='{any}' to='{any}' from='{any}'><query xmlns='jabber:iq:roster' ver='{any}'>${item}</query></iq>`

story('two people become contacts, see each other come and go, and part', async ({ client, device }) => {
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  for (const c of [romeo, juliet]) {
    await c.asks('get', ROSTER)
    await c.isAvailable()
  }

  await romeo.sends(`<presence type='subscribe' to='${juliet.bare}'><status>may I?</status></presence>`)
  const julietName = juliet.bare.split('@')[0]
  const romeoName = romeo.bare.split('@')[0]
  await romeo.receives(push(`<item jid='${juliet.bare}' name='${julietName}' subscription='none' ask='subscribe'/>`))
  await juliet.receives(
    `<presence type='subscribe' from='${romeo.bare}' to='${juliet.bare}'><status>may I?</status></presence>`,
  )
  await juliet.sends(`<presence type='subscribed' to='${romeo.bare}'/>`)
  await juliet.receives(push(`<item jid='${romeo.bare}' name='${romeoName}' subscription='from'/>`))
  await romeo.receives(`<presence type='subscribed' from='${juliet.bare}' to='${romeo.bare}'/>`)
  await romeo.receives(push(`<item jid='${juliet.bare}' name='${julietName}' subscription='to'/>`))
  await romeo.receives(`<presence from='${juliet.jid}' to='${romeo.bare}'/>`)

  await juliet.sends(`<presence><show>away</show></presence>`)
  await juliet.receives(`<presence from='${juliet.jid}' to='${juliet.bare}'><show>away</show></presence>`)
  await romeo.receives(`<presence from='${juliet.jid}' to='${romeo.bare}'><show>away</show></presence>`)
  const phone = await device('romeo', 'phone', hears)
  await phone.connects()
  await phone.sends('<presence/>')
  await phone.receivesAnyOrder(
    `<presence from='${phone.jid}' to='${romeo.bare}'/>`,
    `<presence from='${romeo.jid}' to='${phone.jid}'/>`,
    `<presence from='${juliet.jid}' to='${phone.jid}'><show>away</show></presence>`,
  )
  await romeo.receives(`<presence from='${phone.jid}' to='${romeo.bare}'/>`)
  phone.drops()
  await romeo.receives(`<presence type='unavailable' from='${phone.jid}' to='${romeo.bare}'/>`)
  await juliet.sends(`<presence type='unavailable'><status>bye</status></presence>`)
  await romeo.receives(
    `<presence type='unavailable' from='${juliet.jid}' to='${romeo.bare}'><status>bye</status></presence>`,
  )
  // §4.5.2: and to the resource itself.
  await juliet.receives(
    `<presence type='unavailable' from='${juliet.jid}' to='${juliet.bare}'><status>bye</status></presence>`,
  )
  await juliet.receivesNothing()

  await romeo.asks('set', `<query xmlns='jabber:iq:roster'><item jid='${juliet.bare}' subscription='remove'/></query>`)
  await romeo.receives(push(`<item jid='${juliet.bare}' subscription='remove'/>`))
  await juliet.receives(`<presence type='unsubscribe' from='${romeo.bare}' to='${juliet.bare}'/>`)
  await juliet.receives(push(`<item jid='${romeo.bare}' name='${romeoName}' subscription='none'/>`))
  await romeo.receivesNothing()
})

story('a request waits for whoever is away', async ({ client, device }) => {
  const juliet = await device('juliet', 'balcony', hears)
  const romeo = await client('romeo', 'garden', hears)
  await juliet.connects()
  const { bare } = juliet
  await juliet.disconnects()
  await romeo.sends(
    `<presence type='subscribe' to='${bare}' id='please' xml:lang='it'><status>per favore</status><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>`,
  )
  await romeo.receivesNothing()
  // §3.1.3: «a record of the complete presence stanza».
  const request = `<presence type='subscribe' from='${romeo.bare}' to='${bare}' id='please' xml:lang='it'><status>per favore</status><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>`
  for (let time = 0; time < 2; time++) {
    await juliet.connects()
    await juliet.sends('<presence/>')
    await juliet.receivesAnyOrder(`<presence from='${juliet.jid}' to='${bare}'/>`, request)
    await juliet.disconnects()
  }
})

story('nobody learns of a stranger what a subscriber would', async ({ client, stranger, domain }) => {
  const romeo = await client('romeo', 'garden', hears)
  const paris = await client('paris', 'square', hears)
  await romeo.isAvailable()
  const info = `<query xmlns='http://jabber.org/protocol/disco#info'/>`
  for (const to of [romeo.bare, stranger('nobody')]) {
    await paris.sends(`<presence type='probe' to='${to}'/>`)
    await paris.sends(`<presence type='subscribed' to='${to}'/>`)
    await paris.sends(`<iq type='get' id='i' to='${to}'>${info}</iq>`)
    await paris.receives(
      `<iq type='error' id='i' from='${to}' to='${paris.jid}'>${info}<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
    )
    await paris.receivesNothing()
  }
  await paris.sends(
    `<iq type='set' id='r' to='${romeo.jid}'><query xmlns='jabber:iq:roster'><item jid='x@${domain}'/></query></iq>`,
  )
  await paris.receives(
    `<iq type='error' id='r' from='${romeo.jid}' to='${paris.jid}'><query xmlns='jabber:iq:roster'><item jid='x@${domain}'/></query><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
  )
  await romeo.receivesNothing()
})

story('directed presence ends with the session', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const paris = await client('paris', 'square', hears)
  await romeo.sends(`<presence to='${paris.jid}'><status>psst</status></presence>`)
  await paris.receives(`<presence from='${romeo.jid}' to='${paris.jid}'><status>psst</status></presence>`)
  await romeo.disconnects()
  await paris.receives(`<presence type='unavailable' from='${romeo.jid}' to='${paris.jid}'/>`)
})

story('a client that knows the version is sent what changed', async ({ client, domain }) => {
  const romeo = await client('romeo', 'garden')
  const set = (item: string) => romeo.asks('set', `<query xmlns='jabber:iq:roster'>${item}</query>`)
  await set(`<item jid='a@${domain}'/>`)
  const first = await romeo.asks('get', `<query xmlns='jabber:iq:roster' ver=''/>`)
  const query = first.children.find((c) => typeof c !== 'string')
  await set(`<item jid='b@${domain}' name='Bee'><group>Friends</group></item>`)
  await set(`<item jid='a@${domain}' subscription='remove'/>`)
  await romeo.receives(push(`<item jid='b@${domain}' name='Bee' subscription='none'><group>Friends</group></item>`))
  await romeo.receives(push(`<item jid='a@${domain}' subscription='remove'/>`))
  const laptop = await client('romeo', 'laptop')
  await laptop.sends(
    `<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='${typeof query === 'object' && query.attrs.ver}'/></iq>`,
  )
  await laptop.receives(`<iq type='result' id='v' from='${romeo.bare}' to='${laptop.jid}'/>`)
  // §2.6.3: in the order of the changes, each with a version of its own, by which the client may ask again.
  const versions: (string | undefined)[] = []
  for (const item of [
    `<item jid='b@${domain}' name='Bee' subscription='none'><group>Friends</group></item>`,
    `<item jid='a@${domain}' subscription='remove'/>`,
  ]) {
    const heard = await laptop.receives(push(item))
    versions.push(heard.children.find((c) => typeof c !== 'string')?.attrs.ver)
  }
  await laptop.sends(`<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='${versions[0]}'/></iq>`)
  await laptop.receives(`<iq type='result' id='v' from='${romeo.bare}' to='${laptop.jid}'/>`)
  const last = await laptop.receives(push(`<item jid='a@${domain}' subscription='remove'/>`))
  assert.equal(last.children.find((c) => typeof c !== 'string')?.attrs.ver, versions[1])
  assert.notEqual(versions[0], versions[1])
})

story('a subscription is taken back when the devices have gone (§3.2.2)', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  await befriend(romeo, juliet)
  await juliet.isAvailable()
  await juliet.receives(`<presence type='unavailable' from='${romeo.bare}' to='${juliet.jid}'>{...}</presence>`)
  await romeo.isAvailable()
  await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.bare}'/>`)
  await romeo.sends(`<presence type='unsubscribed' to='${juliet.bare}' id='u'/>`)
  await juliet.receives(`<presence type='unavailable' from='${romeo.jid}' to='${juliet.bare}'/>`)
  await juliet.receives(`<presence type='unsubscribed' from='${romeo.bare}' to='${juliet.bare}' id='u'/>`)
})

story('presence keeps its id, and what stands for none mirrors that of the probe (§4.3.2)', async (tell) => {
  const romeo = await tell.client('romeo', 'garden', hears)
  const juliet = await tell.client('juliet', 'balcony', hears)
  const paris = await tell.client('paris', 'square', hears)
  await befriend(romeo, juliet)
  const probe = (from: typeof romeo, to: string) => from.sends(`<presence type='probe' to='${to}' id='probe'/>`)
  await probe(romeo, juliet.bare)
  await romeo.receives(
    `<presence type='unavailable' from='${juliet.bare}' to='${romeo.jid}' id='probe'>{...}</presence>`,
  )
  await juliet.sends(`<presence id='said'><show>dnd</show></presence>`)
  await juliet.receives(`<presence from='${juliet.jid}' to='${juliet.bare}' id='said'><show>dnd</show></presence>`)
  await probe(romeo, juliet.bare)
  await romeo.receives(`<presence from='${juliet.jid}' to='${romeo.jid}' id='said'><show>dnd</show></presence>`)
  await probe(romeo, juliet.jid)
  await romeo.receives(`<presence from='${juliet.jid}' to='${romeo.jid}'/>`)
  await probe(romeo, `${juliet.bare}/gone`)
  await romeo.receives(`<presence type='unavailable' from='${juliet.bare}/gone' to='${romeo.jid}' id='probe'/>`)
  for (const to of [juliet.bare, juliet.jid, tell.stranger('nobody')]) {
    await probe(paris, to)
    await paris.receivesNothing()
  }
  const late = await tell.client('romeo', 'late', hears)
  await late.sends('<presence/>')
  await late.receivesAnyOrder(
    `<presence from='${late.jid}' to='${romeo.bare}'/>`,
    `<presence from='${juliet.jid}' to='${late.jid}' id='said'><show>dnd</show></presence>`,
  )
})

story('who was sent directed presence may ask whether it still holds (§4.6.6)', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const paris = await client('paris', 'square', hears)
  const asks = async (answer: string) => {
    await paris.sends(`<presence type='probe' to='${romeo.jid}' id='probe'/>`)
    if (answer !== '') await paris.receives(answer)
    // What was asked first is answered first, or not at all.
    await paris.sends(`<iq type='get' to='${romeo.jid}' id='after'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await romeo.receives(`<iq type='get' from='${paris.jid}' to='{any}' id='after'>{...}</iq>`)
    await romeo.sends(`<iq type='result' to='${paris.jid}' id='after'/>`)
    await paris.receives(`<iq type='result' from='${romeo.jid}' to='{any}' id='after'/>`)
  }
  const there = `<presence from='${romeo.jid}' to='${paris.jid}'/>`
  await asks('')
  for (const to of [paris.jid, paris.bare]) {
    await paris.isAvailable()
    await romeo.sends(`<presence to='${to}'><status>psst</status></presence>`)
    await paris.receives(`<presence from='${romeo.jid}' to='${to}'><status>psst</status></presence>`)
    // What is neither available nor unavailable changes nothing of that.
    await romeo.sends(`<presence type='probe' to='${to}'/>`)
    await asks(there)
    await romeo.sends(`<presence type='unavailable' to='${to}'/>`)
    await paris.receives(`<presence type='unavailable' from='${romeo.jid}' to='${to}'/>`)
    await asks('')
  }
})
