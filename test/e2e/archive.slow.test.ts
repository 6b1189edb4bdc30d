import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import type { BareJid } from '../../src/xmpp/jid.ts'
import { type Archived, bodiesOf, bodyOf, inside, readArchive, readPage } from '../helpers/archive-reader.ts'
import { archiveSaid } from '../helpers/archive-samples.ts'
import { difference, idsBy, parse, write } from '../helpers/match-element.ts'
import { text } from '../helpers/store-samples.ts'
import { bounce, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** Messages are archived as they are passed on (XEP-0313 section 5.1, XEP-0359, XEP-0334, XEP-0441). */

const CARBONS = 'urn:xmpp:carbons:2'
const HINTS = 'urn:xmpp:hints'
const MAM = 'urn:xmpp:mam:2'

const chat = (to: string, id: string, more = ''): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body>${more}</message>`
const ids = (archive: readonly Archived[]): string[] => archive.map(({ id }) => id)
/** The one id that an account's archive gave a message. */
function givenId(message: Parameters<typeof idsBy>[0], by: string): string {
  const [id, ...more] = idsBy(message, by)
  assert.deepEqual(more, [], write(message))
  assert.match(id ?? '', /^\d+$/, write(message))
  return id ?? ''
}
async function copies(client: XmppClient): Promise<void> {
  assert.equal((await client.asks('set', `<enable xmlns='${CARBONS}'/>`)).attrs.type, 'result')
}
/** A device whose messages are known to be safe once it `isAcknowledged`. */
async function speaker({ client }: Story, person: string): Promise<XmppClient> {
  const speaker = await client(person, 'garden')
  await speaker.enablesAcks()
  return speaker
}
/** Waits until all that the client has sent has been dealt with. */
const isDone = (client: XmppClient): Promise<unknown> => client.asks('get', "<ping xmlns='urn:xmpp:ping'/>")
/** Waits until so many rows are left of it: what a device has confirmed goes with the next batch. */
async function isStored(told: Pick<Story, 'stores'>, owner: XmppClient, count: number): Promise<void> {
  while ((await stored(told, owner.bare)).length !== count) await isDone(owner)
}
/** What is in the account's log, archived or waiting, as it is stored. */
async function stored({ stores }: Pick<Story, 'stores'>, owner: string): Promise<readonly string[]> {
  const account = await stores.accounts.find(owner as BareJid)
  const rows = await stores.database.query<{ payload: Uint8Array }>('select payload from entry where account_id = $1', [
    account?.id ?? 0,
  ])
  return rows.map(({ payload }) => text(payload))
}

story('a message is in both archives, under the ids that the devices saw', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const laptop = await client('romeo', 'laptop')
  const juliet = await client('juliet', 'balcony')
  const phone = await client('juliet', 'phone')
  for (const one of [romeo, laptop, juliet]) await one.isAvailable()
  for (const one of [laptop, phone]) await copies(one)
  await romeo.sends(chat(juliet.bare, 'm1'))
  const received = await juliet.receives(
    `<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'><body>m1</body></message>`,
  )
  const of = givenId(received, juliet.bare)
  const sent = inside(await laptop.receivesAny(), 'sent', 'forwarded', 'message')
  const copied = inside(await phone.receivesAny(), 'received', 'forwarded', 'message')
  assert.ok(sent !== undefined && copied !== undefined)
  assert.equal(givenId(copied, juliet.bare), of, 'the copy of what came bears the id of what came')
  assert.deepEqual(idsBy(sent, juliet.bare), [], 'nobody learns the ids of somebody else’s archive')
  assert.deepEqual(idsBy(received, romeo.bare), [])

  const [theirs, ...more] = await readArchive(juliet)
  const [ours, ...others] = await readArchive(romeo)
  assert.deepEqual([more, others], [[], []], 'once each')
  assert.equal(theirs?.id, of)
  assert.equal(ours?.id, givenId(sent, romeo.bare), 'the copy of what was sent bears the sender’s own id')
  const plain = parse(`<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'><body>m1</body></message>`)
  for (const found of [theirs, ours]) {
    assert.ok(found !== undefined)
    assert.equal(difference(plain, found.message), undefined)
    assert.doesNotMatch(write(found.message), /stanza-id/, 'as it was sent')
  }
  for (const one of [romeo, laptop, juliet, phone]) await one.receivesNothing()
})

