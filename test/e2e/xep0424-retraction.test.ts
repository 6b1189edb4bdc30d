import assert from 'node:assert/strict'
import { readArchive } from '../helpers/archive-reader.ts'
import { archiveSaid } from '../helpers/archive-samples.ts'
import { write } from '../helpers/match-element.ts'
import { text } from '../helpers/store-samples.ts'
import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const RETRACT = 'urn:xmpp:message-retract:1'

/** The archive's messages as XML, by their ids. */
const archiveOf = async (client: XmppClient): Promise<ReadonlyMap<string, string>> =>
  new Map((await readArchive(client)).map(({ id, message }) => [id, write(message)]))

story(
  'a message that is taken back is a tombstone in the archive, under its id',
  async ({ client, account, stores }) => {
    const juliet = await account('juliet')
    const romeo = await client('romeo', 'orchard')
    const mallory = await client('mallory', 'm')
    const [first = '', second = ''] = await archiveSaid(stores, juliet, [
      { from: romeo.jid, to: juliet, body: 'wrong', id: 'm1' },
      { from: romeo.jid, to: juliet, body: 'right', id: 'm2' },
    ])
    const phone = await client('juliet', 'phone')
    await phone.isAvailable()
    const wish = (of: string): string =>
      `<message to='${juliet}' type='chat' id='r-${of}'><retract xmlns='${RETRACT}' id='${of}'/><body>taken back</body></message>`
    await mallory.sends(wish('m2'))
    assert.equal((await phone.receivesAny()).attrs.id, 'r-m2')
    await romeo.sends(wish('m1'))
    assert.equal((await phone.receivesAny()).attrs.id, 'r-m1')
    // It is done beside the line: what is asked meanwhile may still be the old one.
    let archive = await archiveOf(phone)
    while (!archive.get(first)?.includes('<retracted')) archive = await archiveOf(phone)
    const buried = archive.get(first) ?? ''
    assert.match(buried, new RegExp(`<retracted xmlns='${RETRACT}' id='r-m1' stamp='[^']+'/></message>`))
    assert.doesNotMatch(buried, /wrong|<body/)
    assert.match(buried, new RegExp(`<message [^>]*from='${romeo.jid}'`))
    assert.match(archive.get(second) ?? '', /right/)
  },
)

const said = (to: string, id: string, text: string): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${text}</body></message>`
const takesBack = (to: string, of: string): string =>
  `<message to='${to}' type='chat' id='r-${of}'><retract xmlns='${RETRACT}' id='${of}'/><body>taken back</body></message>`
/** Waits for the tombstone, which is made right after the retraction was passed on. @returns the archive, in order */
async function buriedIn(client: XmppClient): Promise<readonly string[]> {
  for (;;) {
    const archive = [...(await archiveOf(client)).values()]
    if (archive.some((xml) => xml.includes('<retracted'))) return archive
  }
}
/** Nothing of it is left in the store, whoever has it. */
async function isGone({ stores }: Story, words: string): Promise<void> {
  const rows = await stores.database.query<{ payload: Uint8Array }>('select payload from entry')
  assert.doesNotMatch(rows.map(({ payload }) => text(payload)).join('\n'), new RegExp(words))
}

story('what is taken back at once is a tombstone in both archives', async (told) => {
  const romeo = await told.client('romeo', 'orchard')
  const phone = await told.client('juliet', 'phone')
  await phone.isAvailable()
  const words = `spoken in haste by ${romeo.bare}`
  await romeo.sends(said(phone.bare, 'm1', words) + said(phone.bare, 'm2', 'kept') + takesBack(phone.bare, 'm1'))
  for (const id of ['m1', 'm2', 'r-m1']) assert.equal((await phone.receivesAny()).attrs.id, id)
  for (const one of [phone, romeo]) {
    const [first = '', second = '', third = '', ...more] = await buriedIn(one)
    assert.match(first, new RegExp(`id='m1'.*<retracted xmlns='${RETRACT}' id='r-m1' stamp='[^']+'/></message>`))
    assert.match(second, /kept/)
    assert.match(third, /<retract /)
    assert.deepEqual(more, [])
  }
  await isGone(told, words)
})

story('what is taken back before anybody has it is not delivered either', async (told) => {
  const romeo = await told.client('romeo', 'orchard')
  const juliet = await told.account('juliet')
  const words = `unsaid by ${romeo.bare}`
  await romeo.sends(said(juliet, 'm1', words))
  await romeo.sends(takesBack(juliet, 'm1'))
  await buriedIn(romeo)
  const phone = await told.client('juliet', 'phone')
  await buriedIn(phone)
  await isGone(told, words)
  await phone.drops()
  const laptop = await told.client('juliet', 'laptop')
  await laptop.enablesAcks()
  await laptop.isAvailable()
  const tombstone = write(await laptop.receivesAny())
  assert.match(tombstone, new RegExp(`id='m1'.*<retracted xmlns='${RETRACT}' id='r-m1'`))
  assert.doesNotMatch(tombstone, /unsaid|<body/)
  assert.equal((await laptop.receivesAny()).attrs.id, 'r-m1')
  await laptop.receivesNothing()
})

