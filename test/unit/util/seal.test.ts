import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import test from 'node:test'
import fc from 'fast-check'
import { isSealed, SEAL_BYTES, seal, unseal } from '../../../src/util/seal.ts'

const KEY = createSecretKey(randomBytes(32))

test('what was sealed opens by the same key in the same place', () => {
  const property = fc.property(fc.uint8Array({ maxLength: 1000 }), fc.string(), (plain, place) => {
    const sealed = seal(KEY, plain, place)
    assert.ok(isSealed(sealed))
    assert.equal(sealed.length, plain.length + SEAL_BYTES)
    assert.deepEqual(unseal(KEY, sealed, place), Buffer.from(plain))
  })
  fc.assert(property)
})

test('no two are alike', () => {
  const plain = Buffer.from('Wherefore?')
  const sealed = Array.from({ length: 1000 }, () => seal(KEY, plain, 'here'))
  assert.equal(new Set(sealed.map((one) => one.subarray(1, 13).toString('hex'))).size, 1000, 'nonces')
  assert.equal(new Set(sealed.map((one) => one.subarray(13).toString('hex'))).size, 1000)
  for (const one of sealed) assert.ok(!one.includes(plain))
})

test('every changed bit, another place, another key and every shorter text is refused', () => {
  const sealed = seal(KEY, Buffer.from('Wherefore art thou Romeo?'), 'here')
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(unseal(KEY, changed, 'here'), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < sealed.length; length++)
    assert.equal(unseal(KEY, sealed.subarray(0, length), 'here'), undefined, `${length} bytes`)
  assert.equal(unseal(KEY, Buffer.concat([sealed, Buffer.of(0)]), 'here'), undefined)
  assert.equal(unseal(KEY, sealed, 'there'), undefined)
  assert.equal(unseal(KEY, sealed, ''), undefined)
  assert.equal(unseal(createSecretKey(randomBytes(32)), sealed, 'here'), undefined)
  assert.ok(unseal(KEY, sealed, 'here'))
})

test('XML is not taken for sealed, nor is nothing', () => {
  assert.ok(!isSealed(Buffer.from('<message/>')))
  assert.ok(!isSealed(Buffer.alloc(0)))
})