story('what waited comes with the id that the archive has for it', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const juliet = await client('juliet', 'balcony')
  await romeo.sends(chat(juliet.bare, 'm1'))
  await romeo.isAcknowledged()
  const [archived] = await readArchive(romeo)
  assert.equal(archived?.body, 'm1', 'what nobody has taken is archived as well')
  await juliet.isAvailable()
  const waited = await juliet.receives(`
    <message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'>
      <body>m1</body><delay xmlns='urn:xmpp:delay' from='{any}' stamp='{any}'/>
    </message>`)
  assert.deepEqual(ids(await readArchive(juliet)), [givenId(waited, juliet.bare)])
})

story('the archives have the order in which things were said', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  for (const one of [romeo, juliet]) await one.isAvailable()
  const said = Array.from({ length: 60 }, (_, i) => `m${i}`)
  /** Some go to the full address, some to the bare one, some are receipts without a body. */
  const written = (to: XmppClient, id: string, i: number): string =>
    i % 5 === 4
      ? `<message to='${to.jid}' id='${id}'><received xmlns='urn:xmpp:receipts' id='${id}'/></message>`
      : chat(i % 3 === 0 ? to.jid : to.bare, id)
  await Promise.all([
    romeo.sends(said.map((id, i) => written(juliet, id, i)).join('')),
    juliet.sends(said.map((id, i) => written(romeo, id, i)).join('')),
  ])
  const heard = new Map<XmppClient, string[]>()
  for (const one of [romeo, juliet]) {
    const given: string[] = []
    for (const id of said) {
      const message = await one.receivesAny()
      assert.equal(message.attrs.id, id)
      given.push(givenId(message, one.bare))
    }
    heard.set(one, given)
  }
  for (const [one, other] of [
    [romeo, juliet],
    [juliet, romeo],
  ] as const) {
    const archive = await readArchive(one)
    const of = (who: XmppClient) => archive.filter(({ message }) => message.attrs.from === who.jid)
    assert.deepEqual(
      of(one).map(({ message }) => message.attrs.id),
      said,
      'sent',
    )
    assert.deepEqual(ids(of(other)), heard.get(one), 'received')
    assert.deepEqual(
      ids(archive),
      ids(archive).toSorted((a, b) => Number(a) - Number(b)),
    )
  }
})

const prefs = (rule: string, never: readonly string[] = [], always: readonly string[] = []): string => {
  const list = (name: string, jids: readonly string[]): string =>
    `<${name}>${jids.map((jid) => `<jid>${jid}</jid>`).join('')}</${name}>`
  return `<prefs xmlns='${MAM}' default='${rule}'>${list('always', always)}${list('never', never)}</prefs>`
}

story('each side archives by its own preferences', async (told) => {
  const { client } = told
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  for (const one of [romeo, juliet]) {
    await one.enablesAcks()
    await one.isAvailable()
  }
  const wishes = async (who: XmppClient, payload: string): Promise<void> => {
    assert.equal((await who.asks('set', payload)).attrs.type, 'result')
  }
  /** Both are said something; what each device saw of ids. */
  let said = 0
  const talk = async (): Promise<void> => {
    const id = `m${said++}`
    for (const [from, to] of [
      [romeo, juliet],
      [juliet, romeo],
    ] as const) {
      await from.sends(chat(to.bare, `${id}${from === romeo ? 'r' : 'j'}`))
      await to.receivesAny()
      await isDone(from)
    }
  }
  await talk()
  await wishes(juliet, prefs('never'))
  await talk()
  await wishes(juliet, prefs('never', [], [romeo.bare]))
  await talk()
  await wishes(juliet, prefs('always', [romeo.jid]))
  await talk()
  await wishes(juliet, prefs('always', [`${romeo.bare}/elsewhere`]))
  await talk()
  await wishes(juliet, prefs('roster'))
  await talk()
  await juliet.asks('set', `<query xmlns='jabber:iq:roster'><item jid='${romeo.bare}'/></query>`)
  await wishes(romeo, prefs('never'))
  await talk()
  // What goes to the bare address is not what goes to one on the list of the never archived.
  assert.equal(bodiesOf(await readArchive(juliet)), 'm0r m0j m2r m2j m3j m4r m4j m6r m6j')
  assert.equal(bodiesOf(await readArchive(romeo)), 'm0r m0j m1r m1j m2r m2j m3r m3j m4r m4j m5r m5j')
  for (const one of [romeo, juliet]) one.acks()
  await isStored(told, juliet, 9)
  await isStored(told, romeo, 12)
})

