import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { SmsError, type SmsFault } from '../../../src/account/sms-provider.ts'
import { WebhookSms, type WebhookSmsOptions } from '../../../src/sms/webhook.ts'

const SECRET = 'correct horse battery staple'
const MESSAGE = {
  to: '+491701234567',
  code: '012345',
  text: '012345 is your code for example.org.',
  expiresInSeconds: 600,
  reference: '0b0f7b52-6d1c-4f0e-9d37-0d8f0f6f7a10',
}
const NEVER = new AbortController().signal

/** A gateway on loopback that answers as told; gives its URL. */
async function gateway(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/send?x=1`
}
const provider = (url: string, options: Partial<WebhookSmsOptions> = {}) =>
  new WebhookSms({ url, secret: SECRET, sender: 'Example', ...options })
const saying =
  (status: number, type: string | undefined, body: string): RequestListener =>
  (_, response) => {
    response.writeHead(status, type === undefined ? {} : { 'content-type': type }).end(body)
  }
async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
/** The error that sending ends in; checks that it tells nothing. */
async function faultOf(sending: Promise<void>): Promise<SmsFault> {
  const error: unknown = await sending.then(
    () => undefined,
    (e: unknown) => e,
  )
  assert.ok(error instanceof SmsError, `expected an SmsError, got ${String(error)}`)
  const cause = error.cause instanceof Error ? `${error.cause.stack} ${JSON.stringify(error.cause)}` : ''
  for (const secret of [MESSAGE.to, MESSAGE.code, SECRET]) assert.ok(!`${error.stack} ${cause}`.includes(secret))
  return error.fault
}

describe('a message handed over', () => {
  test('is JSON, signed with the time', async (t) => {
    const seen: { body: string; headers: IncomingMessage['headers']; method: string | undefined }[] = []
    const url = await gateway(t, (request, response) => {
      void text(request).then((body) => {
        seen.push({ body, headers: request.headers, method: request.method })
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"7"}')
      })
    })
    await provider(url, { now: () => 1_795_000_000_999 }).send(MESSAGE, NEVER)
    const [got] = seen
    assert.ok(got)
    assert.equal(got.method, 'POST')
    assert.deepEqual(JSON.parse(got.body), { to: MESSAGE.to, code: MESSAGE.code, text: MESSAGE.text, expires_in: 600 })
    assert.equal(got.headers['fernruf-timestamp'], '1795000000')
    const expected = createHmac('sha256', SECRET).update(`1795000000.${got.body}`).digest('hex')
    assert.equal(got.headers['fernruf-signature'], `v1=${expected}`)
  })
  test('is named when the gateway reports what becomes of it', async (t) => {
    const bodies: string[] = []
    const url = await gateway(t, (request, response) => {
      void text(request).then((body) => {
        bodies.push(body)
        response.writeHead(204).end()
      })
    })
    const options = { url, secret: SECRET, sender: 'Example' }
    await new WebhookSms(options).send(MESSAGE, NEVER)
    await new WebhookSms({ ...options, signatureSecret: SECRET }).send(MESSAGE, NEVER)
    const ids = bodies.map((body) => (JSON.parse(body) as { readonly id?: string }).id)
    assert.deepEqual(ids, [undefined, MESSAGE.reference])
  })
  test('is taken with an empty answer too', async (t) => {
    await provider(await gateway(t, saying(204, undefined, ''))).send(MESSAGE, NEVER)
    await provider(await gateway(t, saying(202, 'text/plain', ''))).send(MESSAGE, NEVER)
    await provider(await gateway(t, saying(200, 'application/vnd.api+json; charset=utf-8', '{}'))).send(MESSAGE, NEVER)
  })
})

describe('a gateway that says no', () => {
  const answers: readonly [number, SmsFault][] = [
    [400, 'refused'],
    [401, 'unauthorized'],
    [403, 'unauthorized'],
    [404, 'bad-answer'],
    [422, 'refused'],
    [429, 'throttled'],
    [500, 'unavailable'],
    [503, 'unavailable'],
  ]
  for (const [status, fault] of answers) {
    test(`${status}: ${fault}`, async (t) => {
      const echo = `${MESSAGE.to} ${MESSAGE.code} ${SECRET}`
      assert.equal(
        await faultOf(provider(await gateway(t, saying(status, 'text/plain', echo))).send(MESSAGE, NEVER)),
        fault,
      )
    })
  }
})

describe('something that is no gateway', () => {
  test('a page', async (t) => {
    const url = await gateway(t, saying(200, 'text/html', '<!doctype html><title>Log in</title>'))
    assert.equal(await faultOf(provider(url).send(MESSAGE, NEVER)), 'bad-answer')
  })
  test('JSON by name only, or no object', async (t) => {
    for (const body of ['<html>', '"ok"', '[]', 'null', '{'])
      assert.equal(
        await faultOf(provider(await gateway(t, saying(200, 'application/json', body))).send(MESSAGE, NEVER)),
        'bad-answer',
        body,
      )
  })
  test('a redirect is not followed', async (t) => {
    let elsewhere = 0
    const other = await gateway(t, (_, response) => {
      elsewhere++
      response.end()
    })
    for (const status of [301, 302, 307, 308]) {
      const url = await gateway(t, (_, response) => void response.writeHead(status, { location: other }).end())
      assert.equal(await faultOf(provider(url).send(MESSAGE, NEVER)), 'bad-answer')
    }
    assert.equal(elsewhere, 0)
  })
  test('an answer without end is not read to its end', async (t) => {
    const url = await gateway(t, (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => void (response.destroyed || response.write('x'.repeat(16_384), more))
      more()
    })
    assert.equal(await faultOf(provider(url).send(MESSAGE, NEVER)), 'bad-answer')
  })
})

describe('a gateway that does not answer', () => {
  test('nobody listens', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    assert.equal(await faultOf(provider(`http://127.0.0.1:${port}/`).send(MESSAGE, NEVER)), 'unavailable')
  })
  test('it hangs up', async (t) => {
    const url = await gateway(t, (request) => void request.socket.destroy())
    assert.equal(await faultOf(provider(url).send(MESSAGE, NEVER)), 'unavailable')
  })
  test('it says nothing until the time is over', async (t) => {
    const url = await gateway(t, () => undefined)
    assert.equal(await faultOf(provider(url, { timeoutMs: 20 }).send(MESSAGE, NEVER)), 'timeout')
  })
  test('it stops in the middle', async (t) => {
    const url = await gateway(t, (_, response) => void response.writeHead(200).write('{'))
    assert.equal(await faultOf(provider(url, { timeoutMs: 20 }).send(MESSAGE, NEVER)), 'timeout')
  })
  test('the server gives up', async (t) => {
    const stop = new AbortController()
    const url = await gateway(t, (_: IncomingMessage, __: ServerResponse) => stop.abort())
    assert.equal(await faultOf(provider(url).send(MESSAGE, stop.signal)), 'timeout')
  })
})

describe('what an operator can get wrong', () => {
  test('http to another machine', () => {
    assert.throws(() => provider('http://gateway.example.org/'), /must begin with https:/)
    assert.throws(() => provider('http://127.0.0.1.example.org/'), /must begin with https:/)
    for (const url of ['https://gateway.example.org/', 'http://localhost:8080/', 'http://[::1]/']) provider(url)
    provider('http://gateway.example.org/', { allowPlainHttp: true })
  })
  test('another scheme, or no URL', () => {
    assert.throws(() => provider('ftp://gateway.example.org/'), /must begin with https:/)
    assert.throws(() => provider('gateway'))
  })
  test('a short secret', () => {
    assert.throws(() => provider('https://gateway.example.org/', { secret: 'short' }), /at least 16 bytes/)
  })
})
