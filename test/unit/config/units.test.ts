import assert from 'node:assert/strict'
import test from 'node:test'
import { formatAddress, parseAddress, parseDuration, parseRate, parseSize } from '../../../src/config/units.ts'

test('durations', () => {
  assert.equal(parseDuration('500ms'), 500)
  assert.equal(parseDuration('15m'), 900_000)
  assert.equal(parseDuration('7d'), 604_800_000)
  for (const text of ['', '15', 'm', '1.5h', '-1s', '15 m', '1w', '999999999999999d', '1toString']) {
    assert.equal(parseDuration(text), undefined, text)
  }
})

test('sizes', () => {
  assert.equal(parseSize('10000B'), 10_000)
  assert.equal(parseSize('256KiB'), 262_144)
  assert.equal(parseSize('2GiB'), 2 ** 31)
  for (const text of ['', '256', '256KB', '1k', '0x1B']) assert.equal(parseSize(text), undefined, text)
})

test('rates', () => {
  assert.deepEqual(parseRate('60/1m'), { count: 60, perMs: 60_000 })
  for (const text of ['', '60', '60/', '/1m', '60/0m', '60/minute', '1/1/1m'])
    assert.equal(parseRate(text), undefined, text)
})

test('addresses, there and back', () => {
  assert.deepEqual(parseAddress('[::]:5222'), { host: '::', port: 5222 })
  for (const text of ['[::1]:5222', '127.0.0.1:0', 'localhost:65535']) {
    const address = parseAddress(text)
    assert.equal(address && formatAddress(address), text)
  }
  for (const text of ['', '5222', ':5222', '::1:5222', '[::]', '[::]:', 'a:65536', 'a b:1', '[a:1']) {
    assert.equal(parseAddress(text), undefined, text)
  }
})
