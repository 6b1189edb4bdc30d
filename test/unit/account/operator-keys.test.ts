import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { KeyFileError, type KeyFileFault, OperatorKeys } from '../../../src/account/operator-keys.ts'
import { KeyFile, keyLine } from '../../helpers/operator-keys.ts'

const DATA_KEY = Buffer.alloc(32, 7)
const faulty =
  (fault: KeyFileFault) =>
  (error: unknown): boolean =>
    error instanceof KeyFileError && error.fault === fault

test('the first line wraps, all unwrap', async (t) => {
  const [first, second] = [keyLine(), keyLine()]
  const file = new KeyFile(t, [first])
  const old = await file.open()
  const wrapped = old.current.wrap(1, DATA_KEY)
  file.write(['# rotated', '', `${second}\r`, first.replace('=', '')])
  const keys = await file.open()
  assert.notEqual(keys.current.id, old.current.id)
  assert.match(keys.current.id, /^[0-9a-f]{16}$/)
  assert.deepEqual(keys.find(old.current.id)?.unwrap(1, wrapped), DATA_KEY)
  assert.equal(keys.current.unwrap(1, wrapped), undefined, 'another key')
  assert.equal(keys.find('0123456789abcdef'), undefined)
})

test('a wrapped key is of one account', async (t) => {
  const { current } = await new KeyFile(t).open()
  const wrapped = current.wrap(1, DATA_KEY)
  assert.ok(!Buffer.from(wrapped).includes(DATA_KEY))
  assert.notDeepEqual(current.wrap(1, DATA_KEY), wrapped)
  assert.equal(current.unwrap(2, wrapped), undefined)
  assert.equal(current.unwrap(12, current.wrap(1, DATA_KEY)), undefined)
})

test('it is read again on demand; a faulty file changes nothing', async (t) => {
  const file = new KeyFile(t)
  const keys = await file.open()
  const { id } = keys.current
  const line = keyLine()
  file.write([line])
  await keys.reload()
  assert.notEqual(keys.current.id, id)
  const after = keys.current.id
  file.write(['short'])
  await assert.rejects(keys.reload(), faulty('malformed'))
  assert.equal(keys.current.id, after)
})

test('a new file is for its owner alone, and never takes the place of another', async (t) => {
  const path = join(dirname(new KeyFile(t).path), 'new')
  const id = await OperatorKeys.make(path)
  assert.equal((await OperatorKeys.open(path)).current.id, id)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const text = readFileSync(path, 'utf8')
  await assert.rejects(OperatorKeys.make(path), faulty('exists'))
  assert.equal(readFileSync(path, 'utf8'), text)
  await assert.rejects(OperatorKeys.make(join(path, 'below')), faulty('unwritable'))
  assert.deepEqual(readdirSync(dirname(path)), ['keys', 'new'])
})

test('what is refused', async (t) => {
  const file = new KeyFile(t)
  const refused = (fault: KeyFileFault) => assert.rejects(file.open(), faulty(fault), fault)
  for (const mode of [0o604, 0o602, 0o644]) {
    chmodSync(file.path, mode)
    await refused('open-to-others')
  }
  chmodSync(file.path, 0o640)
  await file.open()
  for (const line of ['short', keyLine().slice(2), `${keyLine()}A`, `${keyLine().slice(0, 40)}!!!=`]) {
    file.write([keyLine(), line])
    await refused('malformed')
  }
  file.write(['# nothing'])
  await refused('empty')
  rmSync(file.path)
  await refused('missing')
  writeFileSync(file.path, '')
  chmodSync(file.path, 0o600)
  await assert.rejects(OperatorKeys.open(dirname(file.path)), faulty('unreadable'))
})
