import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { SmsError, type SmsFault } from '../../../src/account/sms-provider.ts'
import { VonageSms } from '../../../src/sms/vonage-sms.ts'
import { VonageVerify } from '../../../src/sms/vonage-verify.ts'
import type { VonageAccount } from '../../../src/sms/vonage-wire.ts'
import { errorAnswer, smsAnswer, startVonage, type VonageStandIn } from '../../helpers/vonage-stand-in.ts'

const MESSAGE = {
  to: '+4915123456781',
  code: '012345',
  text: '012345 is your code for example.org.',
  expiresInSeconds: 600,
  reference: '0b0f7b52-6d1c-4f0e-9d37-0d8f0f6f7a10',
}
const GIVEN = '987654'
const NEVER = new AbortController().signal

async function vonage(t: TestContext): Promise<VonageStandIn> {
  const stand = await startVonage()
  t.after(() => stand.close())
  return stand
}
const accountAt = ({ url, apiKey, apiSecret }: VonageStandIn, more: Partial<VonageAccount> = {}): VonageAccount => ({
  apiKey,
  apiSecret,
  baseUrl: url,
  ...more,
})
const smsAt = (v: VonageStandIn, more?: Partial<VonageAccount>) =>
  new VonageSms({ from: 'Example', ...accountAt(v, more) })
const verifyAt = (v: VonageStandIn, more?: Partial<VonageAccount>, voice = true) =>
  new VonageVerify({ brand: 'Example', locale: 'de-de', voice, ...accountAt(v, more) })
const TICKET = 'c11236f4-00bf-4b89-84ba-88b25df97315'

/** Everything that is asked of a provider, and so can fail. */
const CALLS: Readonly<
  Record<string, (v: VonageStandIn, more?: Partial<VonageAccount>, signal?: AbortSignal) => Promise<unknown>>
> = {
  'vonage-sms send': (v, more, signal = NEVER) => smsAt(v, more).send(MESSAGE, signal),
  'vonage-verify send': (v, more, signal = NEVER) => verifyAt(v, more).send(MESSAGE, signal),
  'vonage-verify check': (v, more, signal = NEVER) => verifyAt(v, more).codes.check(TICKET, GIVEN, signal),
  'vonage-verify cancel': (v, more, signal = NEVER) => verifyAt(v, more).codes.cancel(TICKET, signal),
  'vonage-verify next': async (v, more, signal = NEVER) => verifyAt(v, more).codes.next?.(TICKET, signal),
}

/** The fault that a call ends in; checks that neither the error nor anything within it tells what was sent. */
async function faultOf(
  v: { readonly apiKey: string; readonly apiSecret: string },
  call: Promise<unknown>,
): Promise<SmsFault> {
  const error: unknown = await call.then(
    (value) => assert.fail(`expected an SmsError, got ${inspect(value)}`),
    (e: unknown) => e,
  )
  assert.ok(error instanceof SmsError, `expected an SmsError, got ${inspect(error)}`)
  const shown = [...textsIn(error)].join('\n')
  const basic = Buffer.from(`${v.apiKey}:${v.apiSecret}`).toString('base64')
  for (const secret of [v.apiKey, v.apiSecret, basic, MESSAGE.to.slice(1), MESSAGE.code, GIVEN])
    assert.ok(!shown.includes(secret), `${secret} stands in ${shown}`)
  return error.fault
}
/** All texts and bytes within a value, whether or not it shows them. */
function* textsIn(value: unknown, seen = new Set<unknown>()): Generator<string> {
  if (typeof value === 'string') yield value
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  if (ArrayBuffer.isView(value)) yield Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
  else for (const key of Reflect.ownKeys(value)) yield* textsIn((value as Record<PropertyKey, unknown>)[key], seen)
}
/** An answer that repeats all it was told. */
const echoing =
  (status: number, type = 'application/json') =>
  (request: IncomingMessage, response: ServerResponse, body: string): void => {
    const echo = `${request.headers.authorization} ${Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64')} ${body}`
    response.writeHead(status, { 'content-type': type }).end(errorAnswer(status, echo))
  }

