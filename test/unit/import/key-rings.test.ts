import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { keyRings } from '../../../src/import/key-rings.ts'
import { KeyError } from '../../../src/keys/key-error.ts'
import { phoneKey } from '../../helpers/bridge-certificate.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'fernruf-rings-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}
async function read(path: string): Promise<Buffer[]> {
  const rings: Buffer[] = []
  for await (const ring of keyRings(path)) rings.push(ring)
  return rings
}

test('keys one after the other, armoured or binary, in a file or in a folder', async (t) => {
  const path = await folder(t)
  const keys = await Promise.all(['a', 'b', 'c'].map((name) => phoneKey(`${name}@example.org`)))
  const [a, b, c] = keys.map(({ ring }) => ring) as [Buffer, Buffer, Buffer]
  const armored = keys.map(({ key }) => key.toPublic().armor())
  await writeFile(join(path, '1.gpg'), Buffer.concat([a, b, c]))
  await writeFile(join(path, '2.asc'), `Our keys:\n${armored.join('\nand\n')}`)
  await writeFile(join(path, '3.asc'), (armored[1] as string).replaceAll('\n', '\r\n'))
  await writeFile(join(path, '4'), '')
  assert.deepEqual(await read(join(path, '1.gpg')), [a, b, c])
  assert.deepEqual(await read(join(path, '2.asc')), [a, b, c])
  assert.deepEqual(await read(path), [a, b, c, a, b, c, b])
})

test('more than a part of a file at a time', async (t) => {
  const path = join(await folder(t), 'many.gpg')
  const { ring } = await phoneKey('a@example.org')
  const count = Math.ceil(300_000 / ring.length)
  await writeFile(path, Buffer.concat(Array.from({ length: count }, () => ring)))
  const rings = await read(path)
  assert.equal(rings.length, count)
  assert.ok(rings.every((one) => one.equals(ring)))
})

test('what is no key is told', async (t) => {
  const path = join(await folder(t), 'file')
  const { ring, key } = await phoneKey('a@example.org')
  const armored = key.toPublic().armor()
  const cases: readonly (string | Buffer)[] = [
    ring.subarray(0, -1),
    Buffer.of(0x99, 0xff, 0xff),
    Buffer.of(0xc6, 0xff, 0x7f, 0xff, 0xff, 0xff),
    Buffer.of(0xc6, 0xe1, 0),
    Buffer.concat([ring, Buffer.from('text')]),
    armored.slice(0, -60),
    armored.replace(/\n\n(.)/, '\n\n?$1'),
  ]
  for (const bytes of cases) {
    await writeFile(path, bytes)
    await assert.rejects(read(path), KeyError, String(bytes).slice(0, 40))
  }
  await writeFile(path, 'just a text\n')
  assert.deepEqual(await read(path), [])
})