for (const [hint, live, sides] of [
  ['no-store', 'm1', ''],
  ['no-permanent-store', 'm1', ''],
  ['no-copy', 'm1', 'm1'],
  ['store', 'm1', 'm1'],
] as const) {
  story(`a message with the hint ${hint} is ${sides === '' ? 'not ' : ''}archived, on either side`, async (told) => {
    const { client } = told
    const romeo = await client('romeo', 'garden')
    const juliet = await client('juliet', 'balcony')
    await juliet.enablesAcks()
    await juliet.isAvailable()
    await romeo.sends(chat(juliet.bare, live, `<${hint} xmlns='${HINTS}'/>`))
    const got = await juliet.receivesAny()
    assert.equal(got.attrs.id, live)
    assert.equal(idsBy(got, juliet.bare).length, sides === '' ? 0 : 1)
    await isDone(romeo)
    for (const one of [romeo, juliet]) assert.equal(bodiesOf(await readArchive(one)), sides)
    await juliet.receivesNothing()
    juliet.acks()
    for (const one of [romeo, juliet]) await isStored(told, one, sides === '' ? 0 : 1)
  })
}

story('what may not stay waits nevertheless, and is gone when it was taken', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const juliet = await client('juliet', 'balcony')
  await romeo.sends(chat(juliet.bare, 'm1', `<no-permanent-store xmlns='${HINTS}'/>`))
  await romeo.sends(chat(juliet.bare, 'm2', `<no-store xmlns='${HINTS}'/>`))
  await romeo.isAcknowledged()
  assert.equal((await stored(told, juliet.bare)).length, 1)
  assert.deepEqual(await stored(told, romeo.bare), [])
  await juliet.enablesAcks()
  await juliet.isAvailable()
  const got = await juliet.receivesAny()
  assert.deepEqual([got.attrs.id, idsBy(got, juliet.bare)], ['m1', []])
  juliet.acks()
  await juliet.receivesNothing()
  await juliet.disconnects()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  await phone.receivesNothing()
  assert.deepEqual(await stored(told, juliet.bare), [])
  assert.deepEqual(await readArchive(phone), [])
})

story('a hint alone has something archived that would not be', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  await romeo.sends(
    `<message to='${juliet.bare}' id='m1'><x xmlns='urn:example:x'/><store xmlns='${HINTS}'/></message>`,
  )
  const id = givenId(await juliet.receivesAny(), juliet.bare)
  assert.deepEqual(ids(await readArchive(juliet)), [id])
  assert.equal((await readArchive(romeo)).length, 1)
})

story('a message to oneself is archived once, and comes to each device once', async ({ client }) => {
  const phone = await client('juliet', 'phone')
  const laptop = await client('juliet', 'laptop')
  const tablet = await client('juliet', 'tablet')
  for (const one of [phone, laptop]) await one.isAvailable()
  for (const one of [phone, laptop, tablet]) await copies(one)
  await phone.sends(chat(phone.bare, 'm1'))
  const [mine, theirs] = [await phone.receivesAny(), await laptop.receivesAny()]
  assert.deepEqual([bodyOf(mine), bodyOf(theirs)], ['m1', 'm1'])
  const first = givenId(mine, phone.bare)
  assert.equal(givenId(theirs, phone.bare), first)
  const copied = inside(await tablet.receivesAny(), 'sent', 'forwarded', 'message')
  assert.ok(copied !== undefined)
  assert.equal(givenId(copied, phone.bare), first)
  await phone.sends(chat(laptop.jid, 'm2'))
  const second = givenId(await laptop.receivesAny(), phone.bare)
  const again = inside(await tablet.receivesAny(), 'sent', 'forwarded', 'message')
  assert.ok(again !== undefined)
  assert.equal(givenId(again, phone.bare), second)
  for (const one of [phone, laptop, tablet]) await one.receivesNothing()
  assert.deepEqual(ids(await readArchive(phone)), [first, second])
})

