import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BareJid } from '../../src/xmpp/jid.ts'
import { bodiesOf, readArchive } from '../helpers/archive-reader.ts'
import { PASSWORD } from '../helpers/story.ts'
import { withStores } from '../helpers/test-database.ts'
import { type ServerSettings, startTestServers, type TestServers } from '../helpers/test-server.ts'
import { XmppClient } from '../helpers/xmpp-client.ts'

const UNARCHIVED = `<no-permanent-store xmlns='urn:xmpp:hints'/>`
const sent = (to: string, id: string, more = ''): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body>${more}</message>`

withStores('what has waited longer than inbox.open_for is delivered no more', async (stores, t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-open-for-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const secret = join(folder, 'secret')
  writeFileSync(secret, randomBytes(48).toString('base64url'))
  /** One run of the server on these stores. */
  async function run(
    settings: ServerSettings,
    tell: (device: (person: string) => Promise<XmppClient>, servers: TestServers) => Promise<void>,
  ) {
    const servers = await startTestServers(1, { ...settings, secret_file: secret }, stores)
    const clients: XmppClient[] = []
    try {
      await tell(async (username) => {
        const client = new XmppClient({
          port: servers.servers[0]?.directTlsPort ?? 0,
          domain: servers.domain,
          directTls: true,
          login: { username, password: PASSWORD },
          resource: 'phone',
          others: () => clients,
        })
        clients.push(client)
        await client.connects()
        await client.enablesAcks()
        return client
      }, servers)
    } finally {
      for (const client of clients) client.drops()
      await servers.stop()
    }
  }

  await run({}, async (device, servers) => {
    for (const person of ['romeo', 'juliet', 'nurse']) await servers.addAccount(person, PASSWORD)
    const romeo = await device('romeo')
    for (const to of [`juliet@${servers.domain}`, `nurse@${servers.domain}`])
      for (const message of [sent(to, 'm1'), sent(to, 'm2', UNARCHIVED)]) await romeo.sends(message)
    await romeo.isAcknowledged()
  })
  await run({}, async (device) => {
    const nurse = await device('nurse')
    await nurse.isAvailable()
    for (const id of ['m1', 'm2']) assert.equal((await nurse.receivesAny()).attrs.id, id)
  })
  await run({ inbox: { open_for: '1ms' } }, async (device, { domain }) => {
    const account = await stores.accounts.find(`juliet@${domain}` as BareJid)
    const until = Date.now() + 20_000
    while ((await stores.inbox.waiting(account?.id ?? 0)).entries > 0) assert.ok(Date.now() < until, 'it still waits')
    const romeo = await device('romeo')
    const juliet = await device('juliet')
    await juliet.isAvailable()
    await juliet.receivesNothing()
    assert.equal(bodiesOf(await readArchive(juliet)), 'm1', 'its time is over, not that of the archive')
    const rows = await stores.database.query('select id from entry where account_id = $1', [account?.id ?? 0])
    assert.equal(rows.length, 1, 'what no archive has is gone')
    await romeo.sends(sent(juliet.bare, 'm3'))
    assert.equal((await juliet.receivesAny()).attrs.id, 'm3')
  })
})
