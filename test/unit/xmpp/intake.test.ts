import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Intake } from '../../../src/xmpp/intake.ts'

const text = (intake: Intake): string => intake.buf.toString('latin1', intake.start, intake.end)
const same = (intake: Intake): boolean =>
  intake.view.getUint8(intake.start) === intake.buf[intake.start] && intake.view.byteLength === intake.buf.length

describe('Intake', () => {
  it('hands on every octet once, in order, whatever is pushed and consumed when', () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5000 })), {
      minLength: 1,
    })
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1 }), (pushed, units) => {
        const total = pushed.reduce((sum, size) => sum + size, 0)
        const all = Buffer.from(Array.from({ length: total }, (_, i) => (i * 31 + (i >> 8)) & 0xff))
        const intake = new Intake()
        let done = 0
        let unit = units[0] as number
        let at = 0
        for (const size of pushed) {
          intake.push(Buffer.from(all.subarray(at, at + size)))
          at += size
          assert.equal(intake.length, at - done)
          do {
            while (intake.end - intake.start >= unit) {
              assert(same(intake))
              assert(all.subarray(done, done + unit).equals(intake.buf.subarray(intake.start, intake.start + unit)))
              intake.consume(intake.start + unit)
              done += unit
              unit = units[done % units.length] as number
            }
          } while (intake.more())
          assert.equal(intake.length, at - done)
        }
      }),
      { numRuns: 150 },
    )
  })
  it('lends a chunk that comes alone, and lets go of it', () => {
    const intake = new Intake()
    const chunk = Buffer.from('<a/><b/>')
    intake.push(chunk)
    assert.equal(intake.buf, chunk)
    intake.consume(4)
    assert.equal(intake.buf, chunk)
    intake.consume(8)
    assert.equal(intake.more(), false)
    assert.notEqual(intake.buf, chunk)
    assert.equal(intake.length, 0)
  })
  it('makes room seldom, however small the pieces', () => {
    const intake = new Intake()
    const rooms = new Set<Buffer>()
    for (let i = 0; i < 100_000; i++) {
      intake.push(Buffer.of(i & 0x7f))
      while (intake.more());
      rooms.add(intake.buf)
    }
    assert.equal(intake.end - intake.start, 100_000)
    assert(rooms.size < 20, `${rooms.size} rooms`)
  })
  it('copies little of a big chunk for the tail of an element', () => {
    const intake = new Intake()
    intake.push(Buffer.from('<a>'))
    const chunk = Buffer.alloc(50_000, 'x')
    intake.push(chunk)
    assert(intake.more())
    assert.equal(text(intake).slice(0, 4), '<a>x')
    assert(intake.end - intake.start < 3000)
    intake.consume(intake.start + 10)
    assert.equal(intake.length, 49_993)
    assert(intake.more())
    assert.equal(intake.buf, chunk)
    assert.equal(intake.start, 7)
  })
  it('forgets', () => {
    const intake = new Intake()
    for (let i = 0; i < 3; i++) intake.push(Buffer.from('abc'))
    intake.forget()
    assert.equal(intake.length, 0)
    assert.equal(intake.more(), false)
    intake.push(Buffer.from('d'))
    assert.equal(text(intake), 'd')
  })
})