story('what says nothing for later is in no archive, nor is what was refused', async (told) => {
  const { client, stranger } = told
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  const state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
  const error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
  for (const message of [
    `<message to='${juliet.bare}' type='chat' id='f1'>${state}</message>`,
    `<message to='${juliet.bare}' type='headline' id='f2'><body>news</body></message>`,
    `<message to='${juliet.jid}' type='error' id='f3'><body>not delivered</body>${error}</message>`,
    `<message to='${juliet.jid}' type='groupchat' id='f4'><body>from a room</body></message>`,
    `<message to='${juliet.jid}' id='f5'><x xmlns='urn:example:x'/></message>`,
  ]) {
    await romeo.sends(message)
    const got = await juliet.receivesAny()
    assert.doesNotMatch(write(got), /stanza-id/)
  }
  await romeo.sends(`<message to='${juliet.bare}' type='groupchat' id='b1'><body>x</body></message>`)
  await romeo.receives(
    bounce('message', { id: 'b1', from: juliet.bare, to: romeo.jid }, 'cancel', 'service-unavailable'),
  )
  const nobody = stranger('nobody')
  await romeo.sends(chat(nobody, 'b2'))
  await romeo.receives(bounce('message', { id: 'b2', from: nobody, to: romeo.jid }, 'cancel', 'service-unavailable'))
  for (const one of [romeo, juliet]) {
    assert.deepEqual(await readArchive(one), [])
    assert.deepEqual(await stored(told, one.bare), [])
  }
})

/** A device that asks its archive before it says that it is there; what the archive held. */
async function readsFirst(device: XmppClient, set?: string): Promise<readonly Archived[]> {
  await device.enablesAcks()
  const { results } = await readPage(device, set)
  return results
}
/** A device that does not read the archive; what waited for it. */
async function comes(device: XmppClient, count: number): Promise<readonly (string | undefined)[]> {
  if (!device.countsStanzas) await device.enablesAcks()
  await device.isAvailable()
  const heard: (string | undefined)[] = []
  while (heard.length < count) heard.push((await device.receivesAny()).attrs.id)
  await device.receivesNothing()
  return heard
}

story('who asks only how much the archive holds is given what waits', async (told) => {
  const romeo = await speaker(told, 'romeo')
  const phone = await told.client('juliet', 'phone', { manualAcks: true })
  await romeo.sends(chat(phone.bare, 'm1'))
  await romeo.isAcknowledged()
  assert.deepEqual(await readsFirst(phone, '<max>0</max>'), [])
  assert.deepEqual(await comes(phone, 1), ['m1'])
})

story('who reads the archive first is not given what waits; others are', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone', { manualAcks: true })
  for (const id of ['m1', 'm2']) await romeo.sends(chat(phone.bare, id))
  await romeo.isAcknowledged()
  assert.equal(bodiesOf(await readsFirst(phone)), 'm1 m2')
  await phone.isAvailable()
  // `receivesNothing` would have to acknowledge: the next message is the first that comes.
  await romeo.sends(chat(phone.bare, 'm3'))
  assert.equal((await phone.receivesAny()).attrs.id, 'm3')
  const laptop = await client('juliet', 'laptop')
  assert.deepEqual(await comes(laptop, 3), ['m1', 'm2', 'm3'], 'nobody has confirmed that it has them')
})

story('that it read a part of the archive only is its own affair', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  for (const id of ['m1', 'm2', 'm3']) await romeo.sends(chat(phone.bare, id))
  await romeo.isAcknowledged()
  assert.equal(bodiesOf(await readsFirst(phone, '<max>1</max><before/>')), 'm3')
  phone.acks()
  assert.deepEqual(await comes(phone, 0), [])
  const laptop = await client('juliet', 'laptop')
  assert.deepEqual(await comes(laptop, 2), ['m1', 'm2'])
})