describe('vonage-sms', () => {
  test('sends our text, to a number without plus', async (t) => {
    const v = await vonage(t)
    assert.equal(await smsAt(v).send(MESSAGE, NEVER), undefined)
    assert.deepEqual(v.seen, [
      { method: 'POST', path: '/sms/json', body: { from: 'Example', to: '4915123456781', text: MESSAGE.text } },
    ])
    assert.deepEqual(v.texts, [{ to: '4915123456781', text: MESSAGE.text }])
    assert.deepEqual(v.faults, [])
  })

  test('names the message, and where receipts go, only when they are read', async (t) => {
    const v = await vonage(t)
    const options = { from: 'Example', ...accountAt(v), callback: 'https://example.org/sms/vonage-sms' }
    await new VonageSms(options).send(MESSAGE, NEVER)
    await new VonageSms({ ...options, signatureSecret: v.signatureSecret }).send(MESSAGE, NEVER)
    const [plain, reported] = v.texts
    assert.deepEqual(Object.keys(plain ?? {}), ['to', 'text'])
    assert.deepEqual([reported?.ref, reported?.callback], [MESSAGE.reference, options.callback])
    assert.deepEqual(v.faults, [])
  })

  const statuses: readonly [string, SmsFault][] = [
    ['1', 'throttled'],
    ['2', 'refused'],
    ['3', 'refused'],
    ['4', 'unauthorized'],
    ['5', 'unavailable'],
    ['6', 'refused'],
    ['7', 'refused'],
    ['8', 'unauthorized'],
    ['9', 'unpaid'],
    ['10', 'throttled'],
    ['11', 'unauthorized'],
    ['12', 'refused'],
    ['14', 'unauthorized'],
    ['15', 'refused'],
    ['22', 'refused'],
    ['29', 'refused'],
    ['32', 'unauthorized'],
    ['33', 'refused'],
    ['1000', 'bad-answer'],
    ['constructor', 'bad-answer'],
    [MESSAGE.to.slice(1), 'bad-answer'],
  ]
  for (const [status, fault] of statuses) {
    test(`status ${status} of a message: ${fault}`, async (t) => {
      const v = await vonage(t)
      v.instead = (_, response, body) =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify(smsAnswer('4915123456781', status, body)))
      assert.equal(await faultOf(v, smsAt(v).send(MESSAGE, NEVER)), fault)
    })
  }
  test('one part of two that fails is a failure', async (t) => {
    const v = await vonage(t)
    const parts = [
      { to: '4915123456781', status: '0' },
      { to: '4915123456781', status: '9' },
    ]
    v.instead = (_, response) =>
      void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ 'message-count': '2', messages: parts }))
    assert.equal(await faultOf(v, smsAt(v).send(MESSAGE, NEVER)), 'unpaid')
  })
  test('an answer about no message is none', async (t) => {
    const v = await vonage(t)
    for (const body of ['', '{}', '{"message-count":"0","messages":[]}', '{"messages":{}}', '{"messages":[null]}']) {
      v.instead = (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body)
      assert.equal(await faultOf(v, smsAt(v).send(MESSAGE, NEVER)), 'bad-answer', body)
    }
  })
})

