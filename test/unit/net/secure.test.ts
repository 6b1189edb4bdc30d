import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls'
import { generate } from 'selfsigned'
import { type HandshakeWay, secureServerSocket } from '../../../src/net/secure.ts'
import { bridgeCertificate, keyPem, phoneKey, toPem } from '../../helpers/bridge-certificate.ts'
import { listening } from '../../helpers/listening.ts'
import { splittingProxy } from '../../helpers/split-records.ts'

const NO_TICKET = 0x4000
const BIG = Buffer.alloc(300_000, 'x')

interface TestServer {
  readonly port: number
  /** The raw socket of the connection that comes next. */
  accepted(): Promise<Socket>
  readonly ways: HandshakeWay[]
  readonly faults: Error[]
}
let kontalk: { readonly cert: string; readonly key: string }
let contexts: { context: ReturnType<typeof createSecureContext>; ticketless: ReturnType<typeof createSecureContext> }
const closing: (() => void)[] = []
/** Unlike `once`, whatever else happens. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.closed ? resolve() : void socket.on('close', () => resolve())))
before(async () => {
  const phone = await phoneKey('romeo@example.org')
  kontalk = { cert: toPem(bridgeCertificate(phone)), key: keyPem(phone.master) }
  const own = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec', curve: 'P-256' })
  const options = { cert: own.cert, key: own.private, sessionIdContext: 'test' }
  contexts = {
    context: createSecureContext(options),
    ticketless: createSecureContext({ ...options, secureOptions: NO_TICKET }),
  }
})
after(() => {
  for (const close of closing) close()
})

/** Greets whoever has finished the handshake with what it has shown, then echoes. */
async function serve(always: boolean, initial = false): Promise<TestServer> {
  const ways: HandshakeWay[] = []
  const faults: Error[] = []
  let arrived = Promise.withResolvers<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (raw) => void greet(raw))
  const greet = async (raw: Socket): Promise<void> => {
    raw.on('error', () => undefined)
    arrived.resolve(raw)
    try {
      const read = initial ? { initial: ((await once(raw, 'data')) as [Buffer])[0] } : {}
      const socket = await secureServerSocket(raw, { ...contexts, always, onWay: (way) => ways.push(way), ...read })
      socket.on('error', () => undefined)
      const shown = socket.getPeerCertificate().raw === undefined ? 'none' : 'certificate'
      socket.write(`${shown} ${socket.isSessionReused() ? 'resumed' : 'fresh'}\n`)
      socket.pipe(socket)
    } catch (error) {
      faults.push(error as Error)
    }
  }
  closing.push(() => server.close())
  return {
    port: await listening(server),
    accepted: () => arrived.promise.finally(() => (arrived = Promise.withResolvers())),
    ways,
    faults,
  }
}

/** Connects and reads the greeting. */
async function greeted(
  port: number,
  options: ConnectionOptions = {},
): Promise<{ greeting: string; socket: TLSSocket }> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    // The certificate is signed with SHA-1.
    ciphers: 'DEFAULT@SECLEVEL=0',
    ...options,
  })
  const ended = closed(socket).then(() => Promise.reject(new Error('closed')))
  const [data] = (await Promise.race([once(socket, 'data'), ended])) as [Buffer]
  ended.catch(() => undefined)
  return { greeting: data.toString().trimEnd(), socket }
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const pinned = { minVersion: version, maxVersion: version }
  describe(version, () => {
    test('25 logins with a Kontalk certificate, record by record', async () => {
      const server = await serve(true)
      const proxy = await splittingProxy(server.port, server.accepted)
      closing.push(() => proxy.close())
      for (let i = 0; i < 25; i++) {
        const { greeting, socket } = await greeted(proxy.port, { ...pinned, ...kontalk })
        assert.equal(greeting, 'certificate fresh')
        socket.write('echo')
        assert.equal(String(((await once(socket, 'data')) as [Buffer])[0]), 'echo')
        socket.destroy()
      }
      assert.deepEqual(server.faults, [])
    })
    test('left alone, OpenSSL stumbles over it: if this fails, gathering is needed no more', async () => {
      const server = await serve(false)
      const proxy = await splittingProxy(server.port, server.accepted)
      closing.push(() => proxy.close())
      await greeted(proxy.port, { ...pinned, ...kontalk }).then(
        ({ greeting }) => assert.fail(greeting),
        () => undefined,
      )
      assert.equal((server.faults[0] as NodeJS.ErrnoException).code, 'ERR_SSL_INVALID_CERTIFICATE')
    })
    for (const always of [true, false]) {
      test(`a client without certificate, ${always ? 'gathered' : 'left alone'}, loses no byte`, async () => {
        const server = await serve(always)
        const { greeting, socket } = await greeted(server.port, pinned)
        assert.equal(greeting, 'none fresh')
        socket.write(BIG)
        let got = 0
        while (got < BIG.length) got += ((await once(socket, 'data')) as [Buffer])[0].length
        assert.equal(got, BIG.length)
        socket.end()
        await once(socket, 'close')
        assert.deepEqual(server.ways, [always ? 'gathered' : 'direct'])
      })
    }
    test('a certificate is not taken from a resumed session where records are gathered', async () => {
      const server = await serve(true)
      const first = await greeted(server.port, { ...pinned, ...kontalk })
      const session = first.socket.getSession()
      first.socket.destroy()
      const { greeting, socket } = await greeted(server.port, {
        ...pinned,
        ...kontalk,
        ...(session ? { session } : {}),
      })
      assert.equal(greeting, 'certificate fresh')
      socket.destroy()
    })
    test('bytes of the handshake that were read before', async () => {
      for (const always of [true, false]) {
        const { greeting, socket } = await greeted((await serve(always, true)).port, pinned)
        assert.equal(greeting, 'none fresh')
        socket.destroy()
      }
    })
  })
}