story('what came in a page waits until the page is acknowledged, and no longer', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone', { manualAcks: true })
  for (const id of ['m1', 'm2', 'm3']) await romeo.sends(chat(phone.bare, id))
  await romeo.isAcknowledged()
  assert.equal(bodiesOf(await readsFirst(phone, '<max>2</max>')), 'm1 m2')
  phone.acks(1)
  await isDone(phone)
  phone.drops()
  const laptop = await client('juliet', 'laptop')
  assert.deepEqual(await comes(laptop, 2), ['m2', 'm3'])
  laptop.acks()
  await laptop.receivesNothing()
  const tablet = await client('juliet', 'tablet')
  assert.deepEqual(await comes(tablet, 0), [])
  assert.equal(bodiesOf(await readArchive(tablet)), 'm1 m2 m3')
})

story('without stream management a page is taken when a ping after it is answered', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  await romeo.sends(chat(phone.bare, 'm1'))
  await romeo.isAcknowledged()
  assert.equal(bodiesOf(await readArchive(phone)), 'm1')
  // The answer to the ping, which came with the page, is written before what is asked now.
  await isDone(phone)
  await isDone(phone)
  const laptop = await client('juliet', 'laptop')
  assert.deepEqual(await comes(laptop, 0), [])
})

story('what came between the page and presence is not missed', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  await romeo.sends(chat(phone.bare, 'm1'))
  await romeo.isAcknowledged()
  assert.equal(bodiesOf(await readsFirst(phone)), 'm1')
  await romeo.sends(chat(phone.bare, 'm2'))
  await romeo.isAcknowledged()
  // Another query that does not bring it either.
  assert.equal(bodiesOf((await readPage(phone, '<max>1</max>')).results), 'm1')
  assert.deepEqual(await comes(phone, 1), ['m2'])
})

story('what no archive has is given to whoever comes, also after reading the archive', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  await romeo.sends(chat(phone.bare, 'm1'))
  await romeo.sends(chat(phone.bare, 'm2', `<no-permanent-store xmlns='${HINTS}'/>`))
  await romeo.sends(chat(phone.bare, 'm3'))
  await romeo.isAcknowledged()
  assert.equal(bodiesOf(await readsFirst(phone)), 'm1 m3')
  assert.deepEqual(await comes(phone, 1), ['m2'])
})

story('a query sent together with presence comes first as well', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  await romeo.sends(chat(phone.bare, 'm1'))
  await romeo.isAcknowledged()
  await phone.enablesAcks()
  await phone.sends(`<iq type='set' id='q1'><query xmlns='${MAM}' queryid='f'/></iq><presence/>`)
  assert.equal(inside(await phone.receivesAny(), 'result')?.attrs.queryid, 'f')
  assert.equal((await phone.receivesAny()).attrs.id, 'q1')
  await phone.receivesNothing()
})

story('a query that failed, or came after presence, keeps nothing back', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  await romeo.sends(chat(phone.bare, 'm1'))
  await romeo.isAcknowledged()
  assert.equal(
    (
      await phone.asks(
        'set',
        `<query xmlns='${MAM}'><x xmlns='urn:example:x'/><set xmlns='http://jabber.org/protocol/rsm'><max>-1</max></set></query>`,
      )
    ).attrs.type,
    'error',
  )
  assert.deepEqual(await comes(phone, 1), ['m1'])
})

