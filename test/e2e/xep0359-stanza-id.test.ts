import assert from 'node:assert/strict'
import { write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'

const id = (by: string, value = 'x'): string => `<stanza-id xmlns='urn:xmpp:sid:0' id='${value}' by='${by}'/>`
const ORIGIN = `<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>`

story('row 20: an id that claims to be ours does not arrive, in whatever form', async ({ client, domain }) => {
  const mallory = await client('mallory', 'm')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  const forged = [
    juliet.bare,
    juliet.bare.toUpperCase(),
    juliet.jid,
    mallory.bare,
    domain,
    `somebody.else@${domain}`,
    `${domain}.`,
  ]
  for (const by of forged) {
    await mallory.sends(`<message to='${juliet.bare}' type='chat' id='m1'>${id(by)}<body>hi</body>${ORIGIN}</message>`)
    await juliet.receives(
      `<message from='${mallory.jid}' to='${juliet.bare}' type='chat' id='m1'><body>hi</body>${ORIGIN}</message>`,
    )
  }
  const many = forged.map((by) => id(by)).join('<x xmlns="urn:example:x"/>')
  await mallory.sends(
    `<message to='${juliet.jid}' id='m2' xml:lang='de'><s:stanza-id xmlns:s='urn:xmpp:sid:0' id='1' by='${juliet.bare}'/>${many}<body>hi</body></message>`,
  )
  const rest = `<x xmlns="urn:example:x"/>`.repeat(forged.length - 1)
  await juliet.receives(
    `<message from='${mallory.jid}' to='${juliet.jid}' id='m2' xml:lang='de'>${rest}<body>hi</body></message>`,
  )
})

story('others’ ids stay, and what only looks like one', async ({ client, domain }) => {
  const romeo = await client('romeo', 'orchard')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  for (const payload of [
    id('room@muc.example.com', 'r1'),
    id(`${domain}.example.com`),
    id('@'),
    `<stanza-id xmlns='urn:xmpp:sid:0' id='x'/>`,
    `<stanza-id xmlns='urn:example:sid' id='x' by='${juliet.bare}'/>`,
    `<wrapped xmlns='urn:example:x'>${id(juliet.bare)}</wrapped>`,
  ]) {
    const inside = `${payload}<body>hi</body>`
    await romeo.sends(`<message to='${juliet.bare}' type='chat' id='m1'>${inside}</message>`)
    await juliet.receives(`<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'>${inside}</message>`)
  }
})

story('it is announced', async ({ client, domain }) => {
  const romeo = await client('romeo', 'orchard')
  for (const to of [romeo.bare, domain]) {
    const info = await romeo.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, to)
    assert.match(write(info), /var='urn:xmpp:sid:0'/)
  }
})
