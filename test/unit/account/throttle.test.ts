import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type PhoneNumber, parsePhone } from '../../../src/account/phone-number.ts'
import { Throttle } from '../../../src/account/throttle.ts'
import { networkOf } from '../../../src/util/network.ts'

const phone = (text: string): PhoneNumber => {
  const read = parsePhone(text)
  assert.ok(read)
  return read
}

describe('one subscriber of the net', () => {
  const same = (a: string, b: string) => assert.equal(networkOf(a), networkOf(b))
  const other = (a: string, b: string) => assert.notEqual(networkOf(a), networkOf(b))
  test('an IPv4 address, also when mapped', () => {
    same('192.0.2.1', '::ffff:192.0.2.1')
    same('192.0.2.1', '::FFFF:c000:201')
    other('192.0.2.1', '192.0.2.2')
    other('::ffff:192.0.2.1', '::ffff:192.0.2.2')
  })
  test('the /64 of an IPv6 address, however written', () => {
    same('2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff')
    same('2001:0DB8:0001:0002:0:0:0:9', '2001:db8:1:2::')
    same('2001:db8::1', '2001:db8:0:0:5::')
    same('fe80::1%eth0', 'fe80::2')
    other('2001:db8:1:2::1', '2001:db8:1:3::1')
    other('2001:db8::1', '2001:db9::1')
  })
})

describe('what a code costs', () => {
  const throttle = new Throttle(Buffer.alloc(32, 1), { number: { hour: 7, day: 8 } })
  const named = (text: string, ip: string, kind: string) =>
    throttle
      .code(phone(text), ip)
      .filter((s) => s.kind === kind)
      .map((s) => Buffer.from(s.key).toString('hex'))

  test('an hour and a day of each budget, the shared ones last', () => {
    const kinds = throttle.code(phone('+491701234567'), '192.0.2.1').map((s) => s.kind)
    assert.deepEqual(
      [...new Set(kinds)],
      ['number', 'address', 'network', 'prefix', 'country-unproved', 'country', 'total-unproved', 'total'],
    )
    assert.equal(kinds.length, 16)
  })
  test('limits are what the operator says', () => {
    const limits = throttle.code(phone('+491701234567'), '192.0.2.1').map((s) => [s.kind, s.windowMs, s.limit])
    assert.deepEqual(limits.slice(0, 2), [
      ['number', 3_600_000, 7],
      ['number', 86_400_000, 8],
    ])
  })
  test('the same number is the same budget however it is written', () => {
    assert.deepEqual(named('+491701234567', '::1', 'number'), named('+49 (0)170 1234567', '::1', 'number'))
    assert.notDeepEqual(named('+491701234567', '::1', 'number'), named('+491701234568', '::1', 'number'))
  })
  test('neighbouring numbers share a prefix', () => {
    assert.deepEqual(named('+491701234567', '::1', 'prefix'), named('+491701999999', '::1', 'prefix'))
    assert.notDeepEqual(named('+491701234567', '::1', 'prefix'), named('+491711234567', '::1', 'prefix'))
  })
  test('addresses of one network share a budget: an IPv4 /24, an IPv6 /48', () => {
    const network = (ip: string) => named('+491701234567', ip, 'network')[0]
    assert.equal(network('192.0.2.1'), network('192.0.2.255'))
    assert.notEqual(network('192.0.2.1'), network('192.0.3.1'))
    assert.equal(network('2001:db8:1:2::1'), network('2001:db8:1:ffff::9'))
    assert.notEqual(network('2001:db8:1::1'), network('2001:db8:2::1'))
  })
  test('half of what all share is kept for those who have proved themselves', () => {
    const code = new Throttle(Buffer.alloc(32, 1), { total: { hour: 9, day: 20 } }).code(phone('+491701234567'), '::1')
    const of = (kind: string) =>
      code.filter((s) => s.kind === kind).map(({ limit, unless }) => [limit, unless?.map((u) => u.kind)])
    assert.deepEqual(of('total'), [
      [9, undefined],
      [20, undefined],
    ])
    const who = ['prefix', 'range', 'country']
    assert.deepEqual(of('total-unproved'), [
      [5, who],
      [10, who],
    ])
    assert.deepEqual(of('country-unproved')[0]?.[1], ['prefix', 'range'])
  })
  test('a code speaks for a prefix, a range of the net and a country', () => {
    const sources = (number: string, ip: string) => throttle.sources(phone(number), ip).map(({ key }) => key)
    const [prefix, range, country] = sources('+491701234567', '192.0.2.1')
    assert.equal(country, 'DE')
    assert.deepEqual(sources('+491701999999', '192.0.99.1'), [prefix, range, country])
    assert.notEqual(sources('+491711234567', '192.0.2.1')[0], prefix)
    assert.notEqual(sources('+491701234567', '192.1.2.1')[1], range)
    assert.equal(sources('+491701234567', '2001:db8:1::')[1], sources('+491701234567', '2001:db8:2::')[1])
  })
  test('rows tell neither number nor address, and need the key to be guessed', () => {
    const rows = JSON.stringify(throttle.code(phone('+491701234567'), '192.0.2.1'))
    assert.doesNotMatch(rows, /491701|192\.0\.2/)
    const other = new Throttle(Buffer.alloc(32, 9)).code(phone('+491701234567'), '192.0.2.1')
    assert.notDeepEqual(other[0]?.key, throttle.code(phone('+491701234567'), '192.0.2.1')[0]?.key)
  })
})
