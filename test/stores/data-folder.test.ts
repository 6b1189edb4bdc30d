import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { openStores, type Stores } from '../../src/storage/open.ts'
import { StartError } from '../../src/util/start-error.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-data-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}
const open = (dataDir: string): Promise<Stores> => openStores({ databaseUrl: undefined, dataDir })
const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof StartError && pattern.test(error.message) && !error.message.includes('\n')

test('what was written is there after a restart; the folder is made when it is missing', async (t) => {
  const folder = join(await folderFor(t), 'new', 'data')
  const first = await open(folder)
  await first.migrate()
  await createAccount(first, 'alice@example.org')
  await first.close()
  const second = await open(folder)
  t.after(() => second.close())
  assert.deepEqual(await second.migrate(), [])
  assert.ok(await second.accounts.find(jid('alice@example.org')))
})

test('a folder is held by one instance, until that is closed', async (t) => {
  const folder = await folderFor(t)
  const first = await open(folder)
  await assert.rejects(open(folder), refusal(/in use by another instance/))
  await first.close()
  const second = await open(folder)
  await second.close()
})

test('a folder is held against other processes, and free when its holder is killed', async (t) => {
  const folder = await folderFor(t)
  const program = `import { openStores } from ${JSON.stringify(new URL('../../src/storage/open.ts', import.meta.url).href)}
    const stores = await openStores({ databaseUrl: undefined, dataDir: ${JSON.stringify(folder)} })
    await stores.migrate()
    console.log('open')`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => holder.kill('SIGKILL'))
  const [said] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])
  assert.equal(String(said), 'open\n')
  await assert.rejects(open(folder), refusal(/in use by another instance/))
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const after = await open(folder)
  t.after(() => after.close())
  assert.deepEqual(await after.migrate(), [])
})

test('a folder that cannot be made or written is one plain line', async (t) => {
  const folder = await folderFor(t)
  await writeFile(join(folder, 'file'), '')
  await assert.rejects(open(join(folder, 'file')), refusal(/cannot be made/))
  await assert.rejects(open(join(folder, 'file', 'below')), refusal(/cannot be made/))
  // A folder in which no file can be made, also for root.
  await assert.rejects(open('/proc/self/task'), refusal(/cannot be written/))
})

test('a file that is no database is one plain line, and the folder is let go', async (t) => {
  const folder = await folderFor(t)
  await writeFile(
    join(folder, 'fernruf.db'),
    'this is not a database, but it is long enough to be looked at'.repeat(50),
  )
  await assert.rejects(open(folder), refusal(/fernruf\.db cannot be opened/))
  await rm(join(folder, 'fernruf.db'))
  const stores = await open(folder)
  await stores.close()
  assert.deepEqual((await readdir(folder)).toSorted(), ['fernruf.db', 'lock'])
})
