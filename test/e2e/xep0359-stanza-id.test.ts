import assert from 'node:assert/strict'
import { readArchive } from '../helpers/archive-reader.ts'
import { idsBy, write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'

const id = (by: string, value = 'forged'): string => `<stanza-id xmlns='urn:xmpp:sid:0' id='${value}' by='${by}'/>`
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
  /** Exactly one id is there, by Juliet's account, and none of the forged ones. */
  const given: string[] = []
  const receivesOne = async (expected: string): Promise<void> => {
    const got = await juliet.receives(expected)
    assert.doesNotMatch(write(got), /forged/)
    assert.equal(write(got).match(/<stanza-id/g)?.length, 1)
    const [own = '', ...more] = idsBy(got, juliet.bare)
    assert.match(own, /^\d+$/)
    assert.deepEqual(more, [])
    given.push(own)
  }
  for (const by of forged) {
    await mallory.sends(`<message to='${juliet.bare}' type='chat' id='m1'>${id(by)}<body>hi</body>${ORIGIN}</message>`)
    await receivesOne(
      `<message from='${mallory.jid}' to='${juliet.bare}' type='chat' id='m1'><body>hi</body>${ORIGIN}</message>`,
    )
  }
  const many = forged.map((by) => id(by)).join('<x xmlns="urn:example:x"/>')
  await mallory.sends(
    `<message to='${juliet.jid}' id='m2' xml:lang='de'><s:stanza-id xmlns:s='urn:xmpp:sid:0' id='forged' by='${juliet.bare}'/>${many}<body>hi</body></message>`,
  )
  const rest = `<x xmlns="urn:example:x"/>`.repeat(forged.length - 1)
  await receivesOne(
    `<message from='${mallory.jid}' to='${juliet.jid}' id='m2' xml:lang='de'>${rest}<body>hi</body></message>`,
  )
  const archive = await readArchive(juliet)
  assert.deepEqual(
    archive.map((entry) => entry.id),
    given,
  )
  for (const { message } of archive) assert.doesNotMatch(write(message), /stanza-id|forged/, 'nor is it archived')
})

story('row 20: what is not archived bears no id at all', async ({ client, domain }) => {
  const mallory = await client('mallory', 'm')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  const state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
  const hint = "<no-store xmlns='urn:xmpp:hints'/>"
  for (const content of [state, `<body>hi</body>${hint}`]) {
    await mallory.sends(
      `<message to='${juliet.bare}' type='chat' id='m1'>${id(juliet.bare)}${content}${id(domain)}</message>`,
    )
    const got = await juliet.receivesAny()
    assert.doesNotMatch(write(got), /stanza-id|forged/)
  }
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
