import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { UploadFolder } from '../../src/storage/upload-folder.ts'
import { FileStoreError } from '../../src/uploads/file-store.ts'

const ID = 'ab'.repeat(16)

async function* bytes(...parts: readonly (string | Error)[]) {
  for (const part of parts) {
    if (part instanceof Error) throw part
    yield Buffer.from(part)
  }
}
async function folder(t: TestContext) {
  const path = await mkdtemp(join(tmpdir(), 'fernruf-uploads-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  const files = await UploadFolder.open(join(path, 'uploads'))
  return { files, path: join(path, 'uploads'), coming: () => readdir(join(path, 'uploads/coming')) }
}

test('a file is there when it is whole, for its owner alone', async (t) => {
  const { files, path, coming } = await folder(t)
  const received = await files.receive(ID, bytes('wherefore ', 'art thou'), 100)
  assert.equal(received.bytes, 18)
  assert.equal(await files.open(ID, 0, 17), undefined, 'not yet')
  assert.equal(await received.keep(), true)
  assert.deepEqual(await coming(), [])
  assert.equal(await readFile(join(path, 'ab', ID), 'utf8'), 'wherefore art thou')
  assert.equal((await stat(join(path, 'ab', ID))).mode & 0o777, 0o600)
  assert.equal((await stat(join(path, 'ab'))).mode & 0o777, 0o700)
  const part = await files.open(ID, 10, 12)
  assert.equal(part && (await text(part)), 'art')
  await files.remove(ID)
  await files.remove(ID)
  assert.equal(await files.open(ID, 0, 17), undefined)
})

test('no more is written than was agreed, and what is broken off leaves nothing', async (t) => {
  const { files, coming } = await folder(t)
  const tooMuch = await files.receive(ID, bytes('12345', '6789', 'never asked for'), 8)
  assert.equal(tooMuch.bytes, 9)
  await tooMuch.discard()
  await assert.rejects(files.receive(ID, bytes('12345', new Error('gone away')), 8), /gone away/)
  const noRoom = Object.assign(new Error('no room'), { code: 'ENOSPC' })
  await assert.rejects(files.receive(ID, bytes('12345', noRoom), 8), FileStoreError)
  assert.deepEqual(await coming(), [])
})

test('who comes second replaces nothing', async (t) => {
  const { files, coming } = await folder(t)
  const first = await files.receive(ID, bytes('first'), 10)
  const second = await files.receive(ID, bytes('second'), 10)
  assert.deepEqual([await first.keep(), await second.keep()], [true, false])
  const kept = await files.open(ID, 0, 9)
  assert.equal(kept && (await text(kept)), 'first')
  assert.deepEqual(await coming(), [])
})

test('what a crash has left goes, what is under way stays', async (t) => {
  const { files, path, coming } = await folder(t)
  await writeFile(join(path, 'coming', `${ID}.0000`), 'left')
  await utimes(join(path, 'coming', `${ID}.0000`), 1_000, 1_000)
  const underWay = await files.receive(ID, bytes('first'), 10)
  await files.tidy(Date.now() - 60_000)
  assert.equal((await coming()).length, 1)
  assert.equal(await underWay.keep(), true)
})

test('nothing but an id becomes a path', async (t) => {
  const { files } = await folder(t)
  for (const id of ['../../etc/passwd', 'AB'.repeat(16), `${ID}/`, '', 'ab'])
    await assert.rejects(async () => await files.open(id, 0, 1), /no id/)
})
