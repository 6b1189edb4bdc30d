import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { formatDateTime, parseDateTime } from '../../../src/xmpp/date-time.ts'

it('reads what it writes', () => {
  const min = new Date('0000-01-01T00:00:00Z')
  const max = new Date('9999-12-31T23:59:59.999Z')
  fc.assert(
    fc.property(fc.date({ min, max, noInvalidDate: true }), (d) =>
      assert.deepEqual(parseDateTime(formatDateTime(d)), d),
    ),
  )
})
it('reads zones and fractions of any length', () => {
  // XEP-0082 §3.2.
  assert.equal(parseDateTime('1969-07-21T02:56:15Z')?.toISOString(), '1969-07-21T02:56:15.000Z')
  assert.equal(parseDateTime('1969-07-20T21:56:15-05:00')?.toISOString(), '1969-07-21T02:56:15.000Z')
  assert.equal(parseDateTime('2026-01-01T00:30:00.1+05:30')?.toISOString(), '2025-12-31T19:00:00.100Z')
  assert.equal(parseDateTime('2026-01-01T00:00:00.123456789Z')?.toISOString(), '2026-01-01T00:00:00.123Z')
  assert.equal(parseDateTime('2026-01-01T00:00:00.1234567890Z')?.toISOString(), '2026-01-01T00:00:00.123Z')
  assert.equal(parseDateTime('2026-01-01T00:00:00.1234567890Z', 'up')?.toISOString(), '2026-01-01T00:00:00.124Z')
  assert.equal(parseDateTime('2026-01-01T00:00:00.123000Z', 'up')?.toISOString(), '2026-01-01T00:00:00.123Z')
  assert.equal(parseDateTime('2026-12-31T23:59:59.9991Z', 'up')?.toISOString(), '2027-01-01T00:00:00.000Z')
  assert.equal(parseDateTime('2016-12-31T23:59:60Z')?.toISOString(), '2016-12-31T23:59:59.000Z')
})
it('reads nothing else', () => {
  const none = [
    '',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-01-01 00:00:00Z',
    '20260101T00:00:00',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:61Z',
    '2026-01-01T00:00:00+15:00',
    '2026-01-01T00:00:00.Z',
    `2026-01-01T00:00:00.${'1'.repeat(100_000)}Z`,
  ]
  for (const text of none) assert.equal(parseDateTime(text), undefined, text.slice(0, 40))
})
