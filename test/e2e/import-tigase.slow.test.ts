import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { PhoneKey } from '../helpers/bridge-certificate.ts'
import { shown } from '../helpers/kontalk-phone.ts'
import { LoginRefused } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { ServerProcess } from '../helpers/server-process.ts'
import { withPostgres } from '../helpers/test-database.ts'
import { mysqlDump, postgresDump } from '../helpers/tigase-dump.ts'
import { tigaseSample } from '../helpers/tigase-sample.ts'
import { XmppClient } from '../helpers/xmpp-client.ts'

const NS_ROSTER = 'jabber:iq:roster'

async function fernruf(server: ServerProcess, ...args: readonly string[]): Promise<{ code: number; said: string }> {
  const main = join(import.meta.dirname, '../../src/main.ts')
  const child = spawn(process.execPath, [main, ...args, '--config', server.configFile])
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  const [code] = (await once(child, 'close')) as [number]
  return { code, said }
}

/** A server of Kontalk's moves to this one, over the command line; then its people log in with the keys on their phones. */
async function moves(t: TestContext, form: 'mysql' | 'postgres', databaseUrl: string | undefined): Promise<void> {
  const sample = await tigaseSample('localhost')
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-move-'))
  const server = await ServerProcess.prepare({ databaseUrl })
  t.after(async () => {
    await server.remove()
    await rm(folder, { recursive: true })
  })
  const dump = join(folder, 'dump.sql')
  const rings = join(folder, 'keys.gpg')
  await writeFile(dump, form === 'mysql' ? mysqlDump(sample.tables) : postgresDump(sample.tables))
  await writeFile(rings, Buffer.concat([sample.keys.romeo.ring, sample.keys.juliet.ring]))
  if (databaseUrl !== undefined) assert.equal((await fernruf(server, 'key', 'init')).code, 0)

  const takes = () => fernruf(server, 'account', 'import', dump, '--from', 'tigase-kontalk', '--keys', rings)
  const first = await takes()
  assert.equal(first.code, 0, first.said)
  assert.match(first.said, /^ +4 {2}accounts$/m)
  assert.match(first.said, /^ +3 {2}waiting messages$/m)
  assert.match(first.said, /^ +1 {2}users of domains that are not served here \(5\)$/m)
  for (const secret of [sample.romeo.split('@')[0] ?? '', 'It is the east']) assert.ok(!first.said.includes(secret))
  const again = await takes()
  assert.doesNotMatch(again.said, /waiting messages$/m)

  await server.start()
  assert.match((await takes()).said, /stop it first/)
  const client = (key: PhoneKey, resource: string): XmppClient =>
    new XmppClient({
      port: server.port,
      domain: 'localhost',
      ...shown(key),
      login: { username: 'nobody', password: '', mechanism: 'EXTERNAL' },
      resource,
      hearsPresence: true,
      manualAcks: false,
      others: () => [],
    })
  const phone = client(sample.keys.juliet, 'phone')
  await phone.connects()
  assert.equal(phone.bare, sample.juliet)
  const roster = write(await phone.asks('get', `<query xmlns='${NS_ROSTER}'/>`))
  assert.match(roster, new RegExp(`<item [^>]*jid='${sample.romeo}'`))
  assert.match(roster, /subscription='both'/)
  assert.doesNotMatch(roster, /paris/)
  await phone.connection.write('<presence/>')
  const heard: string[] = []
  while (!/'m8'/.test(heard.join()) || !/paris/.test(heard.join())) heard.push(write(await phone.receivesAny()))
  const said = heard.join('\n')
  assert.match(
    said,
    /<presence [^>]*from='paris@elsewhere.example'[^>]*type='subscribe'|<presence [^>]*type='subscribe'[^>]*from='paris@elsewhere.example'/,
  )
  const messages = heard.filter((xml) => xml.startsWith('<message'))
  assert.equal(messages.length, 3)
  assert.match(messages[0] ?? '', /It is the east, &amp; Juliet is the sun! 🙂.*stamp='2026-11-20T08:07:06.500Z'/)
  assert.match(messages[1] ?? '', /tis \\ time/)
  assert.equal((messages[0] ?? '').split('<delay').length, 2, 'one delay')
  const other = client(sample.keys.romeo, 'phone')
  await other.connects()
  assert.equal(other.bare, sample.romeo)
  await assert.rejects(client(sample.keys.stranger, 'phone').connects(), LoginRefused)
  phone.drops()
  other.drops()
  await server.end()
}

test('a server of Kontalk’s on MySQL moves to the embedded store', (t) => moves(t, 'mysql', undefined))
test('one on PostgreSQL does too', (t) => moves(t, 'postgres', undefined))
withPostgres('both move to PostgreSQL: MySQL’s', (url, t) => moves(t, 'mysql', url))
withPostgres('both move to PostgreSQL: PostgreSQL’s', (url, t) => moves(t, 'postgres', url))
