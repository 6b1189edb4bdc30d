import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  BLOCKED_PREFIXES,
  isAllowed,
  isNumberLocalpart,
  localpartOf,
  type PhonePolicy,
  parsePhone,
} from '../../../src/account/phone-number.ts'

const POLICY: PhonePolicy = { countries: undefined, blockedPrefixes: BLOCKED_PREFIXES, acceptUnassigned: false }
const e164 = (text: string) => parsePhone(text)?.e164
function allowed(text: string, policy: Partial<PhonePolicy> = {}): boolean {
  const phone = parsePhone(text)
  assert.ok(phone, text)
  return isAllowed(phone, { ...POLICY, ...policy })
}

describe('reading a number', () => {
  test("the wire protocol's own vector", () => {
    const phone = parsePhone('+15555215554')
    assert.ok(phone)
    assert.equal(localpartOf(phone), '4bdd4f929f3a1062253e4e496bafba0bdfb5db75')
  })

  test('spellings of one number are one number', () => {
    for (const text of [
      '+491701234567',
      '+49 170 1234567',
      '+49 (0)170 123-4567',
      ' +49/170/1234567 ',
      '+４９1701234567',
    ])
      assert.equal(e164(text), '+491701234567', text)
  })

  test('a trunk zero is no part of a number, but an Italian zero is', () => {
    assert.equal(e164('+4901701234567'), '+491701234567')
    assert.equal(e164('+390612345678'), '+390612345678')
  })

  test('digits that already are E.164 are taken as the client hashed them', () => {
    for (const text of ['+5215512345678', '+5491112345678', '+541112345678', '+31970123456789'])
      assert.equal(e164(text), text)
  })

  test('what is no number in international form is none', () => {
    for (const text of [
      '',
      '+',
      '0170 1234567',
      '491701234567',
      '++491701234567',
      '+0491701234567',
      '+49123',
      '+49170123456789012',
      '+12015550123 ext. 5',
      'tel:+12015550123',
      'call +12015550123',
      '+1201555012\u0000',
      '+1 201 555 0123; drop table',
      '__proto__',
    ])
      assert.equal(parsePhone(text), undefined, text)
  })

  test('any text is answered, and what is read is E.164', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'+0123456789 ()-./;ext'), maxLength: 60 })
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), digits), (text) => {
        const phone = parsePhone(text)
        if (phone === undefined) return
        assert.match(phone.e164, /^\+[1-9]\d{6,14}$/)
        assert.equal(e164(phone.e164), phone.e164)
        assert.ok(isNumberLocalpart(localpartOf(phone)))
      }),
      { numRuns: 300 },
    )
  })
})

describe('where codes are sent', () => {
  test('mobile and fixed lines', () => {
    for (const text of ['+491701234567', '+12015550123', '+390612345678', '+447911123456'])
      assert.ok(allowed(text), text)
  })
  test('not premium, personal, satellite or network-less numbers', () => {
    for (const text of ['+499001234567', '+447012345678', '+882161234567', '+8816123456', '+870773111632'])
      assert.equal(allowed(text), false, text)
  })
  test('not numbers that no plan has, unless told so', () => {
    assert.equal(allowed('+15555215554'), false)
    assert.equal(allowed('+15555215554', { acceptUnassigned: true }), true)
    assert.equal(allowed('+8816123456', { acceptUnassigned: true }), false)
  })
  test('only to the countries allowed, when some are', () => {
    const countries = new Set(['DE', 'AT'])
    assert.equal(allowed('+491701234567', { countries }), true)
    assert.equal(allowed('+447911123456', { countries }), false)
    assert.equal(allowed('+15555215554', { countries, acceptUnassigned: true }), false)
  })
  test("not to the operator's own blocked prefixes, however the number was written", () => {
    const blockedPrefixes = ['+49170']
    assert.equal(allowed('+49 0170 1234567', { blockedPrefixes }), false)
    assert.equal(allowed('+491711234567', { blockedPrefixes }), true)
  })
})

test('names of number accounts are 40 lower-case hex digits', () => {
  assert.ok(isNumberLocalpart('4bdd4f929f3a1062253e4e496bafba0bdfb5db75'))
  for (const name of ['4BDD4F929F3A1062253E4E496BAFBA0BDFB5DB75', 'romeo', '4bdd4f929f3a1062253e4e496bafba0bdfb5db7'])
    assert.equal(isNumberLocalpart(name), false)
})
