import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as ask } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createSecureContext, connect as tlsConnect } from 'node:tls'
import pino from 'pino'
import { generate } from 'selfsigned'
import type { HttpRequest, Route } from '../../../src/contract/route.ts'
import { listenPublic, type PublicLimits, type PublicOptions } from '../../../src/http/public.ts'
import { Proxies } from '../../../src/net/proxies.ts'
import { StoreError } from '../../../src/storage/sql.ts'

const LIMITS: PublicLimits = {
  maxHeaderBytes: 4_096,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  idleTimeoutMs: 10_000,
  connections: 100,
  connectionsPerAddress: 100,
  requestsPerAddress: { count: 1_000, perMs: 60_000 },
}
const ROUTES: readonly Route[] = [
  { name: 'plain', path: '/plain', get: () => ({ status: 200, body: 'a text' }) },
  {
    name: 'who',
    path: '/who',
    get: ({ ip, host, query }) => ({ status: 200, body: `${ip} ${host} ${query.get('q')}` }),
  },
  {
    name: 'open',
    path: '/open/:a',
    isOpen: true,
    get: ({ params }) => ({ status: 200, body: params.a ?? '' }),
    put: echo,
  },
  {
    name: 'stream',
    path: '/stream',
    get: () => ({
      status: 200,
      headers: { 'content-length': '6' },
      body: Readable.from([Buffer.from('st'), Buffer.from('ream')]),
    }),
  },
  {
    name: 'endless',
    path: '/endless',
    get: () => ({ status: 200, headers: { 'content-length': String(2 ** 40) }, body: endless() }),
  },
  { name: 'refuses', path: '/refuses', put: () => ({ status: 413, body: 'too large' }) },
  { name: 'fails', path: '/fails', get: () => Promise.reject(new Error('a secret')) },
  { name: 'away', path: '/away', get: () => Promise.reject(new StoreError('unavailable', undefined)) },
]
async function echo(request: HttpRequest) {
  let body = ''
  for await (const chunk of request.body()) body += chunk.toString()
  return { status: 200, body }
}
const endless = (): Readable =>
  new Readable({
    read() {
      this.push(Buffer.alloc(65_536))
    },
  })

