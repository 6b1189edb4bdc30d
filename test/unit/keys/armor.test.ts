import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { unarmor } from 'openpgp'
import { armored, dearmored } from '../../../src/keys/armor.ts'

const SECRET = 'PRIVATE KEY BLOCK'
const RING = Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 7) % 256))
const block = armored(SECRET, RING)
const bytes = (text: string): Buffer | undefined => {
  const found = dearmored(SECRET, text)
  return found && Buffer.from(found)
}

describe('armour', () => {
  test('what is written is read again, by others too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 500 }), async (ring) => {
        const text = armored(SECRET, ring)
        assert.deepEqual(dearmored(SECRET, text), Buffer.from(ring))
        const { data } = await unarmor(text)
        assert.deepEqual(Buffer.from(await new Response(data as ReadableStream<Uint8Array>).bytes()), Buffer.from(ring))
      }),
    )
  })
  test('headers, other line ends, a checksum that is wrong or absent, and an empty line that a form has lost do not matter', () => {
    for (const text of [
      block.replace('\n\n', '\nVersion: GnuPG v2\nComment: hi\n\n'),
      block.replace('\n\n', '\nVersion: GnuPG v2\n'),
      block.replaceAll('\n', '\r\n'),
      block.replace('\n\n', '\n'),
      block.replace(/\n=.{4}/, ''),
      block.replace(/\n=.{4}/, '\n=AAAA'),
      `Here it is:\n${block}Bye`,
    ])
      assert.deepEqual(bytes(text), RING, text)
  })
  test('base64 alone is enough', () => {
    assert.deepEqual(bytes(RING.toString('base64')), RING)
    assert.deepEqual(bytes(RING.toString('base64').replaceAll(/.{40}/g, '$& \n')), RING)
  })
  test('another kind, two blocks, half a block and no base64 are nothing', () => {
    for (const text of [
      '',
      ' \n',
      'not base64!',
      'QUJD=QUJD',
      armored('PUBLIC KEY BLOCK', RING),
      block + block,
      block + armored('PUBLIC KEY BLOCK', RING),
      block.replace(/-----END.*/, ''),
      block.replace('-----BEGIN PGP PRIVATE KEY BLOCK-----', ''),
      block.replace('END PGP PRIVATE', 'END PGP PUBLIC'),
      block.replace('\n\n', '\n\n%%%'),
    ])
      assert.equal(bytes(text), undefined, text)
  })
  test('costs as much as it is long', () => {
    const timed = (length: number): number => {
      const texts = ['A'.repeat(length), '-----\n'.repeat(length / 6), `${'='.repeat(length)}x`, '\n'.repeat(length)]
      const start = performance.now()
      for (const text of texts) dearmored(SECRET, text)
      return performance.now() - start
    }
    timed(30_000)
    assert.ok(timed(300_000) < 2_000)
  })
})
