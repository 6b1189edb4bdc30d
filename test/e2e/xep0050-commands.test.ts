import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { ALL, archiveSaid } from '../helpers/archive-samples.ts'
import { bounce, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS = 'http://jabber.org/protocol/commands'
const ITEMS = 'http://jabber.org/protocol/disco#items'
const INFO = 'http://jabber.org/protocol/disco#info'
const NODE = 'delete-history'
const commandIn = (iq: Element): Element => iq.children.find((c): c is Element => typeof c !== 'string') as Element

story('commands are found where clients look for them', async ({ client, domain }) => {
  const juliet = await client('juliet', 'phone')
  for (const to of [juliet.bare, domain]) {
    await juliet.sends(`<iq type='get' id='i1' to='${to}'><query xmlns='${ITEMS}' node='${NS}'/></iq>`)
    await juliet.receives(`
      <iq type='result' id='i1' from='${to}' to='${juliet.jid}'><query xmlns='${ITEMS}' node='${NS}'>
        {...}<item jid='${to}' node='${NODE}' name='Delete my history'/>
      </query></iq>`)
    await juliet.sends(`<iq type='get' id='i2' to='${to}'><query xmlns='${INFO}' node='${NODE}'/></iq>`)
    await juliet.receives(`
      <iq type='result' id='i2' from='${to}' to='${juliet.jid}'><query xmlns='${INFO}' node='${NODE}'>
        <identity category='automation' type='command-node' name='Delete my history'/>
        <feature var='${NS}'/><feature var='jabber:x:data'/>
      </query></iq>`)
  }
  const romeo = await client('romeo', 'orchard')
  await romeo.sends(`<iq type='set' id='x1' to='${juliet.bare}'><command xmlns='${NS}' node='${NODE}'/></iq>`)
  await romeo.receives(bounce('iq', { id: 'x1', from: juliet.bare, to: romeo.jid }, 'cancel', 'service-unavailable'))
})

/** Runs the command with these fields; the note it ends with. */
async function deletes(client: XmppClient, fields: Readonly<Record<string, string>>): Promise<string> {
  const asked = commandIn(await client.asks('set', `<command xmlns='${NS}' node='${NODE}' action='execute'/>`))
  assert.equal(asked.attrs.status, 'executing')
  const filled = Object.entries(fields).map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
  const done = await client.asks(
    'set',
    `<command xmlns='${NS}' node='${NODE}' sessionid='${asked.attrs.sessionid}' action='complete'>
       <x xmlns='jabber:x:data' type='submit'>${filled.join('')}</x></command>`,
  )
  if (done.attrs.type === 'error') return 'error'
  const [note] = commandIn(done).children as readonly Element[]
  return `${note?.attrs.type}: ${note?.children.join('')}`
}
async function conversations({ stores, account, client }: Story) {
  const [juliet, romeo, nurse] = await Promise.all([account('juliet'), account('romeo'), account('nurse')])
  const day = 86_400_000
  const at = Date.now() - day / 2
  await archiveSaid(stores, juliet, [
    { from: `${romeo}/a`, to: juliet, body: '1', at },
    { from: `${juliet}/b`, to: nurse, body: '2', at },
    { from: `${romeo}/a`, to: juliet, body: '3', at: at + 3_600_000 },
  ])
  await archiveSaid(stores, romeo, [{ from: `${romeo}/a`, to: juliet, body: '1', at }])
  const left = async (of: string): Promise<number> => {
    const owner = await stores.accounts.find(of as never)
    return (await stores.archive.page(owner?.id ?? 0, {}, ALL)).entries.length
  }
  return { juliet, romeo, left, phone: await client('juliet', 'phone'), later: new Date(at + 1_000).toISOString() }
}

story('an owner deletes one conversation, what is old, or all; nothing without saying yes', async (tell) => {
  const { juliet, romeo, left, phone, later } = await conversations(tell)
  const yes = { confirm: 'true' }
  assert.equal(await deletes(phone, {}), 'warn: Nothing was deleted.')
  assert.equal(await deletes(phone, { confirm: '0' }), 'warn: Nothing was deleted.')
  assert.equal(await deletes(phone, { ...yes, with: '@' }), 'error')
  assert.equal(await deletes(phone, { ...yes, before: 'yesterday' }), 'error')
  assert.equal(await left(juliet), 3)
  assert.equal(
    await deletes(phone, { ...yes, with: romeo, before: later }),
    'info: 1 messages were deleted from the archive.',
  )
  assert.equal(await left(juliet), 2)
  assert.equal(
    await deletes(phone, { ...yes, before: '2000-01-01' }),
    'info: 0 messages were deleted from the archive.',
  )
  assert.equal(
    await deletes(phone, { ...yes, with: '', before: '' }),
    'info: 2 messages were deleted from the archive.',
  )
  assert.equal(await left(juliet), 0)
  assert.equal(await left(romeo), 1, 'what others have of it is theirs')
})

story('what still waits for a device is delivered, and gone then', async (tell) => {
  const { stores, account, client } = tell
  const [juliet, romeo] = [await account('juliet'), await account('romeo')]
  await archiveSaid(stores, juliet, [{ from: `${romeo}/a`, to: juliet, body: 'wait', id: 'w1' }], { wanted: true })
  const phone = await client('juliet', 'phone')
  await phone.enablesAcks()
  assert.equal(await deletes(phone, { confirm: '1' }), 'info: 1 messages were deleted from the archive.')
  await phone.isAvailable()
  assert.equal((await phone.receivesAny()).attrs.id, 'w1')
  phone.acks()
  await phone.receivesNothing()
  const laptop = await client('juliet', 'laptop')
  await laptop.isAvailable()
  await laptop.receivesNothing()
})