test('OpenSSL is left alone', async (t) => {
  const server = await serve(false)
  const client = spawn('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${server.port}`])
  const started = await Promise.race([once(client, 'spawn').then(() => true), once(client, 'error').then(() => false)])
  if (!started) return t.skip('openssl is not there')
  const [data] = (await once(client.stdout, 'data')) as [Buffer]
  assert.equal(data.toString(), 'none fresh\n')
  client.stdin.end()
  client.kill()
  await once(client, 'exit')
  assert.deepEqual(server.ways, ['direct'])
})

test('the ClientHello byte by byte', async () => {
  const server = await serve(false)
  const proxy = createServer((client) => {
    const upstream = connectTcp({ port: server.port, host: '127.0.0.1', noDelay: true })
    upstream.pipe(client)
    client.on('data', (chunk) => {
      for (const byte of chunk) upstream.write(Buffer.of(byte))
    })
    client.on('close', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    client.on('error', () => upstream.destroy())
  })
  closing.push(() => proxy.close())
  const { greeting, socket } = await greeted(await listening(proxy))
  assert.equal(greeting, 'none fresh')
  socket.destroy()
})

for (const always of [true, false]) {
  test(`rubbish in one piece with the end of the handshake, ${always ? 'gathered' : 'left alone'}, harms nobody`, async () => {
    const server = await serve(always)
    const proxy = createServer((client) => {
      const upstream = connectTcp({ port: server.port, host: '127.0.0.1', noDelay: true })
      upstream.pipe(client)
      client.on('data', (chunk) => {
        const isFlight = chunk[0] !== 22
        upstream.write(isFlight ? Buffer.concat([chunk, Buffer.of(23, 3, 3, 0, 32), Buffer.alloc(32)]) : chunk)
      })
      client.on('close', () => upstream.destroy())
      upstream.on('error', () => client.destroy())
      client.on('error', () => upstream.destroy())
    })
    closing.push(() => proxy.close())
    const client = connect({ port: await listening(proxy), host: '127.0.0.1', rejectUnauthorized: false })
    client.on('error', () => undefined)
    client.resume()
    await closed(client)
    const { greeting, socket } = await greeted(server.port)
    assert.equal(greeting, 'none fresh')
    socket.destroy()
  })
  test(`a reset after the handshake, ${always ? 'gathered' : 'left alone'}, harms nobody`, async () => {
    const server = await serve(always)
    const accepted = server.accepted()
    const tcp = connectTcp({ port: server.port, host: '127.0.0.1' })
    tcp.on('error', () => undefined)
    const client = connect({ socket: tcp, rejectUnauthorized: false })
    client.on('error', () => undefined)
    await once(client, 'data')
    tcp.resetAndDestroy()
    const raw = await accepted
    await closed(raw)
    const { greeting, socket } = await greeted(server.port)
    assert.equal(greeting, 'none fresh')
    socket.destroy()
  })
}

describe('what is no handshake', () => {
  for (const [name, bytes] of [
    ['XML', '<stream:stream>'],
    ['nothing', ''],
    ['half a ClientHello', '\x16\x03\x01\x01\x00\x01'],
  ] as const) {
    for (const always of [true, false]) {
      test(`${name} is refused, ${always ? 'gathered' : 'left alone'}`, async () => {
        const server = await serve(always)
        const accepted = server.accepted()
        const client = connectTcp({ port: server.port, host: '127.0.0.1' })
        client.on('error', () => undefined)
        client.end(Buffer.from(bytes, 'latin1'))
        const raw = await accepted
        client.resume()
        await closed(raw)
        assert.equal(server.faults.length, 1)
      })
    }
  }
  test('the caller gives up', async () => {
    const server = await serve(false)
    const client = connectTcp({ port: server.port, host: '127.0.0.1' })
    client.on('error', () => undefined)
    const raw = await server.accepted()
    raw.destroy()
    await once(client, 'close')
    assert.equal(server.faults.length, 1)
  })
})
