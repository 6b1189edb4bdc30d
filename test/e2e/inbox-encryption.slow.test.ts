import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { parse, UsageError } from '../../src/cli/args.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { loadConfig } from '../../src/config/load.ts'
import { AdminError } from '../../src/contract/admin.ts'
import { FEATURES } from '../../src/features/index.ts'
import { type RunningServer, startServer } from '../../src/server.ts'
import { openStores } from '../../src/storage/open.ts'
import { isSealed } from '../../src/util/seal.ts'
import { StartError } from '../../src/util/start-error.ts'
import { KeyFile, keyLine } from '../helpers/operator-keys.ts'
import { sealedStores } from '../helpers/sealed-stores.ts'
import { batch, createAccount, entry, jid, openOf } from '../helpers/store-samples.ts'
import { story } from '../helpers/story.ts'

const shared = new KeyFile({ after: (work) => after(work as () => void) })
const config = { inbox: { encryption: { key_file: shared.path } } }
const delay = `<delay xmlns='urn:xmpp:delay' from='{any}' stamp='{any}'/>`

story(
  'what waits is sealed, and comes as it was sent; one that was changed is told and passed over',
  async ({ client, account, stores, logged }) => {
    const romeo = await client('romeo', 'garden')
    const juliet = await account('juliet')
    await romeo.enablesAcks()
    for (let i = 0; i < 3; i++)
      await romeo.sends(`<message to='${juliet}' type='chat' id='m${i}'><body>Wherefore ${i}?</body></message>`)
    await romeo.receivesNothing()
    await romeo.isAcknowledged()
    const rows = await stores.database.query<{ id: number; payload: Uint8Array }>(
      `select e.id, e.payload from entry e join account a on a.id = e.account_id
       where a.jid = $1 order by e.id`,
      [juliet],
    )
    assert.equal(rows.length, 3)
    for (const { payload } of rows) {
      assert.ok(isSealed(payload))
      assert.ok(!Buffer.from(payload).includes('Wherefore'))
    }
    const [, changed] = rows
    assert.ok(changed)
    await stores.database.query('update entry set payload = $2 where id = $1', [
      changed.id,
      changed.payload.with(-1, (changed.payload.at(-1) ?? 0) ^ 1),
    ])
    const phone = await client('juliet', 'phone')
    await phone.isAvailable()
    for (const i of [0, 2])
      await phone.receives(
        `<message from='${romeo.jid}' to='${juliet}' type='chat' id='m${i}'><body>Wherefore ${i}?</body>{...}${delay}</message>`,
      )
    await romeo.sends(`<message to='${juliet}' type='chat' id='m3'><body>here</body></message>`)
    await phone.receives(
      `<message from='${romeo.jid}' to='${juliet}' type='chat' id='m3'><body>here</body>{...}</message>`,
    )
    await phone.receivesNothing()
    const told = logged.filter((line) => line.includes('sealed entry cannot be opened'))
    assert.equal(told.length, 1)
    assert.ok(!logged.some((line) => line.includes('Wherefore')))
  },
  { config },
)

/** A server's folder with one sealed message in it. */
class World {
  readonly folder: string
  readonly #t: TestContext

  constructor(t: TestContext) {
    this.#t = t
    this.folder = mkdtempSync(join(tmpdir(), 'fernruf-encryption-'))
    t.after(() => rmSync(this.folder, { recursive: true }))
  }
  get data(): string {
    return join(this.folder, 'data')
  }
  /** The config file, with that encryption. */
  config(encryption: object | undefined): string {
    const file = join(this.folder, 'fernruf.yaml')
    const sections = {
      domain: 'localhost',
      environment: 'development',
      data_dir: this.data,
      c2s: { starttls: ['127.0.0.1:0'], direct_tls: [] },
      http: { ops: { listen: '127.0.0.1:0' } },
      ...(encryption === undefined ? {} : { inbox: { encryption } }),
    }
    writeFileSync(file, JSON.stringify(sections))
    return file
  }
  async start(encryption: object | undefined): Promise<RunningServer> {
    const file = this.config(encryption)
    const server = await startServer(loadConfig(file, {}, FEATURES), { log: { write: () => undefined } })
    // Also where the test ends early: what runs on would keep the file from ending.
    this.#t.after(() => server.close())
    return server
  }
  /** Seals a message, as a server would. */
  async seal(file: KeyFile): Promise<number> {
    const stores = await openStores({ databaseUrl: undefined, dataDir: this.data })
    await stores.migrate()
    const { id } = await createAccount(stores, 'juliet@localhost')
    await (await sealedStores(stores, file)).inbox.commit(batch([entry(id, '<message/>')]))
    await stores.close()
    return id
  }
  async read(file: KeyFile): Promise<readonly string[]> {
    const stores = await openStores({ databaseUrl: undefined, dataDir: this.data })
    try {
      const account = await stores.accounts.find(jid('juliet@localhost'))
      return (await openOf((await sealedStores(stores, file)).inbox, account?.id ?? 0)).map(([, body]) => body)
    } finally {
      await stores.close()
    }
  }
  /** Runs a command; its exit code, and the lines it printed. */
  async run(...typed: string[]): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
    const { command, ...rest } = parse(COMMANDS, [...typed, '--config', join(this.folder, 'fernruf.yaml')])
    const lines: string[] = []
    const print = (line: string) => void lines.push(line)
    return { code: await command.run({ ...rest, env: {}, print, complain: print }), lines }
  }
}
const startFault =
  (pattern: RegExp) =>
  (error: unknown): boolean =>
    error instanceof StartError && pattern.test(error.message) && !error.message.includes('\n')

