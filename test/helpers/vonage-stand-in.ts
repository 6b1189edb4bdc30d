import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Vonage on loopback, for what Fernruf uses of it: SMS API (`/sms/json`) and Verify v2 (`/v2/verify…`). Paths, parameters and their
 * bounds, answers and statuses follow the vendor's published OpenAPI descriptions `sms` and `verify.v2`; a request that does not is
 * answered as there, and told in `faults`.
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
  readonly texts: { readonly to: string; readonly text: string }[]
  /** Requests of Verify, by id. */
  readonly requests: ReadonlyMap<string, VerifyRequest>
  /** Answers in place of the API, while set. */
  instead: ((request: IncomingMessage, response: ServerResponse, body: string) => void) | undefined
  close(): Promise<void>
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
  const texts: { to: string; text: string }[] = []
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
    if (headers.authorization !== `Basic ${Buffer.from(`${apiKey}:${apiSecret}`).toString('base64')}`) {
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
    const { from, to, text, ...more } = body
    if (Object.keys(more).length > 0) wrong(`unknown ${Object.keys(more)}`)
    const isSender = typeof from === 'string' && /^(?:\d{1,15}|[A-Za-z0-9 ]{1,11})$/.test(from)
    if (!isSender || typeof to !== 'string' || !NUMBER.test(to) || typeof text !== 'string' || text === '') {
      wrong('parameters')
      return [200, { 'message-count': '1', messages: [{ status: '3', 'error-text': 'Invalid params' }] }]
    }
    texts.push({ to, text })
    return [200, smsAnswer(to, '0')]
  }

  function begin(body: Record<string, unknown>, wrong: (what: string) => void): [number, object?] {
    const { brand, locale, channel_timeout: wait, code_length: length, workflow, ...more } = body
    const invalid = [
      ...Object.keys(more),
      ...(typeof brand === 'string' && brand.length >= 1 && brand.length <= 16 ? [] : ['brand']),
      ...(typeof locale === 'string' && LOCALE.test(locale) ? [] : ['locale']),
      ...(Number.isInteger(wait) && Number(wait) >= 15 && Number(wait) <= 900 ? [] : ['channel_timeout']),
      ...(Number.isInteger(length) && Number(length) >= 4 && Number(length) <= 10 ? [] : ['code_length']),
      ...(isWorkflow(workflow) ? [] : ['workflow']),
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
    requests.set(id, { to, code, channels: workflow.map((w) => w.channel), used: 1, wrong: 0, state: 'open' })
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
