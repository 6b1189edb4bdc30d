import assert from 'node:assert/strict'
import type { BareJid } from '../../src/xmpp/jid.ts'
import { readPage } from '../helpers/archive-reader.ts'
import { type Story, story } from '../helpers/story.ts'

/** Nobody is told that an inbox is full whose messages were taken where this node does not see it. */

const MAX = 6
const small = { config: { limits: { inbox: { open_entries: MAX } } } } as const
const sent = (to: string, id: string): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`
async function isTaken({ stores }: Story, jid: string): Promise<void> {
  const account = await stores.accounts.find(jid as BareJid)
  const until = Date.now() + 20_000
  while ((await stores.inbox.waiting(account?.id ?? 0)).entries > 0) assert.ok(Date.now() < until, 'nobody took it')
}

story(
  'messages that are taken on another node make room here',
  async (told) => {
    const romeo = await told.client('romeo', 'garden', { server: 0 })
    const phone = await told.client('juliet', 'phone', { server: 1 })
    await phone.enablesAcks()
    await phone.isAvailable()
    for (let i = 0; i < 2 * MAX + 3; i++) {
      await romeo.sends(sent(phone.bare, `m${i}`))
      assert.equal((await phone.receivesAny()).attrs.id, `m${i}`)
      phone.acks()
      await isTaken(told, phone.bare)
    }
    await romeo.receivesNothing()
  },
  { ...small, servers: 2 },
)

story(
  'so do those that are taken in pages of the archive',
  async (told) => {
    const romeo = await told.client('romeo', 'garden')
    const phone = await told.client('juliet', 'phone')
    await phone.enablesAcks()
    await readPage(phone)
    for (let i = 0; i < 2 * MAX + 3; i++) {
      await romeo.sends(sent(phone.bare, `m${i}`))
      await romeo.receivesNothing()
      await readPage(phone, '<max>1</max><before/>')
      phone.acks()
      await isTaken(told, phone.bare)
    }
  },
  small,
)