test('the server does not start, and check says why, while the right key file is not there', async (t) => {
  const world = new World(t)
  const file = new KeyFile(t)
  const { id } = (await file.open()).current
  await world.seal(file)
  const fails = async (encryption: object | undefined, pattern: RegExp) => {
    await assert.rejects(world.start(encryption), startFault(pattern))
    const { code, lines } = await world.run('check')
    assert.equal(code, 2)
    assert.ok(
      lines.some((line) => line.startsWith('fault') && pattern.test(line)),
      lines.join('\n'),
    )
  }
  await fails(undefined, new RegExp(`sealed under the key ${id}, and no key_file is configured`))
  await fails({ key_file: new KeyFile(t).path }, new RegExp(`lacks the key ${id}`))
  await fails({ key_file: new KeyFile(t).path, enabled: false }, new RegExp(`lacks the key ${id}`))
  await fails({ key_file: join(world.folder, 'lost') }, /lost does not exist/)
  chmodSync(file.path, 0o644)
  await fails({ key_file: file.path }, /is open to everybody on this machine; chmod 640 or less/)
  chmodSync(file.path, 0o600)
  file.write([...file.lines, 'short'])
  await fails({ key_file: file.path }, /has a line that is no key/)
  file.write(file.lines.slice(0, 1))
  const server = await world.start({ key_file: file.path })
  await server.close()
  const { lines } = await world.run('check')
  assert.ok(lines.includes('ok       inbox.encryption: its keys are those of the store'), lines.join('\n'))
  assert.deepEqual(await world.read(file), ['<message/>'])
})

test('inbox-key init makes a key file once', async (t) => {
  const world = new World(t)
  const path = join(world.folder, 'keys')
  world.config({ key_file: path })
  const { code, lines } = await world.run('inbox-key', 'init', path)
  assert.equal(code, 0)
  assert.match(lines[0] ?? '', /^[0-9a-f]{16} {2}\/.*\/keys$/)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await assert.rejects(world.run('inbox-key', 'init', path), startFault(/exists already and is not overwritten/))
  await (await world.start({ key_file: path })).close()
})

test('inbox-key rotate, on the running server and on its store; then the old line may go', async (t) => {
  const world = new World(t)
  const file = new KeyFile(t)
  const [first = ''] = file.lines
  await world.seal(file)
  const server = await world.start({ key_file: file.path })
  const [second, third] = [keyLine(), keyLine()]
  file.write([second, first])
  const running = await world.run('inbox-key', 'rotate')
  assert.ok(existsSync(join(world.data, 'admin.sock')))
  const id = (await file.open()).current.id
  assert.deepEqual(running, { code: 0, lines: [`${id}  1 accounts moved to it`] })
  assert.deepEqual(await world.run('inbox-key', 'rotate'), { code: 0, lines: [`${id}  0 accounts moved to it`] })
  file.write(['short'])
  await assert.rejects(world.run('inbox-key', 'rotate'), /has a line that is no key/)
  await assert.rejects(server.reload(loadConfig(world.config({ key_file: file.path }), {}, FEATURES)))
  file.write([second])
  await server.close()
  assert.deepEqual(await world.read(file), ['<message/>'])

  file.write([third])
  const { code, lines } = await world.run('inbox-key', 'rotate')
  assert.equal(code, 1)
  assert.match(lines[1] ?? '', /^1 accounts stay under keys that the key file lacks/)
  file.write([third, second])
  assert.equal((await world.run('inbox-key', 'rotate')).code, 0)
  file.write([third])
  assert.deepEqual(await world.read(file), ['<message/>'])
  world.config(undefined)
  await assert.rejects(world.run('inbox-key', 'rotate'), /key_file is not configured/)
})

test('inbox-key forget gives up what a lost key had sealed, never what is in use', async (t) => {
  const world = new World(t)
  const file = new KeyFile(t)
  const { id } = (await file.open()).current
  await world.seal(file)
  world.config({ key_file: file.path })
  await assert.rejects(
    world.run('inbox-key', 'forget', id),
    (error) => error instanceof AdminError && /take its line out first/.test(error.message),
  )
  await assert.rejects(world.run('inbox-key', 'forget', 'all'), UsageError)
  assert.deepEqual(await world.run('inbox-key', 'forget', '0123456789abcdef'), {
    code: 0,
    lines: [`0123456789abcdef  0 accounts' messages under it given up`],
  })
  assert.deepEqual(await world.read(file), ['<message/>'])
  world.config(undefined)
  const { code, lines } = await world.run('inbox-key', 'forget', id)
  assert.deepEqual({ code, lines }, { code: 0, lines: [`${id}  1 accounts' messages under it given up`] })
  await (await world.start(undefined)).close()
  assert.deepEqual(await world.read(new KeyFile(t)), [''])
})
