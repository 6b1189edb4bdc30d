import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { NS_SM } from '../helpers/login.ts'
import { type Story, type StoryOptions, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** DESIGN.md section 5: what one device took still reaches another that was there and is behind, once and in order. */

const COUNT = 60
/** In no archive: what is left of it in the log is there for a device. */
const UNARCHIVED = `<no-permanent-store xmlns='urn:xmpp:hints'/>`
const sent = (to: string, id: string, size = 0, hint = UNARCHIVED): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${'x'.repeat(size) || id}</body>${hint}</message>`
const names = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `m${from + i}`)

/** Ids of the next messages, until the last of them is this one; meanwhile `then` sees everything that comes. */
async function hears(
  device: XmppClient,
  last: string,
  then: (e: Element) => void = () => undefined,
): Promise<string[]> {
  const ids: string[] = []
  while (ids.at(-1) !== last) {
    const e = await device.receivesAny()
    then(e)
    if (e.name === 'message') ids.push(e.attrs.id ?? '')
  }
  return ids
}
/** Sends messages of which all are safe when it is over: taken, or committed. */
async function sendAll(
  from: XmppClient,
  to: string,
  ids: readonly string[],
  other: { readonly size?: number; readonly hint?: string } = {},
): Promise<void> {
  for (const id of ids) await from.sends(sent(to, id, other.size, other.hint))
  await from.isAcknowledged()
}
/** The account's rows that no archive needs are gone in the end. Each look is a round trip to server and store. */
async function nothingLingers({ stores }: Story, account: string, witness: XmppClient): Promise<void> {
  const left = async () => {
    const rows = await stores.database.query<{ id: number; lingers: number | null }>(
      `select e.id, l.lingers from account a join log l on l.account_id = a.id
       left join entry e on e.account_id = a.id and e.archived = 0
       where a.jid = $1 and (e.id is not null or l.lingers is not null)`,
      [account],
    )
    return rows.length
  }
  const until = Date.now() + 20_000
  let rows = await left()
  while (rows > 0) {
    assert.ok(Date.now() < until, `${rows} entries are left`)
    await witness.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, witness.domain)
    rows = await left()
  }
}
/** Sender, the device that takes, the one that is behind; on two servers these two are on different ones. */
async function three({ client }: Story, slow: { readonly manualAcks?: boolean } = {}) {
  const romeo = await client('romeo', 'garden')
  const quick = await client('juliet', 'quick', { server: 0 })
  const behind = await client('juliet', 'behind', { server: 1, ...slow })
  await romeo.enablesAcks()
  await quick.enablesAcks({ resume: true })
  await quick.isAvailable()
  await behind.enablesAcks({ resume: true })
  await behind.isAvailable()
  return { romeo, quick, behind, juliet: quick.bare }
}

const FEW = { config: { limits: { session: { unacknowledged: 5 } } } } as const satisfies StoryOptions

story(
  'a device that acknowledges nothing for a while gets all that its sibling took meanwhile, once and in order',
  async (tell) => {
    const { romeo, quick, behind, juliet } = await three(tell, { manualAcks: true })
    await sendAll(romeo, juliet, names(0, COUNT))
    assert.deepEqual(await hears(quick, `m${COUNT - 1}`), names(0, COUNT))
    quick.acks()
    await quick.receivesNothing()
    // It confirms each page only when it was asked about.
    const heard = await hears(behind, `m${COUNT - 1}`, (e) => {
      if (e.ns === NS_SM && e.name === 'r') behind.acks()
    })
    assert.deepEqual(heard, names(0, COUNT))
    behind.acks()
    await sendAll(romeo, juliet, ['after'])
    assert.deepEqual(await hears(quick, 'after'), ['after'])
    assert.deepEqual(await hears(behind, 'after'), ['after'])
    quick.acks()
    behind.acks()
    await nothingLingers(tell, juliet, romeo)
  },
  FEW,
)

story(
  'a device that does not read its socket gets all that its sibling took meanwhile, once and in order',
  async (tell) => {
    const { romeo, quick, behind, juliet } = await three(tell)
    behind.connection.pause()
    // More than the system keeps for a socket that is not read.
    await sendAll(romeo, juliet, names(0, COUNT), { size: 100_000 })
    assert.deepEqual(await hears(quick, `m${COUNT - 1}`), names(0, COUNT))
    quick.acks()
    behind.connection.resume()
    assert.deepEqual(await hears(behind, `m${COUNT - 1}`), names(0, COUNT))
    await behind.receivesNothing()
    behind.acks()
    await nothingLingers(tell, juliet, romeo)
  },
  { config: { limits: { stream: { out_queue: '16KiB' } } } },
)

for (const [which, hint] of [
  ['archived', ''],
  ['unarchived', UNARCHIVED],
] as const)
  story(
    `a device that lost its connection gets all ${which} messages that its sibling took meanwhile, when it resumes`,
    async (tell) => {
      const { romeo, quick, behind, juliet } = await three(tell)
      await sendAll(romeo, juliet, names(0, 3), { hint })
      assert.deepEqual(await hears(behind, 'm2'), names(0, 3))
      behind.acks()
      behind.drops()
      await sendAll(romeo, juliet, names(3, COUNT), { hint })
      assert.deepEqual(await hears(quick, `m${COUNT - 1}`), names(0, COUNT))
      quick.acks()
      await quick.receivesNothing()
      assert.equal((await behind.resumes()).name, 'resumed')
      assert.deepEqual(await hears(behind, `m${COUNT - 1}`), names(3, COUNT))
      await behind.receivesNothing()
      behind.acks()
      await nothingLingers(tell, juliet, romeo)
    },
  )

story(
  'a device that is lost again and again while it reads loses nothing and gets nothing twice',
  async (tell) => {
    const { romeo, quick, behind, juliet } = await three(tell, { manualAcks: true })
    behind.drops()
    await sendAll(romeo, juliet, names(0, COUNT))
    assert.deepEqual(await hears(quick, `m${COUNT - 1}`), names(0, COUNT))
    quick.acks()
    await quick.receivesNothing()
    const heard: string[] = []
    while (heard.length < COUNT) {
      // What it has handled it tells by `h`; the rest comes again.
      assert.equal((await behind.resumes()).name, 'resumed')
      heard.push(
        ...(await hears(behind, `m${Math.min(heard.length + 7, COUNT) - 1}`, (e) => {
          if (e.ns === NS_SM && e.name === 'r') behind.acks()
        })),
      )
      if (heard.length < COUNT) behind.drops()
    }
    assert.deepEqual(heard, names(0, COUNT))
    behind.acks()
    await sendAll(romeo, juliet, ['after'])
    assert.deepEqual(await hears(behind, 'after'), ['after'])
    assert.deepEqual(await hears(quick, 'after'), ['after'])
    behind.acks()
    quick.acks()
    await nothingLingers(tell, juliet, romeo)
  },
  FEW,
)

story(
  'what was kept for a device that never came back goes when its time is over',
  async (tell) => {
    const { romeo, quick, behind, juliet } = await three(tell)
    behind.drops()
    await sendAll(romeo, juliet, names(0, 10))
    assert.deepEqual(await hears(quick, 'm9'), names(0, 10))
    quick.acks()
    await quick.receivesNothing()
    await nothingLingers(tell, juliet, romeo)
    const late = await tell.client('juliet', 'late')
    await late.isAvailable()
    await late.receivesNothing()
  },
  { config: { limits: { session: { resume_time: '2s' } } } },
)

story(
  'what was for a device alone that ended without having read it goes to its sibling',
  async (tell) => {
    const { romeo, quick, behind, juliet } = await three(tell, { manualAcks: true })
    await sendAll(romeo, juliet, names(0, 8))
    assert.deepEqual(await hears(quick, 'm7'), names(0, 8))
    quick.acks()
    // It is behind by now: this one waits in the log for it alone.
    await sendAll(romeo, behind.jid, ['alone'])
    await quick.receivesNothing()
    await behind.disconnects()
    assert.deepEqual(await hears(quick, 'alone'), ['alone'])
    quick.acks()
    await quick.receivesNothing()
    await nothingLingers(tell, juliet, romeo)
  },
  FEW,
)
