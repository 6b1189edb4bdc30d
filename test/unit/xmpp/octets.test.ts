import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { runOver, TEXT_STOP } from '../../../src/xmpp/characters.ts'
import { octetsOf, sameOctets, standsAt, textEnd } from '../../../src/xmpp/octets.ts'

const viewOf = (octets: Uint8Array): DataView => new DataView(octets.buffer, octets.byteOffset, octets.length)

describe('sameOctets', () => {
  it('sees each octet that differs, at whatever length and place', () => {
    for (let length = 0; length <= 40; length++) {
      const octets = Uint8Array.from({ length: length + 3 }, (_, i) => (i * 37) & 0xff)
      const other = Uint8Array.from([9, ...octets, 9])
      assert(sameOctets(viewOf(octets), 1, viewOf(other), 2, length))
      for (let i = 0; i < length; i++) {
        const changed = other.slice()
        changed[2 + i] = (changed[2 + i] as number) ^ 0x80
        assert.equal(sameOctets(viewOf(octets), 1, viewOf(changed), 2, length), false, `${length}: ${i}`)
      }
    }
  })
  it('does not look beyond the limit', () => {
    const [word] = octetsOf(['message'])
    assert(word !== undefined)
    const view = viewOf(Buffer.from('<message'))
    assert(standsAt(word, view, 1, 8))
    assert.equal(standsAt(word, view, 1, 7), false)
    assert.equal(standsAt(word, view, 2, 8), false)
  })
})

describe('textEnd', () => {
  it('ends where going octet by octet ends', () => {
    const plain = fc.constantFrom(...Buffer.from('aZ 0;=]!\t\n\x7f'))
    const octet = fc.oneof({ weight: 12, arbitrary: plain }, { weight: 1, arbitrary: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(octet, { maxLength: 40 }), fc.nat(8), (list, start) => {
        const octets = Buffer.from(list)
        const from = Math.min(start, octets.length)
        for (let end = from; end <= octets.length; end++) {
          assert.equal(textEnd(octets, viewOf(octets), from, end), runOver(octets, from, end, TEXT_STOP))
        }
      }),
      { numRuns: 500 },
    )
    for (let c = 0; c < 256; c++) {
      const octets = Buffer.from([0x61, 0x61, c, 0x61, 0x61, 0x61])
      assert.equal(textEnd(octets, viewOf(octets), 0, 6), runOver(octets, 0, 6, TEXT_STOP), `${c}`)
    }
  })
})
