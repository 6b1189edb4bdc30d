import assert from 'node:assert/strict'
import { befriend } from '../helpers/contacts.ts'
import { story } from '../helpers/story.ts'

story('presence goes to contacts and to the own devices, with what it says', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const phone = await client('romeo', 'phone', { hearsPresence: true })
  const juliet = await client('juliet', 'balcony', { hearsPresence: true })
  await befriend(romeo, juliet)
  await phone.isAvailable()
  await phone.receives(`<presence from='${juliet.bare}' to='{any}' type='unavailable'/>`)
  await juliet.isAvailable()
  await phone.receives(`<presence from='${juliet.jid}' to='{any}'/>`)
  await juliet.receives(`<presence from='${phone.jid}' to='{any}'/>`)
  await romeo.sends(`<presence><show>away</show><status>walking</status><priority>3</priority></presence>`)
  const said = `<show>away</show><status>walking</status><priority>3</priority>`
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}'>${said}</presence>`)
  await phone.receives(`<presence from='${romeo.jid}' to='{any}'>${said}</presence>`)
  await romeo.receivesAnyOrder(
    `<presence from='${romeo.jid}' to='{any}'>${said}</presence>`,
    `<presence from='${juliet.jid}' to='{any}'/>`,
    `<presence from='${phone.jid}' to='{any}'/>`,
  )
  await romeo.sends(`<presence><show>chat</show></presence>`)
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}'><show>chat</show></presence>`)
  await phone.receives(`<presence from='${romeo.jid}' to='{any}'><show>chat</show></presence>`)
  await romeo.receives(`<presence from='${romeo.jid}' to='{any}'><show>chat</show></presence>`)
  await romeo.sends(`<presence type='unavailable'><status>bye</status></presence>`)
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}' type='unavailable'><status>bye</status></presence>`)
  await phone.receives(`<presence from='${romeo.jid}' to='{any}' type='unavailable'><status>bye</status></presence>`)
  await juliet.receivesNothing()
})

for (const how of ['closes its stream', 'loses its connection']) {
  story(`a device that ${how} becomes unavailable`, async ({ client }) => {
    const romeo = await client('romeo', 'garden', { hearsPresence: true })
    const juliet = await client('juliet', 'balcony', { hearsPresence: true })
    await befriend(romeo, juliet)
    await juliet.isAvailable()
    await juliet.receives(`<presence from='${romeo.bare}' to='{any}' type='unavailable'/>`)
    await romeo.isAvailable()
    await juliet.receives(`<presence from='${romeo.jid}' to='{any}'/>`)
    if (how === 'closes its stream') await romeo.disconnects()
    else romeo.drops()
    await juliet.receives(`<presence from='${romeo.jid}' to='{any}' type='unavailable'/>`)
  })
}

story('who has no subscription hears nothing', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const tybalt = await client('tybalt', 'street', { hearsPresence: true })
  await tybalt.isAvailable()
  await romeo.isAvailable()
  await romeo.sends('<presence><show>dnd</show></presence>')
  await tybalt.receivesNothing()
})

story('a probe is answered for those who may know, and only for them', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await client('juliet', 'balcony', { hearsPresence: true })
  const tybalt = await client('tybalt', 'street', { hearsPresence: true })
  await befriend(romeo, juliet)
  await romeo.isAvailable()
  await juliet.sends(`<presence to='${romeo.bare}' type='probe'/>`)
  const answer = await juliet.receivesAny()
  assert.equal(answer.attrs.from, romeo.jid)
  assert.equal(answer.attrs.type, undefined)
  await tybalt.sends(`<presence to='${romeo.bare}' type='probe'/>`)
  await tybalt.sends(`<iq type='get' id='end' to='${tybalt.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  const first = await tybalt.receivesAny()
  assert.ok(first.name === 'iq' || first.attrs.type === 'unsubscribed', JSON.stringify(first))
})

story('directed presence reaches whom it is for, and unavailable follows at the end', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const tybalt = await client('tybalt', 'street', { hearsPresence: true })
  await romeo.sends(`<presence to='${tybalt.jid}'><show>dnd</show></presence>`)
  await tybalt.receives(`<presence from='${romeo.jid}' to='${tybalt.jid}'><show>dnd</show></presence>`)
  await romeo.isAvailable()
  await tybalt.receivesNothing()
  romeo.drops()
  await tybalt.receives(`<presence from='${romeo.jid}' to='${tybalt.jid}' type='unavailable'/>`)
})

story('directed unavailable is told once', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const tybalt = await client('tybalt', 'street', { hearsPresence: true })
  await romeo.isAvailable()
  await romeo.sends(`<presence to='${tybalt.jid}'/>`)
  await tybalt.receives(`<presence from='${romeo.jid}' to='${tybalt.jid}'/>`)
  await romeo.sends(`<presence to='${tybalt.jid}' type='unavailable'/>`)
  await tybalt.receives(`<presence from='${romeo.jid}' to='${tybalt.jid}' type='unavailable'/>`)
  await romeo.sends(`<presence type='unavailable'/>`)
  await tybalt.receivesNothing()
})

story('faulty presence is refused', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  for (const xml of [
    `<presence type='invisible' id='p'/>`,
    `<presence type='subscribe' id='p'/>`,
    `<presence id='p'><priority>200</priority></presence>`,
    `<presence id='p'><priority>high</priority></presence>`,
  ]) {
    await romeo.sends(xml)
    const answer = await romeo.receivesAny()
    assert.equal(answer.attrs.type, 'error', xml)
    assert.match(JSON.stringify(answer), /bad-request/, xml)
  }
})

story(
  'a session has a bounded number of addresses that got its directed presence',
  async ({ client, stranger }) => {
    const romeo = await client('romeo', 'garden', { hearsPresence: true })
    for (let i = 0; i < 6; i++) await romeo.sends(`<presence to='${stranger(`x${i}`)}' id='d${i}'/>`)
    const answer = await romeo.receivesAny()
    assert.equal(answer.attrs.type, 'error')
    assert.match(JSON.stringify(answer), /resource-constraint|policy-violation/)
  },
  { config: { limits: { session: { directed_presence: 5 } } } },
)