async function site(
  t: TestContext,
  options: Partial<Omit<PublicOptions, 'limits'>> & { limits?: Partial<PublicLimits> } = {},
) {
  const refused: string[] = []
  const answered: string[] = []
  const logged: string[] = []
  const { limits, ...rest } = options
  const server = await listenPublic({
    listen: [{ host: '127.0.0.1', port: 0 }],
    https: [],
    proxyProtocol: false,
    proxies: new Proxies([]),
    routes: ROUTES,
    secureContext: () => createSecureContext(),
    turn: () => Promise.resolve(),
    log: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
    answered: (route, status) => void answered.push(`${route} ${status}`),
    refused: (why) => void refused.push(why),
    ...rest,
    limits: { ...LIMITS, ...limits },
  })
  const sockets: Socket[] = []
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await server.close()
  })
  const port = server.addresses[0]?.address.port ?? 0
  return {
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    refused,
    answered,
    logged,
    /** A bare connection. */
    open: (): Socket => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.on('error', () => undefined)
      sockets.push(socket)
      return socket
    },
    /** All that comes back for these bytes, until the server ends the connection. */
    raw: async (bytes: string | Buffer): Promise<string> => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      sockets.push(socket)
      socket.write(bytes)
      let told = ''
      socket.on('data', (chunk) => {
        told += chunk.toString()
      })
      await new Promise((resolve) => socket.once('end', resolve).once('error', resolve).once('close', resolve))
      return told
    },
  }
}
/** The server ends it with 408, which whoever is still writing may lose. */
async function endsLate(socket: Socket): Promise<void> {
  let told = ''
  socket.on('data', (chunk) => {
    told += chunk.toString()
  })
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve))
  assert.ok(told === '' || statusOf(told) === '408', told)
}
/** What the other end of a connection does is not told by an event here. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await setImmediate()
}
const statusOf = (answer: string): string => /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? `no answer: ${answer}`

test('routes answer, with safe headers; HEAD is answered like GET', async (t) => {
  const { url, answered } = await site(t)
  const answer = await fetch(`${url}/plain?x=1`)
  assert.equal(await answer.text(), 'a text')
  const headers = Object.fromEntries(answer.headers)
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.equal(headers['cache-control'], 'no-store')
  assert.match(headers['content-security-policy'] ?? '', /default-src 'none'.*frame-ancestors 'none'.*sandbox/)
  assert.equal(headers['referrer-policy'], 'no-referrer')
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
  assert.equal(headers['access-control-allow-origin'], undefined)
  for (const [path, length] of [
    ['plain', '6'],
    ['stream', '6'],
  ]) {
    const head = await fetch(`${url}/${path}`, { method: 'HEAD' })
    assert.equal(head.headers.get('content-length'), length)
    assert.equal(await head.text(), '')
  }
  assert.equal(await (await fetch(`${url}/stream`)).text(), 'stream')
  assert.deepEqual(answered, ['plain 200', 'plain 200', 'stream 200', 'stream 200'])
})

test('what is not there, other methods, and pages of other origins', async (t) => {
  const { url, answered } = await site(t)
  const missing = await fetch(`${url}/nothing`)
  assert.equal(missing.status, 404)
  assert.equal(missing.headers.get('x-content-type-options'), 'nosniff')
  const wrong = await fetch(`${url}/plain`, { method: 'DELETE' })
  assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'GET, HEAD, OPTIONS'])
  const closed = await fetch(`${url}/plain`, { method: 'OPTIONS' })
  assert.deepEqual([closed.status, closed.headers.get('access-control-allow-methods')], [204, null])
  const open = await fetch(`${url}/open/x`, { method: 'OPTIONS' })
  assert.equal(open.headers.get('access-control-allow-origin'), '*')
  assert.equal(open.headers.get('access-control-allow-methods'), 'GET, HEAD, PUT, OPTIONS')
  assert.match(open.headers.get('access-control-allow-headers') ?? '', /content-type/)
  const put = await fetch(`${url}/open/x`, { method: 'PUT', body: 'bytes' })
  assert.deepEqual([await put.text(), put.headers.get('access-control-allow-origin')], ['bytes', '*'])
  assert.deepEqual(answered, ['none 404', 'plain 405', 'plain 204', 'open 204', 'open 200'])
})

test('what fails inside says nothing of it, and is logged', async (t) => {
  const { url, logged } = await site(t)
  const failed = await fetch(`${url}/fails`)
  assert.deepEqual([failed.status, await failed.text()], [500, 'internal error\n'])
  assert.equal((await fetch(`${url}/away`)).status, 503)
  assert.match(logged[0] ?? '', /a secret/)
})

test('bytes that are no request, or two of them, are refused and end the connection', async (t) => {
  const { raw, answered, logged } = await site(t)
  const host = 'host: localhost\r\n'
  const bad: Readonly<Record<string, string>> = {
    'no method': `BREW /plain HTTP/1.1\r\n${host}\r\n`,
    'no HTTP': 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\r\n',
    'no host': 'GET /plain HTTP/1.1\r\n\r\n',
    'length and chunks': `PUT /open/x HTTP/1.1\r\n${host}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /plain HTTP/1.1\r\n${host}\r\n`,
    'chunks and length': `PUT /open/x HTTP/1.1\r\n${host}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\nGET /plain HTTP/1.1\r\n${host}\r\n`,
    'two lengths': `PUT /open/x HTTP/1.1\r\n${host}content-length: 4\r\ncontent-length: 5\r\n\r\nabcde`,
    'a list of lengths': `PUT /open/x HTTP/1.1\r\n${host}content-length: 4, 4\r\n\r\nabcd`,
    'a length with a sign': `PUT /open/x HTTP/1.1\r\n${host}content-length: +4\r\n\r\nabcd`,
    'hidden chunks': `PUT /open/x HTTP/1.1\r\n${host}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`,
    'chunks, not last': `PUT /open/x HTTP/1.1\r\n${host}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    'a folded header': `GET /plain HTTP/1.1\r\n${host}a: b\r\n c: d\r\n\r\n`,
    'a space before the colon': `PUT /open/x HTTP/1.1\r\n${host}content-length : 4\r\n\r\nabcd`,
    'a bare carriage return': `GET /plain HTTP/1.1\r\n${host}a: b\rc: d\r\n\r\n`,
    'a bad chunk size': `PUT /open/x HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n-1\r\n\r\n`,
  }
  for (const [what, bytes] of Object.entries(bad)) {
    const told = await raw(bytes)
    assert.equal(statusOf(told), '400', what)
    assert.equal(told.match(/HTTP\/1\.1/g)?.length, 1, `${what}: one answer`)
  }
  assert.ok(
    answered.every((answer) => answer === 'open 400'),
    'no route took one',
  )
  assert.deepEqual(logged, [])
})

test('paths that are none, or lead elsewhere', async (t) => {
  const { raw } = await site(t)
  for (const [target, status] of [
    ['http://elsewhere/plain', '400'],
    ['*', '400'],
    ['/pl|ain', '400'],
    ['/open/../plain', '404'],
    ['/open/%2e%2e', '404'],
    ['/open/..%2fplain', '404'],
    ['//plain', '404'],
    ['/plain/', '404'],
    ['/open/a%00', '404'],
  ])
    assert.equal(
      statusOf(await raw(`OPTIONS ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)),
      status,
      target,
    )
})

test('a header that is too large, or does not come to its end', async (t) => {
  const { raw } = await site(t, { limits: { headerTimeoutMs: 300 } })
  assert.equal(statusOf(await raw(`GET /plain HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(5_000)}\r\n\r\n`)), '431')
  assert.equal(statusOf(await raw(`GET /${'x'.repeat(5_000)} HTTP/1.1\r\nhost: x\r\n\r\n`)), '431')
  assert.equal(statusOf(await raw('GET /plain HTTP/1.1\r\nhost: x\r\na: b')), '408')
  assert.equal(statusOf(await raw('')), '408')
})

test('a header that drips is late all the same', async (t) => {
  const { open } = await site(t, { limits: { headerTimeoutMs: 400 } })
  const socket = open()
  const drip = setInterval(() => socket.write('a: b\r\n'), 20)
  t.after(() => clearInterval(drip))
  socket.write('GET /plain HTTP/1.1\r\nhost: x\r\n')
  await endsLate(socket)
})

test('a body that stops, or takes too long', async (t) => {
  const { open } = await site(t, { limits: { headerTimeoutMs: 200, idleTimeoutMs: 200, requestTimeoutMs: 600 } })
  const silent = open()
  silent.write('PUT /open/x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nab')
  await once(silent.resume(), 'end')
  const slow = open()
  slow.write('PUT /open/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n')
  const drip = setInterval(() => slow.write('a'), 20)
  t.after(() => clearInterval(drip))
  await endsLate(slow)
})

test('who does not read is cut off', async (t) => {
  const { open, server } = await site(t, { limits: { idleTimeoutMs: 200 } })
  const socket = open()
  socket.write('GET /endless HTTP/1.1\r\nhost: x\r\n\r\n')
  await until(() => server.connections === 1)
  await until(() => server.connections === 0)
})

test('a body that is not wanted does not lose the answer', async (t) => {
  const { port, url, raw } = await site(t)
  const body = Buffer.alloc(700_000)
  const put = await fetch(`${url}/refuses`, { method: 'PUT', body })
  assert.deepEqual([put.status, await put.text()], [413, 'too large'])
  const told = await raw(
    Buffer.concat([
      Buffer.from('PUT /refuses HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n'),
      Buffer.alloc(2_000_000),
    ]),
  )
  assert.ok(told === '' || statusOf(told) === '413', 'and so much more ends the connection')
  // Who asks first is told before he sends anything.
  for (const [path, wanted] of [
    ['/refuses', 413],
    ['/open/x', 200],
  ] as const) {
    const request = ask({ port, path, method: 'PUT', headers: { expect: '100-continue', 'content-length': 4 } })
    let isTold = false
    request.on('continue', () => {
      isTold = true
      request.end('body')
    })
    request.flushHeaders()
    const [response] = await once(request, 'response')
    assert.deepEqual([response.statusCode, isTold], [wanted, wanted === 200])
    request.destroy()
  }
})

test('connections of all and of one address are counted', async (t) => {
  const { url, open, refused, server } = await site(t, { limits: { connectionsPerAddress: 3, connections: 5 } })
  const sockets = [open(), open(), open()]
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  await once(open().resume(), 'end').catch(() => undefined)
  await assert.rejects(fetch(`${url}/plain`))
  assert.ok(refused.length > 0 && refused.every((why) => why === 'connections-of-address'), refused.join())
  assert.ok(server.connections <= 3)
  for (const socket of sockets) socket.destroy()
  let status: number | undefined
  while (status === undefined)
    status = await fetch(`${url}/plain`).then(
      (answer) => answer.status,
      () => undefined,
    )
  assert.equal(status, 200)
})
test('connections of a trusted proxy are not those of one address, but count', async (t) => {
  const { open, refused } = await site(t, {
    proxies: new Proxies(['127.0.0.1']),
    limits: { connectionsPerAddress: 1, connections: 3 },
  })
  const sockets = [open(), open(), open()]
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  await once(open().resume(), 'end').catch(() => undefined)
  assert.deepEqual(refused, ['connections'])
})

test('requests of one address are limited, also behind a proxy; who is not trusted cannot say who he is', async (t) => {
  const limits = { requestsPerAddress: { count: 3, perMs: 3_600_000 } }
  const statuses = async (url: string) => {
    const found: number[] = []
    for (let i = 0; i < 4; i++)
      found.push((await fetch(`${url}/plain`, { headers: { 'x-forwarded-for': `198.51.100.${i}` } })).status)
    return found
  }
  const stranger = await site(t, { limits })
  assert.deepEqual(await statuses(stranger.url), [200, 200, 200, 429])
  assert.deepEqual(stranger.refused, ['rate'])
  assert.equal((await fetch(`${stranger.url}/plain`)).headers.get('retry-after'), '60')
  const proxied = await site(t, { limits, proxies: new Proxies(['127.0.0.1']) })
  assert.deepEqual(await statuses(proxied.url), [200, 200, 200, 200])
})

test('whose request it is', async (t) => {
  const get = async (port: number, forwarded?: string) =>
    await (
      await fetch(`http://localhost:${port}/who?q=a%26b`, {
        headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
      })
    ).text()
  assert.equal(await get((await site(t)).port, '198.51.100.1'), '127.0.0.1 localhost a&b')
  const { port } = await site(t, { proxies: new Proxies(['127.0.0.0/8']) })
  assert.equal(await get(port, '1.2.3.4, 198.51.100.1'), '198.51.100.1 localhost a&b')
  assert.equal(await get(port), '127.0.0.1 localhost a&b')
})

const WHO = 'GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
test('the PROXY protocol is asked of trusted proxies, and of nobody else', async (t) => {
  const trusted = await site(t, { proxyProtocol: true, proxies: new Proxies(['127.0.0.1']) })
  assert.match(await trusted.raw(`PROXY TCP4 198.51.100.1 192.0.2.2 4711 5280\r\n${WHO}`), /198\.51\.100\.1 x null$/)
  const v2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc6336402c000020212670016', 'hex')
  assert.match(await trusted.raw(Buffer.concat([v2, Buffer.from(WHO)])), /198\.51\.100\.2 x null$/)
  assert.equal(await trusted.raw(WHO), '', 'without one')
  assert.deepEqual(trusted.refused, ['proxy-header'])
  // Its own network counts then, not that of the proxy.
  const limited = await site(t, {
    proxyProtocol: true,
    proxies: new Proxies(['127.0.0.1']),
    limits: { connectionsPerAddress: 1 },
  })
  const first = limited.open()
  first.write('PROXY TCP4 198.51.100.1 192.0.2.2 4711 5280\r\nGET /plain HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(first, 'data')
  assert.equal(await limited.raw(`PROXY TCP4 198.51.100.1 192.0.2.2 4712 5280\r\n${WHO}`), '')
  assert.deepEqual(limited.refused, ['connections-of-address'])
  assert.match(await limited.raw(`PROXY TCP4 198.51.100.9 192.0.2.2 4713 5280\r\n${WHO}`), /198\.51\.100\.9/)
  // A stranger's header is no HTTP.
  const stranger = await site(t, { proxyProtocol: true, proxies: new Proxies(['192.0.2.1']) })
  assert.equal(statusOf(await stranger.raw(`PROXY TCP4 198.51.100.1 192.0.2.2 4711 5280\r\n${WHO}`)), '400')
  assert.match(await stranger.raw(WHO), /127\.0\.0\.1 x null$/)
})
test('a PROXY header that does not come ends the connection', async (t) => {
  const { raw, refused } = await site(t, {
    proxyProtocol: true,
    proxies: new Proxies(['127.0.0.1']),
    limits: { headerTimeoutMs: 100 },
  })
  assert.equal(await raw('PROXY TCP4 '), '')
  assert.deepEqual(refused, ['proxy-header'])
})

test('the same over TLS, behind the PROXY protocol too; a handshake has its time', async (t) => {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
  })
  const { port, raw, refused } = await site(t, {
    listen: [],
    https: [{ host: '127.0.0.1', port: 0 }],
    secureContext: () => createSecureContext({ cert, key }),
    proxyProtocol: true,
    proxies: new Proxies(['127.0.0.1']),
    limits: { headerTimeoutMs: 300 },
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('PROXY TCP4 198.51.100.1 192.0.2.2 4711 5280\r\n')
  const secured = tlsConnect({ socket, ca: cert, servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'] })
  secured.write(WHO)
  assert.match(await text(secured), /198\.51\.100\.1 x null$/)
  assert.equal(secured.alpnProtocol, 'http/1.1')
  assert.equal(await raw('PROXY UNKNOWN\r\n'), '')
  await until(() => refused.length > 0)
  assert.deepEqual(refused, ['handshake'])
})

test('closing lets a running request end', async (t) => {
  const { server, url } = await site(t)
  const answer = await fetch(`${url}/plain`)
  const closing = server.close()
  assert.equal(await answer.text(), 'a text')
  await closing
  await assert.rejects(fetch(`${url}/plain`))
})
