import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { RootSecret, RootSecretError, type RootSecretFault } from '../../../src/account/root-secret.ts'

const A = 'a'.repeat(43)
const B = 'b'.repeat(43)
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'root-secret-'))
})
after(() => rm(folder, { recursive: true }))

const faulty =
  (fault: RootSecretFault) =>
  (error: unknown): boolean =>
    error instanceof RootSecretError && error.fault === fault

test('each purpose has its key', () => {
  const secret = RootSecret.parse(A)
  assert.equal(secret.derive('dialback').length, 32)
  assert.deepEqual(secret.derive('dialback'), RootSecret.parse(`${A}\n`).derive('dialback'))
  assert.notDeepEqual(secret.derive('dialback'), secret.derive('fast'))
})

test('the first line signs, all verify', () => {
  const rotated = RootSecret.parse(`# rotated\n\n${B}\r\n${A}\n`)
  assert.deepEqual(rotated.deriveAll('x'), [RootSecret.parse(B).derive('x'), RootSecret.parse(A).derive('x')])
  assert.deepEqual(rotated.derive('x'), RootSecret.parse(B).derive('x'))
})

test('made once, readable by the owner alone', async () => {
  const path = join(folder, 'secret')
  const [one, other] = await Promise.all([1, 2].map(() => RootSecret.open(path, { make: true })))
  assert.deepEqual(one?.derive('x'), other?.derive('x'))
  assert.deepEqual((await RootSecret.open(path, { make: false })).derive('x'), one?.derive('x'))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.ok((await readFile(path, 'utf8')).length > 60)
  assert.deepEqual(await readdir(folder), ['secret'])
})

describe('refused', () => {
  test('no file', () => assert.rejects(RootSecret.open(join(folder, 'none'), { make: false }), faulty('missing')))
  test('a folder', () => assert.rejects(RootSecret.open(folder, { make: true }), faulty('unreadable')))
  test('no such folder', () =>
    assert.rejects(RootSecret.open(join(folder, 'none', 'secret'), { make: true }), faulty('unwritable')))
  test('an empty file', async () => {
    const path = join(folder, 'empty')
    await writeFile(path, '# nothing\n')
    await assert.rejects(RootSecret.open(path, { make: true }), faulty('empty'))
  })
  test('a short line', () => assert.throws(() => RootSecret.parse(`${A}\nshort`), faulty('too-short')))
})
