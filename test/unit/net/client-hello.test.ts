import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { javaTlsOf, readClientHello } from '../../../src/net/client-hello.ts'

const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)
const sized = (bytes: Buffer): Buffer => Buffer.concat([u16(bytes.length), bytes])
const record = (body: Buffer, type = 22): Buffer => Buffer.concat([Buffer.of(type, 3, 1), sized(body)])

function message(suites: readonly number[], extensions: readonly number[]): Buffer {
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32),
    Buffer.of(4, 1, 2, 3, 4),
    sized(Buffer.concat(suites.map(u16))),
    Buffer.of(1, 0),
    sized(Buffer.concat(extensions.map((type) => Buffer.concat([u16(type), sized(Buffer.alloc(type % 7))])))),
  ])
  return Buffer.concat([Buffer.of(1, 0), sized(body)])
}
const SUITES = [4866, 49196, 255]
const EXTENSIONS = [5, 10, 11, 17, 23]
const HELLO = { suites: SUITES, extensions: EXTENSIONS }

describe('reading', () => {
  const whole = record(message(SUITES, EXTENSIONS))
  test('in one piece', () => assert.deepEqual(readClientHello(whole), HELLO))
  test('with more behind it', () => assert.deepEqual(readClientHello(Buffer.concat([whole, whole])), HELLO))
  test('cut anywhere, it says how many bytes are needed at least', () => {
    for (let have = 0; have < whole.length; have++) {
      assert.equal(readClientHello(whole.subarray(0, have)), have < 5 ? 5 : whole.length)
    }
  })
  test('spread over four records, not over more', () => {
    const inPieces = (count: number): Buffer => {
      const all = message(SUITES, EXTENSIONS)
      const size = Math.ceil(all.length / count)
      return Buffer.concat(Array.from({ length: count }, (_, i) => record(all.subarray(i * size, (i + 1) * size))))
    }
    assert.deepEqual(readClientHello(inPieces(4)), HELLO)
    assert.equal(readClientHello(inPieces(5)), undefined)
  })
  for (const [name, bytes] of [
    ['XML', Buffer.from('<stream:stream>')],
    ['another record', record(message(SUITES, EXTENSIONS), 23)],
    ['another message', record(Buffer.of(2, 0, 0, 0))],
    ['a record too large', Buffer.of(22, 3, 1, 0xff, 0xff)],
    ['a message too large', record(Buffer.of(1, 0xff, 0xff, 0xff))],
    ['an empty one', record(Buffer.of(1, 0, 0, 0))],
    ['lengths beyond the end', record(Buffer.concat([Buffer.of(1, 0, 0, 40), Buffer.alloc(40, 0xff)]))],
  ] as const) {
    test(`refused: ${name}`, () => assert.equal(readClientHello(bytes), undefined))
  }
  test('any byte changed: never a throw', () => {
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] as number) ^ 0xff
      readClientHello(changed)
    }
  })
})

describe('whose it is', () => {
  const of = (extensions: readonly number[], suites: readonly number[] = [4866, 49196, 255]) =>
    javaTlsOf({ suites, extensions })
  test('OpenJDK 17, TLS 1.2 and 1.3', () => {
    assert.equal(of([0, 5, 10, 11, 17, 23, 35, 13, 43, 45, 50, 51]), 'jsse')
    assert.equal(of([5, 10, 11, 17, 23, 35, 13, 43, 50]), 'jsse')
    assert.equal(of([0, 5, 10, 35, 13, 43, 45, 50, 51]), 'jsse')
  })
  test('OpenJDK 8', () => assert.equal(of([10, 11, 13, 23, 0]), 'jsse'))
  test('Conscrypt', () => {
    assert.equal(of([0, 23, 65281, 10, 11, 35, 16, 5, 13, 51, 45, 43, 21], [4865, 49195]), 'conscrypt')
    assert.equal(of([65281, 0, 23, 35, 13, 5, 16, 11, 10], [49195]), 'conscrypt')
  })
  test('OpenSSL 3, Node and curl', () => {
    assert.equal(of([0, 11, 10, 35, 22, 23, 13, 43, 45, 51]), undefined)
    assert.equal(of([65281, 11, 10, 35, 16, 22, 23, 13, 43, 45, 51]), undefined)
    assert.equal(of([11, 10, 16, 22, 23, 49, 13, 43, 45, 51, 21]), undefined)
  })
  test('Go, NSS, GnuTLS, BoringSSL with GREASE', () => {
    assert.equal(of([0, 11, 65281, 23, 18, 43, 51, 5, 10, 13, 50, 16], [4865]), undefined)
    assert.equal(of([0, 23, 65281, 10, 11, 35, 16, 5, 34, 51, 43, 13, 45, 28], [4865]), undefined)
    assert.equal(of([5, 10, 11, 13, 22, 23, 35, 51, 43, 65281, 0, 45, 28], [4866]), undefined)
    assert.equal(of([0x2a2a, 0, 23, 65281, 10, 11, 35, 16, 5, 13, 51, 45, 43], [0x0a0a, 4865]), undefined)
  })
})
