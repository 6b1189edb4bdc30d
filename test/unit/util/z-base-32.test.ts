import assert from 'node:assert/strict'
import test from 'node:test'
import { zBase32 } from '../../../src/util/z-base-32.ts'

test('bytes are written as RFC 6189 section 5.1.6 and the Web Key Directory have it', () => {
  const cases: readonly (readonly [bytes: string, text: string])[] = [
    ['', ''],
    ['00', 'yy'],
    ['f0bfc7', '6n9hq'],
    ['d47a04', '4t7ye'],
    ['ffffffffff', '99999999'],
  ]
  for (const [bytes, text] of cases) assert.equal(zBase32(Buffer.from(bytes, 'hex')), text, bytes)
})