describe('vonage-verify', () => {
  test('asks for a message and then a call, and gives the ticket', async (t) => {
    const v = await vonage(t)
    const ticket = await verifyAt(v).send(MESSAGE, NEVER)
    assert.deepEqual(v.seen[0], {
      method: 'POST',
      path: '/v2/verify',
      body: {
        brand: 'Example',
        locale: 'de-de',
        code_length: 6,
        channel_timeout: 300,
        workflow: [
          { channel: 'sms', to: '4915123456781' },
          { channel: 'voice', to: '4915123456781' },
        ],
      },
    })
    assert.ok(v.requests.has(ticket))
    assert.deepEqual(v.faults, [])
  })
  test('makes no call where none is wanted', async (t) => {
    const v = await vonage(t)
    const provider = verifyAt(v, {}, false)
    await provider.send(MESSAGE, NEVER)
    assert.deepEqual(v.seen[0]?.body?.workflow, [{ channel: 'sms', to: '4915123456781' }])
    assert.equal(provider.codes.next, undefined)
  })
  test('keeps within the vendor’s times', async (t) => {
    const v = await vonage(t)
    await verifyAt(v).send({ ...MESSAGE, expiresInSeconds: 30 }, NEVER)
    await verifyAt(v).send({ ...MESSAGE, to: '+4915123456782', expiresInSeconds: 86_400 }, NEVER)
    assert.deepEqual(
      v.seen.map((s) => s.body?.channel_timeout),
      [60, 900],
    )
    assert.deepEqual(v.faults, [])
  })
  test('knows a right code once, a wrong one, and a request that is over', async (t) => {
    const v = await vonage(t)
    const { codes, ...provider } = { codes: verifyAt(v).codes, send: () => verifyAt(v).send(MESSAGE, NEVER) }
    const first = await provider.send()
    const code = v.requests.get(first)?.code ?? ''
    assert.equal(await codes.check(first, GIVEN, NEVER), 'wrong')
    assert.equal(await codes.check(first, code, NEVER), 'right')
    assert.equal(await codes.check(first, code, NEVER), 'gone')
    const second = await provider.send()
    for (const answer of ['wrong', 'wrong', 'gone', 'gone'])
      assert.equal(await codes.check(second, GIVEN, NEVER), answer)
    assert.deepEqual(v.faults, [])
  })
  test('is not asked about what can be no code', async (t) => {
    const v = await vonage(t)
    const ticket = await verifyAt(v).send(MESSAGE, NEVER)
    for (const code of ['', '12345', '1234567', '１２３４５６', 'abcdef', '12345/', '123456\n', '1'.repeat(100_000)])
      assert.equal(await verifyAt(v).codes.check(ticket, code, NEVER), 'wrong')
    assert.equal(v.seen.length, 1)
  })
  test('cancels, and then takes the number again', async (t) => {
    const v = await vonage(t)
    const provider = verifyAt(v)
    const ticket = await provider.send(MESSAGE, NEVER)
    assert.equal(await faultOf(v, provider.send(MESSAGE, NEVER)), 'refused')
    await provider.codes.cancel(ticket, NEVER)
    assert.equal(v.requests.get(ticket)?.state, 'cancelled')
    assert.notEqual(await provider.send(MESSAGE, NEVER), ticket)
    assert.notEqual(await faultOf(v, provider.codes.cancel(ticket, NEVER)), 'timeout')
    assert.deepEqual(v.faults, [])
  })
  test('calls when asked to, once', async (t) => {
    const v = await vonage(t)
    const provider = verifyAt(v)
    const ticket = await provider.send(MESSAGE, NEVER)
    await provider.codes.next?.(ticket, NEVER)
    assert.equal(v.requests.get(ticket)?.used, 2)
    assert.equal(await faultOf(v, provider.codes.next?.(ticket, NEVER) ?? Promise.resolve()), 'refused')
    await provider.codes.cancel(ticket, NEVER)
    assert.equal(await faultOf(v, provider.codes.next?.(ticket, NEVER) ?? Promise.resolve()), 'refused')
    assert.deepEqual(v.faults, [])
  })
  test('takes no ticket that would lead elsewhere, nor an answer without one', async (t) => {
    const v = await vonage(t)
    for (const id of ['../../account', 'a/b', '', 'x'.repeat(65), 7, null, undefined]) {
      v.instead = (_, response) =>
        void response.writeHead(202, { 'content-type': 'application/json' }).end(JSON.stringify({ request_id: id }))
      assert.equal(await faultOf(v, verifyAt(v).send(MESSAGE, NEVER)), 'bad-answer', String(id))
    }
  })
  test('takes no code for right unless the answer says so', async (t) => {
    const v = await vonage(t)
    for (const body of ['', '{}', '{"status":"pending"}', '{"status":true}']) {
      v.instead = (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body)
      assert.equal(await faultOf(v, verifyAt(v).codes.check(TICKET, GIVEN, NEVER)), 'bad-answer', body)
    }
  })
})