story('what was archived is taken back though neither archives anything any more', async (told) => {
  const romeo = await told.client('romeo', 'orchard')
  const phone = await told.client('juliet', 'phone')
  await phone.enablesAcks()
  await phone.isAvailable()
  const words = `archived of ${romeo.bare}`
  await romeo.sends(said(phone.bare, 'm1', words))
  await phone.receivesAny()
  phone.acks()
  for (const one of [romeo, phone])
    await one.asks('set', `<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/></prefs>`)
  await romeo.sends(takesBack(phone.bare, 'm1'))
  assert.equal((await phone.receivesAny()).attrs.id, 'r-m1')
  phone.acks()
  for (const one of [romeo, phone]) assert.equal((await buriedIn(one)).length, 1)
  await isGone(told, words)
})

for (const hint of ['no-store', 'no-permanent-store'])
  story(`a retraction waits and stays, though it says ${hint}`, async (told) => {
    const romeo = await told.client('romeo', 'orchard')
    const juliet = await told.account('juliet')
    await romeo.enablesAcks()
    const words = `written by ${romeo.bare}`
    await romeo.sends(said(juliet, 'm1', words))
    await romeo.sends(takesBack(juliet, 'm1').replace('</message>', `<${hint} xmlns='urn:xmpp:hints'/></message>`))
    await romeo.isAcknowledged()
    assert.match((await buriedIn(romeo))[1] ?? '', /<retract /)
    const phone = await told.client('juliet', 'phone')
    assert.equal((await buriedIn(phone)).length, 2)
    await isGone(told, words)
    const laptop = await told.client('juliet', 'laptop')
    await laptop.isAvailable()
    assert.match(write(await laptop.receivesAny()), /id='m1'.*<retracted /)
    assert.match(write(await laptop.receivesAny()), /id='r-m1'.*<retract /)
    await laptop.receivesNothing()
  })

story('what a device has sent again, not knowing that it had arrived, is taken back each time', async (told) => {
  const romeo = await told.client('romeo', 'orchard')
  const phone = await told.client('juliet', 'phone')
  await phone.isAvailable()
  const words = `repeated by ${romeo.bare}`
  await romeo.sends(said(phone.bare, 'm1', `older, ${words.length}`) + said(phone.bare, 'm1', words))
  const again = await told.client('romeo', 'balcony')
  const delay = `<delay xmlns='urn:xmpp:delay' stamp='2026-11-26T09:00:00Z'/>`
  for (const id of ['m1', 'm1']) assert.equal((await phone.receivesAny()).attrs.id, id)
  await again.sends(said(phone.bare, 'm1', words).replace('</message>', `${delay}</message>`))
  assert.equal((await phone.receivesAny()).attrs.id, 'm1')
  await again.sends(takesBack(phone.bare, 'm1'))
  assert.equal((await phone.receivesAny()).attrs.id, 'r-m1')
  for (const one of [phone, again]) {
    const [older = '', ...rest] = await buriedIn(one)
    assert.match(older, /older/, 'the same id does not make it the same message')
    assert.deepEqual(
      rest.map((xml) => /<(retracted|retract|body)[ >]/.exec(xml)?.[1]),
      ['retracted', 'retracted', 'retract'],
    )
  }
  await isGone(told, words)
})

story('nobody takes back what others have said, in whichever archive', async ({ client }) => {
  const romeo = await client('romeo', 'orchard')
  const mallory = await client('mallory', 'm')
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  await romeo.isAvailable()
  await romeo.sends(said(phone.bare, 'm1', 'his'))
  await phone.receivesAny()
  await phone.sends(takesBack(romeo.bare, 'm1'))
  await romeo.receivesAny()
  await mallory.sends(takesBack(phone.bare, 'm1'))
  await phone.receivesAny()
  // Romeo's own one, the last for each of the archives, is done; so were those before it.
  await romeo.sends(said(phone.bare, 'm2', 'his too'))
  await romeo.sends(takesBack(phone.bare, 'm2'))
  for (const id of ['m2', 'r-m2']) assert.equal((await phone.receivesAny()).attrs.id, id)
  for (const one of [romeo, phone]) {
    const archive = await buriedIn(one)
    assert.equal(archive.filter((xml) => xml.includes('<retracted')).length, 1)
    assert.ok(archive.some((xml) => xml.includes('his<')))
  }
})

story('it is announced', async ({ client, domain }) => {
  const romeo = await client('romeo', 'orchard')
  for (const to of [romeo.bare, domain]) {
    const info = write(await romeo.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, to))
    for (const feature of [RETRACT, `${RETRACT}#tombstone`]) assert.ok(info.includes(`var='${feature}'`))
  }
})
