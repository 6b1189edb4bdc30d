import assert from 'node:assert/strict'
import test from 'node:test'
import { Proxies } from '../../../src/net/proxies.ts'

const proxies = new Proxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])

test('addresses and networks are trusted, mapped ones too', () => {
  for (const ip of ['10.1.2.3', '192.0.2.7', '2001:db8:1::5', '::ffff:10.1.2.3'])
    assert.equal(proxies.trusts(ip), true, ip)
  for (const ip of ['11.1.2.3', '192.0.2.8', '2001:db9::5', '::1', '::ffff:11.1.2.3', ''])
    assert.equal(proxies.trusts(ip), false, ip)
  assert.equal(new Proxies([]).trusts('127.0.0.1'), false)
})

test('who is behind a proxy is what trusted ones say, from the end', () => {
  const cases: readonly (readonly [peer: string, forwarded: string | undefined, client: string])[] = [
    // A stranger may say what he likes.
    ['203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['203.0.113.9', undefined, '203.0.113.9'],
    ['::ffff:203.0.113.9', undefined, '203.0.113.9'],
    ['10.0.0.1', undefined, '10.0.0.1'],
    ['10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', '198.51.100.1:4711', '198.51.100.1'],
    ['10.0.0.1', '[2001:db9::1]:4711', '2001:db9::1'],
    // What the client wrote itself stands on the left.
    ['10.0.0.1', '1.2.3.4, 198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', '1.2.3.4, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
    ['10.0.0.1', '10.3.3.3, 10.9.9.9', '10.3.3.3'],
    ['10.0.0.1', '1.2.3.4, nonsense', '10.0.0.1'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['10.0.0.1', 'unknown', '10.0.0.1'],
  ]
  for (const [peer, forwarded, client] of cases) assert.equal(proxies.clientOf(peer, forwarded), client, forwarded)
})
