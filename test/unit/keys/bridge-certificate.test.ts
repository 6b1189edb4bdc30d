import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { hasBridgeExtension, readBridgeCertificate } from '../../../src/keys/bridge-certificate.ts'
import { der, derBits, TAG } from '../../../src/keys/der.ts'
import { KeyError } from '../../../src/keys/key-error.ts'
import { bridgeCertificate, type PhoneKey, phoneKey } from '../../helpers/bridge-certificate.ts'

const malformed = (certificate: Uint8Array): void =>
  assert.throws(
    () => readBridgeCertificate(certificate),
    (e) => e instanceof KeyError && e.fault === 'malformed',
  )

let phone: PhoneKey
let certificate: Buffer
before(async () => {
  phone = await phoneKey('romeo@example.org')
  certificate = bridgeCertificate(phone)
})

test('the key inside, whatever the SAN looks like', () => {
  for (const options of [{}, { wellFormedSan: true }, { addresses: [] }, { addresses: ['a@b', 'c@d'] }]) {
    const made = bridgeCertificate(phone, options)
    assert.ok(hasBridgeExtension(made))
    assert.deepEqual(readBridgeCertificate(made).ring, phone.ring)
  }
})
test('no extension', () => {
  const made = bridgeCertificate(phone, { ring: undefined })
  assert.ok(!hasBridgeExtension(made))
  malformed(made)
})
test('two extensions', () => malformed(bridgeCertificate(phone, { copies: 2 })))

describe('an extension of another shape', () => {
  const withValue = (extensionValue: Buffer): void => malformed(bridgeCertificate(phone, { extensionValue }))
  test('no bit string', () => withValue(der(TAG.octetString, phone.ring)))
  test('unused bits', () => withValue(der(TAG.bitString, Buffer.of(1), phone.ring)))
  test('two bit strings', () => withValue(Buffer.concat([derBits(phone.ring), derBits(phone.ring)])))
  test('nothing', () => withValue(Buffer.alloc(0)))
  test('an empty bit string', () => withValue(der(TAG.bitString)))
})

describe('what is no certificate', () => {
  test('cut anywhere', () => {
    for (let end = 0; end < certificate.length; end += 7) {
      malformed(certificate.subarray(0, end))
      assert.ok(!hasBridgeExtension(certificate.subarray(0, end)))
    }
  })
  test('with a tail', () => malformed(Buffer.concat([certificate, Buffer.of(0)])))
  test('indefinite length', () => malformed(Buffer.from('30800000', 'hex')))
  test('a length longer than it need be', () => malformed(Buffer.from('3081020500', 'hex')))
  test('lengths beyond the end', () => malformed(Buffer.from('3084ffffffff', 'hex')))
  test('too large', () => malformed(Buffer.alloc(98_305)))
  test('any byte changed: an answer, never a fault of ours', () => {
    for (let at = 0; at < certificate.length; at++) {
      const changed = Buffer.from(certificate)
      changed[at] = (changed[at] as number) ^ 0xff
      try {
        readBridgeCertificate(changed)
      } catch (error) {
        assert.ok(error instanceof KeyError)
      }
    }
  })
})
