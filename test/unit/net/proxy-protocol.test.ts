import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { parseProxyHeader, readProxyHeader } from '../../../src/net/proxy-protocol.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const v2 = (command: string, family: string, rest: string): Buffer =>
  Buffer.from(`${SIGNATURE}${command}${family}${(rest.length / 2).toString(16).padStart(4, '0')}${rest}`, 'hex')
const V4 = `c6336401c000020212670016`
const GOOD: readonly (readonly [header: Buffer, source: string | undefined])[] = [
  [Buffer.from('PROXY TCP4 198.51.100.1 192.0.2.2 4711 5280\r\n'), '198.51.100.1'],
  [Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 4711 5280\r\n'), '2001:db8::1'],
  [Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  [Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'), undefined],
  [v2('21', '11', V4), '198.51.100.1'],
  // With additions behind the addresses.
  [v2('21', '11', `${V4}0300041234abcd`), '198.51.100.1'],
  [v2('21', '21', `20010db8${'00'.repeat(11)}01${'00'.repeat(16)}00010002`), '2001:db8:0:0:0:0:0:1'],
  [v2('20', '00', ''), undefined],
  [v2('20', '11', V4), undefined],
  [v2('21', '00', ''), undefined],
  [v2('21', '31', '00'.repeat(216)), undefined],
]
const BAD: readonly (Buffer | string)[] = [
  'GET / HTTP/1.1\r\n',
  'PROXY TCP4 198.51.100.1 192.0.2.2 4711\r\n',
  'PROXY TCP4 198.51.100.256 192.0.2.2 4711 5280\r\n',
  'PROXY TCP4 2001:db8::1 2001:db8::2 4711 5280\r\n',
  'PROXY TCP4 198.51.100.1 192.0.2.2 4711 65536\r\n',
  'PROXY  TCP4 198.51.100.1 192.0.2.2 4711 5280\r\n',
  'PROXY UDP4 198.51.100.1 192.0.2.2 4711 5280\r\n',
  `PROXY TCP4 ${'1'.repeat(120)}`,
  Buffer.from(`${SIGNATURE}11110000`, 'hex'),
  v2('22', '11', V4),
  v2('21', '12', V4),
  v2('21', '11', V4.slice(2)),
  Buffer.from(`${SIGNATURE}2111ffff`, 'hex'),
]

test('headers of both versions name the source, however they are cut', () => {
  for (const [header, source] of GOOD) {
    const following = Buffer.concat([header, Buffer.from('GET')])
    assert.deepEqual(parseProxyHeader(following), { bytes: header.length, source })
    for (let cut = 0; cut < header.length; cut++) assert.equal(parseProxyHeader(header.subarray(0, cut)), 'more')
  }
})
test('what is no header is refused as soon as that is clear', () => {
  for (const bytes of BAD) assert.equal(parseProxyHeader(Buffer.from(bytes as string)), 'bad', bytes.toString('latin1'))
})

async function pair(t: TestContext): Promise<{ client: Socket; served: Socket }> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as { port: number }).port, '127.0.0.1')
  const [served] = (await once(server, 'connection')) as [Socket]
  client.on('error', () => undefined)
  t.after(() => {
    client.destroy()
    served.destroy()
    server.close()
  })
  return { client, served }
}

test('the header is taken off a connection, what follows stays', async (t) => {
  for (const [header, source] of GOOD) {
    const { client, served } = await pair(t)
    const read = readProxyHeader(served, 5_000)
    client.write(header.subarray(0, 5))
    client.write(header.subarray(5))
    client.write('GET')
    assert.equal(await read, source)
    let text = ''
    while (text.length < 3) text += String((await once(served, 'data'))[0])
    assert.equal(text, 'GET')
  }
})
test('a connection without one is ended: other bytes, silence, its end', async (t) => {
  const other = await pair(t)
  other.client.write('GET / HTTP/1.1\r\n')
  await assert.rejects(readProxyHeader(other.served, 5_000), /is none/)
  const silent = await pair(t)
  silent.client.write('PROXY TCP4')
  await assert.rejects(readProxyHeader(silent.served, 50), /in time/)
  const ended = await pair(t)
  ended.client.end('PROXY')
  await assert.rejects(readProxyHeader(ended.served, 5_000), /closed/)
  for (const { served } of [other, silent, ended]) assert.equal(served.destroyed, true)
})