story('a device that reads the archive while messages flow misses none', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const laptop = await client('juliet', 'laptop')
  await laptop.enablesAcks()
  await laptop.isAvailable()
  const juliet = laptop.bare
  const said = Array.from({ length: 240 }, (_, i) => `m${i}`)
  let spoken = 0
  const speaks = async (count: number): Promise<void> => {
    for (const id of said.slice(spoken, spoken + count)) await romeo.sends(chat(juliet, id))
    spoken += count
  }
  await speaks(60)
  await romeo.isAcknowledged()

  // One reads all of it page by page before it is available, the other one while it is.
  const phone = await client('juliet', 'phone')
  const tablet = await client('juliet', 'tablet')
  await phone.enablesAcks()
  await tablet.enablesAcks()
  await tablet.isAvailable()
  const reads = async (device: XmppClient, found: Archived[], live: Element[]): Promise<void> => {
    for (let set = '<max>20</max>'; ; ) {
      const page = await readPage(device, set, (e) => void live.push(e))
      found.push(...page.results)
      if (page.isComplete) return
      set = `<max>20</max><after>${found.at(-1)?.id}</after>`
    }
  }
  const [pages, tabletPages]: [Archived[], Archived[]] = [[], []]
  const [live, tabletLive]: [Element[], Element[]] = [[], []]
  const speaking = (async () => {
    while (spoken < 200) {
      await speaks(10)
      await romeo.isAcknowledged()
    }
  })()
  await Promise.all([reads(phone, pages, live), reads(tablet, tabletPages, tabletLive)])
  await phone.isAvailable()
  await speaking
  await speaks(40)
  await romeo.isAcknowledged()
  /** All that came in pages and what came besides: each at least once, in order, and besides none a second time. */
  const hasAll = async (device: XmppClient, found: readonly Archived[], heard: Element[]): Promise<void> => {
    const inPages = new Map(found.map(({ id, body }) => [id, body]))
    assert.equal(inPages.size, found.length, 'no page has what another had')
    while (heard.at(-1)?.attrs.id !== said.at(-1)) heard.push(await device.receivesAny())
    await device.receivesNothing()
    const besides = new Map(heard.map((e) => [givenId(e, juliet), bodyOf(e)]))
    assert.equal(besides.size, heard.length, 'nor came anything twice')
    const all = new Map([...inPages, ...besides])
    const inOrder = [...all.keys()].toSorted((a, b) => Number(a) - Number(b))
    assert.deepEqual(
      inOrder.map((id) => all.get(id)),
      said,
    )
  }
  await hasAll(phone, pages, live)
  await hasAll(tablet, tabletPages, tabletLive)
  assert.equal(bodiesOf(await readArchive(phone)), said.join(' '))
})

story(
  'a long archive is read to its end by who does not count stanzas',
  async ({ client, account, stores }) => {
    const [juliet, romeo] = [await account('juliet'), await account('romeo')]
    const said = Array.from({ length: 4_500 }, (_, i) => ({ from: `${romeo}/a`, to: juliet, body: `m${i}` }))
    await archiveSaid(stores, juliet, said)
    const phone = await client('juliet', 'phone')
    const found: Archived[] = []
    for (let isComplete = false; !isComplete; ) {
      const after = found.length === 0 ? '' : `<after>${found.at(-1)?.id}</after>`
      const page = await readPage(phone, `<max>250</max>${after}`)
      found.push(...page.results)
      isComplete = page.isComplete
    }
    assert.deepEqual(
      found.map(({ body }) => body),
      said.map(({ body }) => body),
    )
  },
  { servers: 1 },
)

/** Runs the command that deletes an archive. */
async function deletesHistory(client: XmppClient): Promise<void> {
  const command = (more: string, inner = ''): string =>
    `<command xmlns='http://jabber.org/protocol/commands' node='delete-history' ${more}>${inner}</command>`
  const asked = inside(await client.asks('set', command(`action='execute'`)), 'command')
  const form = `<x xmlns='jabber:x:data' type='submit'><field var='confirm'><value>true</value></field></x>`
  const done = await client.asks('set', command(`sessionid='${asked?.attrs.sessionid}' action='complete'`, form))
  assert.equal(inside(done, 'command')?.attrs.status, 'completed', write(done))
}