describe('errors of the vendor', () => {
  const statuses: readonly [number, SmsFault][] = [
    [401, 'unauthorized'],
    [402, 'unpaid'],
    [403, 'unauthorized'],
    [404, 'bad-answer'],
    [409, 'refused'],
    [410, 'refused'],
    [422, 'refused'],
    [429, 'throttled'],
    [500, 'unavailable'],
    [503, 'unavailable'],
  ]
  /** Where a status is an answer, and no error. */
  const answers: Readonly<Record<string, unknown>> = {
    'vonage-verify check 404': 'gone',
    'vonage-verify check 410': 'gone',
    'vonage-verify check 422': 'wrong',
  }
  for (const [name, call] of Object.entries(CALLS)) {
    for (const [status, fault] of statuses) {
      const answer = answers[`${name} ${status}`]
      const expected = name === 'vonage-verify next' && status === 404 ? 'refused' : fault
      test(`${name}, ${status}: ${answer ?? expected}`, async (t) => {
        const v = await vonage(t)
        v.instead = echoing(status)
        if (answer === undefined) assert.equal(await faultOf(v, call(v)), expected)
        else assert.equal(await call(v), answer)
      })
    }
    test(`${name}: a page is no answer`, async (t) => {
      const v = await vonage(t)
      const pages = [
        ['text/html', '<!doctype html><title>Log in</title>'],
        ['application/json', '<!doctype html>'],
        ['application/json', '[]'],
      ] as const
      for (const [type, body] of pages) {
        v.instead = (_, response) => void response.writeHead(200, { 'content-type': type }).end(body)
        assert.equal(await faultOf(v, call(v)), 'bad-answer', body)
      }
      v.instead = echoing(502, 'text/html')
      assert.equal(await faultOf(v, call(v)), 'unavailable')
    })
    test(`${name}: silence ends in time`, async (t) => {
      const v = await vonage(t)
      v.instead = () => undefined
      assert.equal(await faultOf(v, call(v, { timeoutMs: 50 })), 'timeout')
      v.instead = (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{')
      assert.equal(await faultOf(v, call(v, { timeoutMs: 50 })), 'timeout')
    })
    test(`${name}: whoever asked may give up`, async (t) => {
      const v = await vonage(t)
      const stop = new AbortController()
      v.instead = () => stop.abort()
      assert.equal(await faultOf(v, call(v, {}, stop.signal)), 'timeout')
    })
    test(`${name}: no connection, or one that breaks`, async (t) => {
      const v = await vonage(t)
      v.instead = (request) => void request.socket.destroy()
      assert.equal(await faultOf(v, call(v)), 'unavailable')
      v.instead = (request, _, body) =>
        void request.socket.end(`${request.headers.authorization} ${body} no HTTP\r\n\r\n`)
      assert.equal(await faultOf(v, call(v)), 'unavailable')
      const closed = createTcpServer().listen(0, '127.0.0.1')
      await once(closed, 'listening')
      const { port } = closed.address() as AddressInfo
      closed.close()
      await once(closed, 'close')
      assert.equal(await faultOf(v, call(v, { baseUrl: `http://127.0.0.1:${port}` })), 'unavailable')
    })
    test(`${name}: redirects are not followed`, async (t) => {
      const [v, elsewhere] = [await vonage(t), await vonage(t)]
      for (const status of [301, 302, 307, 308]) {
        v.instead = (_, response) => void response.writeHead(status, { location: `${elsewhere.url}/sms/json` }).end()
        assert.equal(await faultOf(v, call(v)), 'bad-answer')
      }
      assert.equal(elsewhere.seen.length, 0)
    })
    test(`${name}: an answer without end is not read to its end`, async (t) => {
      const v = await vonage(t)
      v.instead = (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const more = () => void (response.destroyed || response.write('x'.repeat(16_384), more))
        more()
      }
      assert.equal(await faultOf(v, call(v)), 'bad-answer')
    })
  }
  test('wrong credentials are told from right ones', async (t) => {
    const v = await vonage(t)
    assert.equal(await faultOf(v, smsAt(v, { apiSecret: 'another' }).send(MESSAGE, NEVER)), 'unauthorized')
    assert.equal(await faultOf(v, verifyAt(v, { apiSecret: 'another' }).send(MESSAGE, NEVER)), 'unauthorized')
  })
  test('http goes to no other machine unless that is wanted', async (t) => {
    const v = await vonage(t)
    assert.throws(() => smsAt(v, { baseUrl: 'http://sms.example.org' }), /must begin with https:/)
    assert.throws(() => verifyAt(v, { baseUrl: 'ftp://sms.example.org' }), /must begin with https:/)
    smsAt(v, { baseUrl: 'http://sms.example.org', allowPlainHttp: true })
    smsAt(v, { baseUrl: 'https://sms.example.org' })
  })
})

describe('an application of the account', () => {
  test('asks by a token of its own each time, and names the request when callbacks are read', async (t) => {
    const v = await vonage(t)
    const options = { brand: 'Example', locale: 'de-de', voice: true, signatureSecret: v.signatureSecret }
    const application = v.application()
    const verify = new VonageVerify({ ...options, ...accountAt(v, { apiSecret: 'wrong', application }) })
    const ticket = await verify.send(MESSAGE, NEVER)
    assert.equal(v.requests.get(ticket)?.ref, MESSAGE.reference)
    assert.equal(await verify.codes.check(ticket, GIVEN, NEVER), 'wrong')
    assert.deepEqual(v.faults, [])
  })
  test('is refused with another key, or under another name', async (t) => {
    const [v, other] = [await vonage(t), await vonage(t)]
    const { id, privateKey } = v.application()
    const stranger = other.application()
    for (const application of [
      { id, privateKey: stranger.privateKey },
      { id: stranger.id, privateKey },
    ])
      assert.equal(await faultOf(v, verifyAt(v, { application }).send(MESSAGE, NEVER)), 'unauthorized')
  })
  test('needs an RSA key, and a wrong one is not shown', async (t) => {
    const v = await vonage(t)
    const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    for (const privateKey of ['no key at all', ec.export({ type: 'pkcs8', format: 'pem' }).toString()])
      assert.throws(
        () => verifyAt(v, { application: { id: 'a', privateKey } }),
        (e) => e instanceof Error && /must be an RSA key/.test(e.message) && !inspect(e).includes(privateKey),
      )
  })
})
