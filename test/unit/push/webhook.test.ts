import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { PushError, type PushFault } from '../../../src/push/provider.ts'
import { WebhookPush } from '../../../src/push/webhook.ts'

const SECRET = 'correct horse battery staple'
const TARGET = { service: 'gcm', token: 'token-of-the-phone' }
const NEVER = new AbortController().signal

async function gateway(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/push`
}

test('a wake-up is signed, and says nothing but whom to wake', async (t) => {
  const bodies: string[] = []
  const headers: Record<string, unknown>[] = []
  const url = await gateway(t, (request, response) => {
    headers.push(request.headers)
    request.setEncoding('utf8').on('data', (text: string) => void bodies.push(text))
    request.on('end', () => response.writeHead(200).end())
  })
  await new WebhookPush({ url, secret: SECRET, now: () => 1_795_000_000_999 }).wake(TARGET, NEVER)
  assert.deepEqual(JSON.parse(bodies.join('')), {
    provider: 'gcm',
    token: TARGET.token,
    action: 'org.kontalk.CHECK_MESSAGES',
    collapse_key: 'new',
    priority: 'high',
  })
  const expected = createHmac('sha256', SECRET)
    .update(`1795000000.${bodies.join('')}`)
    .digest('hex')
  assert.equal(headers[0]?.['fernruf-signature'], `v1=${expected}`)
})

test('what the gateway says, and that no token or secret is in the error', async (t) => {
  const answers: readonly [number, PushFault][] = [
    [410, 'gone'],
    [404, 'bad-answer'],
    [400, 'refused'],
    [403, 'unauthorized'],
    [429, 'throttled'],
    [502, 'unavailable'],
    [302, 'bad-answer'],
  ]
  for (const [status, fault] of answers) {
    const echo = `${TARGET.token} ${SECRET}`
    const url = await gateway(t, (_, response) => response.writeHead(status, { location: 'http://[::1]/' }).end(echo))
    const error: unknown = await new WebhookPush({ url, secret: SECRET }).wake(TARGET, NEVER).then(
      () => undefined,
      (e: unknown) => e,
    )
    assert.ok(error instanceof PushError)
    assert.equal(error.fault, fault)
    const told = `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`
    assert.ok(!told.includes(TARGET.token) && !told.includes(SECRET))
  }
  const page = await gateway(t, (_, response) => response.writeHead(200).end('<html>'))
  await assert.rejects(
    new WebhookPush({ url: page, secret: SECRET }).wake(TARGET, NEVER),
    (e) => e instanceof PushError && e.fault === 'bad-answer',
  )
})

test('tokens go to no other machine in clear', () => {
  assert.throws(() => new WebhookPush({ url: 'http://push.example.org/', secret: SECRET }), /must begin with https:/)
  assert.throws(() => new WebhookPush({ url: 'https://push.example.org/', secret: 'short' }), /at least 16 bytes/)
})
