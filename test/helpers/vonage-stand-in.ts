import { createHash, createHmac, generateKeyPairSync, randomUUID, verify } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Vonage on loopback, for what Fernruf uses of it: SMS API (`/sms/json`) and Verify v2 (`/v2/verify…`). Paths, parameters and their
 * bounds, answers and statuses follow the vendor's published OpenAPI descriptions `sms` and `verify.v2`; a request that does not is
 * answered as there, and told in `faults`. Its reports are signed as the vendor's guides say, «Signed webhooks» for Verify and
 * «Signing messages» for SMS.
 */
export interface VonageStandIn {
  readonly url: string
  readonly apiKey: string
  readonly apiSecret: string
  /** What came, in order. */
  readonly seen: Seen[]
  /** What was wrong with it by the descriptions; to be empty at a test's end. */
  readonly faults: string[]
  /** Texts sent, by number without `+`. */
  readonly texts: Text[]
  /** Requests of Verify, by id. */
  readonly requests: ReadonlyMap<string, VerifyRequest>
  readonly signatureSecret: string
  /** An application of the account, made when it is first asked for. */
  application(): { readonly id: string; readonly privateKey: string }
  /** A callback of Verify; `changes`: what is another way than it should be. */
  callback(event: object, changes?: CallbackChanges): SignedReport
  /** A delivery receipt of the SMS API. */
  receipt(params: Readonly<Record<string, string>>, secret?: string): SignedReport
  /** Answers in place of the API, while set. */
  instead: ((request: IncomingMessage, response: ServerResponse, body: string) => void) | undefined
  close(): Promise<void>
}
export interface Text {
  readonly to: string
  readonly text: string
  readonly ref?: string
  readonly callback?: string
}
export interface SignedReport {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}
export interface CallbackChanges {
  readonly head?: object
  readonly claims?: object
  readonly secret?: string
}
export interface Seen {
  readonly method: string
  readonly path: string
  readonly body: Readonly<Record<string, unknown>> | undefined
}
export interface VerifyRequest {
  readonly to: string
  readonly code: string
  readonly channels: readonly string[]
  readonly ref?: string
  /** How many of the channels were used. */
  used: number
  wrong: number
  state: 'open' | 'completed' | 'failed' | 'cancelled'
}

const LOCALE = /^[a-z]{2}-[a-z]{2}$/
/** E.164 without a leading `+` or `00`. */
const NUMBER = /^[1-9]\d{6,14}$/
const problem = (title: string, detail: string, more: object = {}) => ({
  type: `https://developer.vonage.com/api-errors#${title.toLowerCase().replaceAll(' ', '-')}`,
  title,
  detail,
  instance: 'bf0ca0bf927b3b52e3cb03217e1a1ddf',
  ...more,
})
/** What the vendor answers, by status; each echoes all it was told, to see where that goes. */
export function errorAnswer(status: number, echo = ''): string {
  const [title, detail] = {
    401: ['Unauthorized', 'You did not provide correct credentials.'],
    402: ['Low balance', 'This request could not be performed due to your account balance being low.'],
    404: ['Not Found', 'Request was not found or it has been verified already.'],
    409: ['Conflict', 'Concurrent verifications to the same number are not allowed.'],
    410: ['Invalid Code', 'An incorrect code has been provided too many times. Workflow terminated.'],
    422: ['Invalid params', 'The value of one or more parameters is invalid.'],
    429: ['Rate Limit Hit', 'Please wait, then retry your request.'],
    500: ['Internal Server Error', 'Something went wrong.'],
  }[status] ?? ['Error', 'Error']
  return JSON.stringify(problem(title ?? '', `${detail} ${echo}`))
}

