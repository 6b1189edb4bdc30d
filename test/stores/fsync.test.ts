import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

const BATCHES = 50
const skip = spawnSync('strace', ['-V']).error === undefined ? false : 'strace is not installed'

/** Commits batches one after the other and tells on standard error, which strace sees, when each is answered. */
const program = (folder: string) => `
  import { writeSync } from 'node:fs'
  import { openStores } from ${JSON.stringify(new URL('../../src/storage/open.ts', import.meta.url).href)}
  import { batch, createAccount, entry } from ${JSON.stringify(new URL('../helpers/store-samples.ts', import.meta.url).href)}
  const stores = await openStores({ databaseUrl: undefined, dataDir: ${JSON.stringify(folder)} })
  await stores.migrate()
  const { id } = await createAccount(stores, 'alice@example.org')
  for (let i = 0; i < ${BATCHES}; i++) {
    writeSync(2, 'batch asked\\n')
    await stores.inbox.commit(batch([entry(id, 'one'), entry(id, 'two')]))
    writeSync(2, 'batch answered\\n')
  }
  await stores.close()`

test('each commit of the embedded store reaches the disk before it is answered', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-fsync-'))
  t.after(() => rm(folder, { recursive: true }))
  const trace = join(folder, 'trace')
  const command = [process.execPath, '--input-type=module', '-e', program(join(folder, 'data'))]
  await promisify(execFile)('strace', ['-f', '-y', '-e', 'trace=fsync,fdatasync,write', '-o', trace, ...command])

  let asked = false
  let synced = 0
  const syncs: number[] = []
  for (const line of (await readFile(trace, 'utf8')).split('\n')) {
    if (line.includes('"batch asked')) [asked, synced] = [true, 0]
    else if (asked && /\b(fsync|fdatasync)\(\d+<[^>]*fernruf\.db-wal>/.test(line)) synced++
    else if (line.includes('"batch answered')) {
      syncs.push(synced)
      asked = false
    }
  }
  assert.equal(syncs.length, BATCHES)
  assert.deepEqual(
    syncs.filter((count) => count === 0),
    [],
    'a batch was answered without a sync of the log',
  )
  t.diagnostic(`${syncs.reduce((sum, count) => sum + count, 0)} syncs of the write-ahead log for ${BATCHES} batches`)
})
