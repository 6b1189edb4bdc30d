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
import { openAdmin, type RunningServer, startServer } from '../../src/server.ts'
import { openStores } from '../../src/storage/open.ts'
import { PASSWORD } from '../helpers/story.ts'

const ALICE = 'alice@localhost'

/** An embedded store with Alice's account, and a config for it. */
async function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-delivery-'))
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
  const load = (environment: Readonly<Record<string, string>> = {}) => loadConfig(file, environment, FEATURES)
  const stores = await openStores({ databaseUrl: undefined, dataDir: config.data_dir })
  await stores.migrate()
  await stores.close()
  const admin = await openAdmin(load())
  await admin.addAccount(ALICE, PASSWORD)
  await admin.close()
  return {
    start: async (environment: Readonly<Record<string, string>> = {}): Promise<RunningServer> => {
      const server = await startServer(load(environment), { log: { write: () => undefined } })
      t.after(() => server.close())
      return server
    },
    /** What the program prints. */
    types: async (...typed: readonly string[]): Promise<readonly string[]> => {
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
    },
  }
}
type World = Awaited<ReturnType<typeof setUp>>

async function policyIsSet({ types }: World): Promise<void> {
  const shown = async () => (await types('account', 'show', ALICE)).find((line) => line.includes('delivery'))?.trim()
  assert.equal(await shown(), 'delivery  as the domain')
  for (const policy of ['every-device', 'exclusive', 'first-come']) {
    assert.deepEqual(await types('account', 'delivery', ALICE, policy), [`${ALICE} has the policy ${policy}`])
    assert.equal(await shown(), `delivery  ${policy}`)
  }
  await types('account', 'delivery', ALICE, 'default')
  assert.equal(await shown(), 'delivery  as the domain')
  for (const wrong of [['each-device'], []])
    await assert.rejects(types('account', 'delivery', ALICE, ...wrong), UsageError)
  await assert.rejects(
    types('account', 'delivery', 'nobody@localhost', 'exclusive'),
    (error) => error instanceof AdminError && error.fault === 'not-found',
  )
}

test('fernruf account delivery sets an account’s policy, without a server', async (t) => {
  await policyIsSet(await setUp(t))
})

test('and through the running server', async (t) => {
  const world = await setUp(t)
  await world.start()
  await policyIsSet(world)
})
