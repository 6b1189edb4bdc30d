import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { parse, UsageError } from '../../src/cli/args.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { loadConfig } from '../../src/config/load.ts'
import { AdminError } from '../../src/contract/admin.ts'
import { FEATURES } from '../../src/features/index.ts'
import { startServer } from '../../src/server.ts'
import { openStores } from '../../src/storage/open.ts'
import { archiveSaid } from '../helpers/archive-samples.ts'
import { createAccount } from '../helpers/store-samples.ts'

const ALICE = 'alice@localhost'
const HOUR = 3_600_000

/** A config with an embedded store in which Alice has three messages, an hour apart. */
async function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-history-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'fernruf.yaml')
  const config = {
    domain: 'localhost',
    environment: 'development',
    data_dir: join(folder, 'data'),
    c2s: { starttls: ['127.0.0.1:0'], direct_tls: ['127.0.0.1:0'] },
    http: { ops: { listen: '127.0.0.1:0' } },
    log: { level: 'error' },
  }
  writeFileSync(file, JSON.stringify(config))
  const at = Date.now() - 3 * HOUR
  const stores = await openStores({ databaseUrl: undefined, dataDir: config.data_dir })
  await stores.migrate()
  await createAccount(stores, ALICE)
  const times = [0, 1, 2].map((hours) => at + hours * HOUR)
  await archiveSaid(
    stores,
    ALICE,
    times.map((time, i) => ({ from: 'bob@localhost/a', to: ALICE, body: String(i), at: time })),
  )
  await stores.close()
  const types = async (...typed: readonly string[]): Promise<readonly string[]> => {
    const printed: string[] = []
    const { command, positionals, options } = parse(COMMANDS, [...typed, '--config', file])
    const code = await command.run({
      positionals,
      options,
      env: {},
      print: (line) => void printed.push(line),
      complain: (line) => void printed.push(line),
    })
    assert.equal(code, 0)
    return printed
  }
  return { file, types, iso: times.map((time) => new Date(time).toISOString()) }
}
type World = Awaited<ReturnType<typeof setUp>>

async function shownAndDeleted({ types, iso }: World): Promise<void> {
  assert.deepEqual(await types('account', 'history', ALICE), [
    ALICE,
    '  messages  3',
    `  oldest    ${iso[0]}`,
    `  newest    ${iso[2]}`,
  ])
  assert.deepEqual(await types('account', 'history', ALICE, '--delete', '--before', '2000-01-01'), [
    `${ALICE} 0 messages deleted`,
  ])
  assert.deepEqual(await types('account', 'history', ALICE, '--delete', '--before', iso[1] ?? ''), [
    `${ALICE} 1 messages deleted`,
  ])
  assert.deepEqual((await types('account', 'history', ALICE))[2], `  oldest    ${iso[1]}`)
  assert.deepEqual(await types('account', 'history', ALICE, '--delete'), [`${ALICE} 2 messages deleted`])
  assert.deepEqual(await types('account', 'history', ALICE), [ALICE, '  messages  0'])
}

test('fernruf account history shows and deletes, without a server', async (t) => {
  const world = await setUp(t)
  await shownAndDeleted(world)
  await assert.rejects(
    world.types('account', 'history', 'nobody@localhost', '--delete'),
    (error) => error instanceof AdminError && error.fault === 'not-found',
  )
  for (const wrong of [
    ['--before', '2000-01-01'],
    ['--delete', '--before', 'yesterday'],
    ['--delete', '--before', ''],
  ])
    await assert.rejects(world.types('account', 'history', ALICE, ...wrong), UsageError)
})

test('and through the running server', async (t) => {
  const world = await setUp(t)
  const server = await startServer(loadConfig(world.file, {}, FEATURES), { log: { write: () => undefined } })
  t.after(() => server.close())
  await shownAndDeleted(world)
})

test('what is older than inbox.retention, or over limits.archive, goes when the server starts', {
  timeout: 60_000,
}, async (t) => {
  const world = await setUp(t)
  const config = loadConfig(world.file, { FERNRUF_LIMITS__ARCHIVE__ENTRIES: '2' }, FEATURES)
  const server = await startServer(config, { log: { write: () => undefined } })
  const shown = () => server.admin.showHistory(ALICE)
  while ((await shown()).messages > 2);
  assert.equal(new Date((await shown()).oldest ?? 0).toISOString(), world.iso[1])
  await server.close()
  const later = loadConfig(world.file, { FERNRUF_INBOX__RETENTION: '1ms' }, FEATURES)
  const again = await startServer(later, { log: { write: () => undefined } })
  t.after(() => again.close())
  while ((await again.admin.showHistory(ALICE)).messages > 0);
})