export async function startVonage(): Promise<VonageStandIn> {
  const [apiKey, apiSecret] = ['abcd1234', 'Secret-Of-The-Account-7']
  const seen: Seen[] = []
  const faults: string[] = []
  const signatureSecret = 'Signature-Secret-Of-The-Account-8'
  const texts: Text[] = []
  const applicationId = randomUUID()
  let keys: { readonly publicKey: string; readonly privateKey: string } | undefined
  const requests = new Map<string, VerifyRequest>()
  let codes = 654_320

  const server = createServer((request, response) => {
    void textOf(request).then((body) => {
      const json = jsonOf(body)
      seen.push({ method: request.method ?? '', path: request.url ?? '', body: json })
      if (self.instead !== undefined) return self.instead(request, response, body)
      const [status, answer] = answerTo(request, json)
      response.writeHead(status, answer === undefined ? {} : { 'content-type': 'application/json' })
      response.end(answer === undefined ? undefined : JSON.stringify(answer))
    })
  })

  function answerTo(request: IncomingMessage, body: Record<string, unknown> | undefined): [number, object?] {
    const { method = '', url = '', headers } = request
    const wrong = (what: string) => void faults.push(`${method} ${url}: ${what}`)
    const basic = `Basic ${Buffer.from(`${apiKey}:${apiSecret}`).toString('base64')}`
    if (headers.authorization !== basic && !isApplication(headers.authorization ?? '')) {
      return [401, problem('Unauthorized', 'You did not provide correct credentials.')]
    }
    if (body !== undefined && headers['content-type'] !== 'application/json') wrong('content-type')
    if (method === 'POST' && url === '/sms/json') return sms(body ?? {}, wrong)
    if (method === 'POST' && url === '/v2/verify') return begin(body ?? {}, wrong)
    const [, id = '', next] = /^\/v2\/verify\/([^/]+)(\/next_workflow)?$/.exec(url) ?? []
    const one = requests.get(id)
    if (id === '') wrong('no such path')
    if (one?.state !== 'open')
      return [404, problem('Not Found', `Request '${id}' was not found or it has been verified already.`)]
    if (method === 'DELETE' && next === undefined) {
      one.state = 'cancelled'
      return [204]
    }
    if (method !== 'POST') wrong('method')
    if (next !== undefined) {
      if (one.used === one.channels.length)
        return [409, problem('Conflict', 'There are no more events left to trigger.')]
      one.used++
      return [200, {}]
    }
    return check(id, one, body ?? {}, wrong)
  }

  function sms(body: Record<string, unknown>, wrong: (what: string) => void): [number, object?] {
    const { from, to, text, 'client-ref': ref, callback, ...more } = body
    if (Object.keys(more).length > 0) wrong(`unknown ${Object.keys(more)}`)
    const isSender = typeof from === 'string' && /^(?:\d{1,15}|[A-Za-z0-9 ]{1,11})$/.test(from)
    const isReported = isText(ref, 40) && isText(callback, 1_000)
    if (
      !isReported ||
      !isSender ||
      typeof to !== 'string' ||
      !NUMBER.test(to) ||
      typeof text !== 'string' ||
      text === ''
    ) {
      wrong('parameters')
      return [200, { 'message-count': '1', messages: [{ status: '3', 'error-text': 'Invalid params' }] }]
    }
    texts.push({ to, text, ...(isGiven(ref) ? { ref } : {}), ...(isGiven(callback) ? { callback } : {}) })
    return [200, smsAnswer(to, '0')]
  }

  function begin(body: Record<string, unknown>, wrong: (what: string) => void): [number, object?] {
    const { brand, locale, channel_timeout: wait, code_length: length, workflow, client_ref: ref, ...more } = body
    const invalid = [
      ...Object.keys(more),
      ...(typeof brand === 'string' && brand.length >= 1 && brand.length <= 16 ? [] : ['brand']),
      ...(typeof locale === 'string' && LOCALE.test(locale) ? [] : ['locale']),
      ...(Number.isInteger(wait) && Number(wait) >= 15 && Number(wait) <= 900 ? [] : ['channel_timeout']),
      ...(Number.isInteger(length) && Number(length) >= 4 && Number(length) <= 10 ? [] : ['code_length']),
      ...(isWorkflow(workflow) ? [] : ['workflow']),
      ...(isText(ref, 40) ? [] : ['client_ref']),
    ]
    if (invalid.length > 0 || !isWorkflow(workflow)) {
      wrong(`invalid ${invalid.join()}`)
      const invalidParameters = invalid.map((name) => ({ name, reason: 'invalid' }))
      return [
        422,
        problem('Invalid params', 'The value of one or more parameters is invalid.', {
          invalid_parameters: invalidParameters,
        }),
      ]
    }
    const to = workflow[0]?.to ?? ''
    const open = [...requests].find(([, one]) => one.to === to && one.state === 'open')
    if (open !== undefined) {
      const detail = 'Concurrent verifications to the same number are not allowed.'
      return [409, problem('Conflict', detail, { request_id: open[0] })]
    }
    const id = crypto.randomUUID()
    const code = String(++codes)
    const channels = workflow.map((w) => w.channel)
    requests.set(id, { to, code, channels, used: 1, wrong: 0, state: 'open', ...(isGiven(ref) ? { ref } : {}) })
    return [202, { request_id: id }]
  }

  function check(
    id: string,
    one: VerifyRequest,
    body: Record<string, unknown>,
    wrong: (what: string) => void,
  ): [number, object?] {
    const { code, ...more } = body
    if (typeof code !== 'string' || !/^[a-zA-Z0-9]{4,10}$/.test(code) || Object.keys(more).length > 0) {
      wrong('code')
      return [422, problem('Invalid params', 'The value of one or more parameters is invalid.')]
    }
    if (code === one.code) {
      one.state = 'completed'
      return [200, { request_id: id, status: 'completed' }]
    }
    if (++one.wrong < 3)
      return [400, problem('Invalid Code', 'The code you provided does not match the expected value.')]
    one.state = 'failed'
    return [410, problem('Invalid Code', 'An incorrect code has been provided too many times. Workflow terminated.')]
  }

  /** RS256 by the application's key, with the claims that authentication asks for. */
  function isApplication(authorization: string): boolean {
    const [, text = '', claims = '', signature = ''] = /^Bearer ([\w-]+\.([\w-]+))\.([\w-]+)$/.exec(authorization) ?? []
    if (keys === undefined || !verify('sha256', Buffer.from(text), keys.publicKey, Buffer.from(signature, 'base64url')))
      return false
    const { application_id: id, iat, exp, jti } = jsonOf(Buffer.from(claims, 'base64url').toString()) ?? {}
    const now = Date.now() / 1000
    return id === applicationId && Math.abs(Number(iat) - now) < 60 && Number(exp) > now && typeof jti === 'string'
  }

  function callback(event: object, { head = {}, claims = {}, secret = signatureSecret }: CallbackChanges = {}) {
    const body = JSON.stringify(event)
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const all = {
      iat: Math.floor(Date.now() / 1000),
      jti: randomUUID(),
      iss: 'Vonage',
      payload_hash: createHash('sha256').update(body).digest('hex'),
      api_key: apiKey,
      application_id: applicationId,
      ...claims,
    }
    const text = `${part({ alg: 'HS256', typ: 'JWT', ...head })}.${part(all)}`
    const signature = createHmac('sha256', secret).update(text).digest('base64url')
    return { headers: { 'content-type': 'application/json', authorization: `Bearer ${text}.${signature}` }, body }
  }

  function receipt(params: Readonly<Record<string, string>>, secret = signatureSecret): SignedReport {
    const all: Record<string, string> = {
      msisdn: '4915123456781',
      to: 'Example',
      'network-code': '26201',
      messageId: '0C000000217B7F02',
      price: '0.03330000',
      scts: '2611251200',
      'err-code': '0',
      'api-key': apiKey,
      'message-timestamp': '2026-11-25 12:00:00',
      timestamp: String(Math.floor(Date.now() / 1000)),
      nonce: randomUUID(),
      ...params,
    }
    const signed = Object.keys(all)
      .sort()
      .map((name) => `&${name}=${all[name]?.replaceAll('&', '_').replaceAll('=', '_')}`)
    const sig = createHmac('sha256', secret).update(signed.join('')).digest('hex').toUpperCase()
    return { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...all, sig }) }
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const self: VonageStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey,
    apiSecret,
    seen,
    faults,
    texts,
    requests,
    signatureSecret,
    application: () => {
      keys ??= generateKeyPairSync('rsa', {
        modulusLength: 2048,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      })
      return { id: applicationId, privateKey: keys.privateKey }
    },
    callback,
    receipt,
    instead: undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return self
}

/** The SMS API's answer for one message: HTTP status 200 whatever became of it. */
export function smsAnswer(to: string, status: string, echo = ''): object {
  const sent = {
    to,
    'message-id': '0C000000217B7F02',
    status,
    'remaining-balance': '15.53590000',
    'message-price': '0.03330000',
    network: '26201',
  }
  return { 'message-count': '1', messages: [status === '0' ? sent : { to, status, 'error-text': `refused ${echo}` }] }
}

/** Absent, or a text of so many characters. */
const isText = (value: unknown, max: number): boolean =>
  value === undefined || (typeof value === 'string' && value.length >= 1 && value.length <= max)
const isGiven = (value: unknown): value is string => typeof value === 'string'

interface Way {
  readonly channel: string
  readonly to: string
}
function isWorkflow(value: unknown): value is readonly Way[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > 3) return false
  return value.every((way: unknown) => {
    if (typeof way !== 'object' || way === null) return false
    const { channel, to, ...more } = way as Record<string, unknown>
    const isKnown = channel === 'sms' || channel === 'voice'
    return isKnown && typeof to === 'string' && NUMBER.test(to) && Object.keys(more).length === 0
  })
}
async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
function jsonOf(text: string): Record<string, unknown> | undefined {
  return text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>)
}
