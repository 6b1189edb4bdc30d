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
    `<presence type='subscribe' to='${bare}'><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>`,
  )
  await romeo.receivesNothing()
  const request = `<presence type='subscribe' from='${romeo.bare}' to='${bare}'><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>`
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
  await laptop.receivesAnyOrder(
    push(`<item jid='a@${domain}' subscription='remove'/>`),
    push(`<item jid='b@${domain}' name='Bee' subscription='none'><group>Friends</group></item>`),
  )
})