story('history that is deleted while messages arrive is gone, and none of those is lost', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  await phone.enablesAcks()
  await phone.isAvailable()
  const before = Array.from({ length: 30 }, (_, i) => `before-${i}-`)
  const meanwhile = Array.from({ length: 120 }, (_, i) => `meanwhile-${i}-`)
  for (const id of before) await romeo.sends(chat(phone.bare, id))
  await romeo.isAcknowledged()
  for (const id of before) assert.equal((await phone.receivesAny()).attrs.id, id)
  const deleting = (async () => {
    for (let i = 0; i < 5; i++) await deletesHistory(phone)
  })()
  for (const id of meanwhile) await romeo.sends(chat(phone.bare, id))
  await deleting
  await romeo.isAcknowledged()
  await romeo.sends(chat(phone.bare, 'after'))
  const given = new Map<string, string>()
  for (const id of [...meanwhile, 'after']) {
    const message = await phone.receivesAny()
    assert.equal(message.attrs.id, id)
    given.set(id, givenId(message, phone.bare))
  }
  await phone.receivesNothing()
  // What is left is what came last, without a gap.
  const left = await readArchive(phone)
  const said = [...meanwhile, 'after']
  assert.equal(bodiesOf(left), said.slice(said.length - left.length).join(' '))
  for (const { id, body } of left) assert.equal(id, given.get(body ?? ''))
  assert.ok(!bodiesOf(left).includes('before'))
  phone.acks()
  await isStored(told, phone, left.length)
  assert.doesNotMatch((await stored(told, phone.bare)).join('\n'), /before-/)
  assert.equal((await stored(told, romeo.bare)).length, before.length + said.length, 'what the other has stays')
})

story('deleted history that waits is delivered, and gone from the store then', async (told) => {
  const { client } = told
  const romeo = await speaker(told, 'romeo')
  const phone = await client('juliet', 'phone')
  await romeo.sends(chat(phone.bare, 'secret'))
  await romeo.isAcknowledged()
  await deletesHistory(phone)
  assert.deepEqual(
    await readArchive(romeo)
      .then(ids)
      .then((all) => all.length),
    1,
  )
  await phone.disconnects()
  const laptop = await client('juliet', 'laptop')
  assert.deepEqual(await comes(laptop, 1), ['secret'])
  laptop.acks()
  await isStored(told, laptop, 0)
  await deletesHistory(romeo)
  const rows = await told.stores.database.query<{ payload: Uint8Array }>('select payload from entry')
  assert.doesNotMatch(rows.map(({ payload }) => text(payload)).join('\n'), new RegExp(`secret.*${phone.bare}`))
  assert.deepEqual(await stored(told, romeo.bare), [])
})

story(
  'with the archive switched off nothing is archived, and all is delivered as before',
  async (told) => {
    const { client, domain } = told
    const romeo = await speaker(told, 'romeo')
    const laptop = await client('romeo', 'laptop')
    const phone = await client('juliet', 'phone')
    await laptop.isAvailable()
    await copies(laptop)
    await romeo.sends(chat(phone.bare, 'm1'))
    await romeo.isAcknowledged()
    const copied = inside(await laptop.receivesAny(), 'sent', 'forwarded', 'message')
    assert.ok(copied !== undefined)
    assert.doesNotMatch(write(copied), /stanza-id/)
    await phone.enablesAcks()
    await phone.isAvailable()
    const waited = await phone.receives(`
      <message from='${romeo.jid}' to='${phone.bare}' type='chat' id='m1'>
        <body>m1</body><delay xmlns='urn:xmpp:delay' from='{any}' stamp='{any}'/>
      </message>`)
    assert.doesNotMatch(write(waited), /stanza-id/)
    await romeo.sends(chat(phone.bare, 'm2'))
    const live = await phone.receives(
      `<message from='${romeo.jid}' to='${phone.bare}' type='chat' id='m2'><body>m2</body></message>`,
    )
    assert.doesNotMatch(write(live), /stanza-id/)
    assert.equal(inside(await laptop.receivesAny(), 'sent', 'forwarded', 'message')?.attrs.id, 'm2')
    phone.acks()
    for (const one of [romeo, phone]) await isStored(told, one, 0)
    for (const payload of [`<query xmlns='${MAM}'/>`, prefs('always')]) {
      await phone.sends(`<iq type='set' id='q1'>${payload}</iq>`)
      await phone.receives(bounce('iq', { id: 'q1', from: phone.bare, to: phone.jid }, 'cancel', 'service-unavailable'))
    }
    for (const to of [phone.bare, domain]) {
      const info = write(await phone.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, to))
      assert.doesNotMatch(info, /urn:xmpp:mam|urn:xmpp:message-retract/)
    }
    const commands = `<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>`
    assert.doesNotMatch(write(await phone.asks('get', commands, phone.bare)), /delete-history/)
  },
  { config: { features: { archive: false } } },
)
