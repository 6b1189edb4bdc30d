import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FlightWatch, type Verdict } from '../../../src/net/gather.ts'

const record = (type: number, length: number, first = 0): Buffer =>
  Buffer.concat([Buffer.of(type, 3, 3, length >> 8, length & 0xff, first), Buffer.alloc(length - 1)])
const HELLO = record(22, 300, 1)
const CHANGE = record(20, 1, 1)
const FINISHED_12 = record(22, 40)

/** The verdict on each record when they come one by one. */
function verdicts(...records: readonly Buffer[]): readonly Verdict[] {
  const watch = new FlightWatch()
  watch.answered()
  return records.map((each) => watch.take(each))
}

test('before the server has spoken, all goes on at once', () => {
  const watch = new FlightWatch()
  assert.equal(watch.take(HELLO.subarray(0, 7)), 'release')
  assert.equal(watch.take(HELLO.subarray(7)), 'release')
})

describe('TLS 1.2: until the record behind ChangeCipherSpec', () => {
  const certificate = record(22, 2700, 11)
  const flight = [certificate, record(22, 37, 16), record(22, 264, 15), CHANGE, FINISHED_12]
  test('with a certificate', () => assert.deepEqual(verdicts(...flight), ['hold', 'hold', 'hold', 'hold', 'done']))
  test('resumed', () => assert.deepEqual(verdicts(CHANGE, FINISHED_12), ['hold', 'done']))
  test('a Finished that starts like a ClientHello', () =>
    assert.deepEqual(verdicts(CHANGE, record(22, 40, 1)), ['hold', 'done']))
  test('however it is cut', () => {
    const bytes = Buffer.concat(flight)
    for (const size of [1, 2, 3, 7, 100, 1460]) {
      const watch = new FlightWatch()
      watch.answered()
      const seen: Verdict[] = []
      for (let at = 0; at < bytes.length; at += size) seen.push(watch.take(bytes.subarray(at, at + size)))
      assert.equal(seen.pop(), 'done')
      assert.deepEqual(new Set(seen), new Set(['hold']))
    }
  })
})

describe('TLS 1.3: until the Finished', () => {
  const wait = 'hold-until-quiet'
  test('a message a record, as OpenSSL and OpenJDK send it', () => {
    for (const finished of [53, 69, 85]) {
      const flight = [CHANGE, record(23, 2777), record(23, 297), record(23, finished)]
      assert.deepEqual(verdicts(...flight), ['hold', wait, wait, 'done'])
    }
  })
  test('without a certificate', () => {
    assert.deepEqual(verdicts(CHANGE, record(23, 25), record(23, 69)), ['hold', wait, 'done'])
    assert.deepEqual(verdicts(CHANGE, record(23, 61)), ['hold', 'done'])
  })
  test('all in one record, as BoringSSL sends it: until nothing more comes', () =>
    assert.deepEqual(verdicts(CHANGE, record(23, 3100)), ['hold', wait]))
  test('silence in the middle of a record means nothing', () => {
    const certificate = record(23, 2777)
    assert.deepEqual(verdicts(certificate.subarray(0, 3), certificate.subarray(3, 900), certificate.subarray(900)), [
      'hold',
      'hold',
      wait,
    ])
    assert.deepEqual(verdicts(Buffer.concat([certificate, certificate.subarray(0, 9)])), ['hold'])
  })
  test('a second ClientHello goes on at once, and the flight is still to come', () => {
    const flight = [CHANGE, HELLO, record(23, 2777), record(23, 297), record(23, 69)]
    assert.deepEqual(verdicts(...flight), ['hold', 'release', wait, wait, 'done'])
  })
})

test('an alert goes on at once', () => assert.deepEqual(verdicts(record(21, 2)), ['release']))
test('what is no handshake is left to OpenSSL', () => assert.deepEqual(verdicts(Buffer.from('<stream>xxxx')), ['hold']))
test('no more is held than OpenSSL would take', () => {
  const big = record(22, 16_384, 11)
  assert.deepEqual(verdicts(...Array<Buffer>(9).fill(big)).at(-1), 'done')
})
