import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { openStores } from '../../src/storage/open.ts'
import { UploadFolder } from '../../src/storage/upload-folder.ts'
import { UploadError, Uploads } from '../../src/uploads/uploads.ts'
import { createAccount } from '../helpers/store-samples.ts'

const DAY = 86_400_000
const LIMITS = { maxFile: 100, slotMs: 60_000, bytesPerDay: 1_000, filesPerDay: 20, total: 1_000, keptMs: 30 * DAY }

async function world(t: TestContext) {
  const path = await mkdtemp(join(tmpdir(), 'fernruf-uploads-'))
  const stores = await openStores({ databaseUrl: undefined, dataDir: ':memory:' })
  t.after(async () => {
    await stores.close()
    await rm(path, { recursive: true, force: true })
  })
  await stores.migrate()
  const clock = { now: 1_800_000_000_000 }
  const files = await UploadFolder.open(path)
  const parts = { store: stores.uploads, files, keys: [Buffer.alloc(32, 1)], limits: LIMITS, now: () => clock.now }
  const uploads = new Uploads(parts)
  const account = (await createAccount(stores, 'romeo@example.org')).id
  const ask = (size = 5, type: string | undefined = 'text/plain') =>
    uploads.request(account, { name: 'a.txt', size, type }, 201)
  const put = async (
    ticket: string,
    body: readonly string[],
    said: { length?: number; type?: string; name?: string } = {},
  ) =>
    uploads.receive(
      uploads.slot(ticket),
      { length: body.join('').length, type: 'text/plain', name: 'a.txt', ...said },
      async function* () {
        for (const part of body) yield Buffer.from(part)
      },
    )
  const onDisk = async () =>
    (await readdir(path, { recursive: true })).filter((name) => /[0-9a-f]{32}/.test(name)).length
  return { uploads, parts, stores, clock, account, ask, put, onDisk }
}
const fault = (expected: string) => (error: unknown) => error instanceof UploadError && error.fault === expected

test('what a slot is for comes in, once', async (t) => {
  const { uploads, ask, put, onDisk } = await world(t)
  const { id, ticket, name } = await ask()
  assert.equal(await uploads.find(id, name), undefined, 'not yet')
  await put(ticket, ['he', 'llo'])
  assert.equal((await uploads.find(id, name))?.size, 5)
  assert.equal(await uploads.find(id, 'another.exe'), undefined, 'its address has its name')
  assert.equal(await uploads.find('../x', name), undefined)
  await assert.rejects(put(ticket, ['world']), fault('done'))
  assert.equal(await onDisk(), 1)
})

test('nothing else does, and nothing of it is kept', async (t) => {
  const { uploads, ask, put, clock, onDisk } = await world(t)
  const { ticket } = await ask()
  await assert.rejects(put(ticket, ['hello!']), fault('too-long'))
  await assert.rejects(put(ticket, ['hell']), fault('too-short'))
  await assert.rejects(put(ticket, ['hello', '!'], { length: 5 }), fault('too-long'), 'counted on the way')
  await assert.rejects(put(ticket, ['hell'], { length: 5 }), fault('too-short'))
  await assert.rejects(put(ticket, ['hello'], { type: 'text/html' }), fault('other-type'))
  await assert.rejects(put(ticket, ['hello'], { name: 'b.txt' }), fault('gone'))
  await assert.rejects(async () => put(`${ticket}A`, ['hello']), fault('forged'))
  assert.equal(await onDisk(), 0)
  await put((await ask(5, 'text/plain; charset=utf-8')).ticket, ['hello'], { type: 'Text/Plain;charset=x' })
  clock.now += LIMITS.slotMs
  assert.throws(() => uploads.slot(ticket), fault('expired'))
  await assert.rejects(uploads.request(1, { name: 'a', size: 101, type: undefined }, 201), fault('too-large'))
})

test('two at a time are one too many', async (t) => {
  const { uploads, ask, put } = await world(t)
  const { ticket } = await ask()
  let go: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  let begun: () => void = () => undefined
  const first = new Promise<void>((resolve) => {
    begun = resolve
  })
  const said = { length: 5, type: undefined, name: 'a.txt' }
  const slow = uploads.receive(uploads.slot(ticket), said, async function* () {
    begun()
    await gate
    yield Buffer.from('hello')
  })
  await first
  await assert.rejects(put(ticket, ['world']), fault('busy'))
  go()
  await slow
})

test('an account that goes while its file comes leaves none', async (t) => {
  const { uploads, ask, stores, account, onDisk } = await world(t)
  const { ticket } = await ask()
  const said = { length: 5, type: undefined, name: 'a.txt' }
  const coming = uploads.receive(uploads.slot(ticket), said, async function* () {
    await stores.accounts.remove(account)
    yield Buffer.from('hello')
  })
  await assert.rejects(coming, fault('gone'))
  assert.equal(await onDisk(), 0)
})

test('files go after their time, with their account, and slots nobody used', async (t) => {
  const { uploads, ask, put, stores, clock, account, onDisk } = await world(t)
  const sweep = () => uploads.sweep(new AbortController().signal)
  const first = await ask()
  await put(first.ticket, ['hello'])
  await ask()
  assert.equal(await sweep(), 0)
  clock.now += 2 * 3_600_000
  assert.equal(await sweep(), 1, 'the unused slot')
  clock.now += LIMITS.keptMs - 2 * 3_600_000
  assert.equal(await uploads.find(first.id, first.name), undefined, 'it is over, though it lies there')
  assert.equal(await onDisk(), 1)
  assert.equal(await sweep(), 1)
  assert.equal(await onDisk(), 0)
  const next = await ask()
  await put(next.ticket, ['hello'])
  await stores.accounts.remove(account)
  assert.equal(await uploads.find(next.id, next.name), undefined, 'at once')
  assert.equal(await sweep(), 1)
  assert.equal(await onDisk(), 0)
  assert.deepEqual(await stores.database.query('select id from upload'), [])
})

test('a refusal says when there is room', async (t) => {
  const { uploads, ask, clock, account } = await world(t)
  for (let i = 0; i < 10; i++) await ask(100)
  await assert.rejects(ask(1), (error: unknown) => {
    assert.ok(error instanceof UploadError)
    return error.fault === 'quota' && error.retryAt === clock.now + LIMITS.keptMs
  })
  assert.equal(uploads.maxFile, 100)
  assert.ok(account > 0)
})
