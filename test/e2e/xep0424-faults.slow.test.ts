import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { Client } from 'pg'
import { connectAdmin } from '../../src/http/admin-client.ts'
import { readArchive } from '../helpers/archive-reader.ts'
import { stored } from '../helpers/fault-stores.ts'
import { write } from '../helpers/match-element.ts'
import { ServerProcess } from '../helpers/server-process.ts'
import { PASSWORD } from '../helpers/story.ts'
import { withPostgres } from '../helpers/test-database.ts'
import { XmppClient } from '../helpers/xmpp-client.ts'

const RETRACT = 'urn:xmpp:message-retract:1'
const FORBID = {
  sqlite: `create trigger no_tombstone before update of payload on entry begin select raise(abort, 'not now'); end`,
  postgres: `
    create function no_tombstone() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
    create trigger no_tombstone before update of payload on entry for each row execute function no_tombstone()`,
}
const ALLOW = { sqlite: 'drop trigger no_tombstone', postgres: 'drop function no_tombstone cascade' }

/** Runs a script on the store of a server that is down. */
async function script({ databaseUrl, folder }: ServerProcess, texts: typeof FORBID): Promise<void> {
  if (databaseUrl === undefined) {
    const database = new DatabaseSync(join(folder, 'data/fernruf.db'))
    database.exec(texts.sqlite)
    database.close()
    return
  }
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(texts.postgres)
  await client.end()
}

/**
 * What is acknowledged stays taken back: the server is killed when the retractions are committed and their tombstones are not, since
 * the store refuses to change a payload until then.
 */
async function staysRetracted(t: TestContext, databaseUrl?: string): Promise<void> {
  const server = await ServerProcess.prepare({ databaseUrl, config: { log: { level: 'warn' } } })
  t.after(() => server.remove())
  await server.start()
  const admin = await connectAdmin(join(server.folder, 'data'))
  for (const person of ['romeo', 'juliet', 'nurse']) await admin?.addAccount(`${person}@${server.domain}`, PASSWORD)
  await server.end()
  await script(server, FORBID)
  await server.start()
  const device = async (username: string): Promise<XmppClient> => {
    const client = new XmppClient({
      port: server.directTlsPort,
      domain: server.domain,
      directTls: true,
      login: { username, password: PASSWORD },
      resource: 'phone',
    })
    await client.connects()
    t.after(() => client.drops())
    return client
  }
  const juliet = `juliet@${server.domain}`
  const [nurse, romeo] = [await device('nurse'), await device('romeo')]
  for (const one of [nurse, romeo]) await one.enablesAcks()
  await nurse.isAvailable()
  await romeo.sends(`<message to='${juliet}' type='chat' id='m1'><body>said in haste</body></message>`)
  await romeo.sends(`<message to='${nurse.bare}' type='chat' id='m1'><body>said in haste</body></message>`)
  await romeo.isAcknowledged()
  await nurse.receivesAny()
  // Whoever archives nothing any more still has what was archived; what is in no archive is given at once.
  for (const one of [nurse, romeo])
    await one.asks('set', `<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/></prefs>`)
  for (const to of [juliet, nurse.bare])
    await romeo.sends(`<message to='${to}' type='chat' id='r1'><retract xmlns='${RETRACT}' id='m1'/></message>`)
  await romeo.sends(`<message to='${juliet}' type='chat' id='m1'><body>the same id again</body></message>`)
  await romeo.isAcknowledged()
  await server.end('SIGKILL')
  const left = (await stored(server, 0)).filter(({ xml }) => xml.includes('said in haste'))
  assert.equal(left.length, 2, 'the tombstones were not committed')
  await script(server, ALLOW)
  await server.start()
  for (const person of ['juliet', 'romeo', 'nurse']) {
    const archive = (await readArchive(await device(person))).map(({ message }) => write(message))
    const buried = archive.filter((xml) => xml.includes(`<retracted xmlns='${RETRACT}' id='r1'`))
    assert.equal(buried.length, person === 'romeo' ? 2 : 1, `${person}: ${archive.join('\n')}`)
    assert.ok(!archive.some((xml) => xml.includes('said in haste')), person)
    // What came after the retraction is not what it is about.
    assert.equal(
      archive.some((xml) => xml.includes('the same id again')),
      person === 'juliet',
      person,
    )
  }
  await server.end()
  assert.ok(!(await stored(server, 0)).some(({ xml }) => xml.includes('said in haste')))
}

test('a retraction that was acknowledged is done after a kill, on the embedded store', { timeout: 120_000 }, (t) =>
  staysRetracted(t),
)
withPostgres('a retraction that was acknowledged is done after a kill', (url, t) => staysRetracted(t, url))
