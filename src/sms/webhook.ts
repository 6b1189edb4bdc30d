import { createHmac } from 'node:crypto'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { SmsError, type SmsFault, type SmsMessage, type SmsProvider } from '../account/sms-provider.ts'

export interface WebhookSmsOptions {
  readonly url: string
  /** Shared with the gateway, at least 16 bytes. */
  readonly secret: string
  /** Shown to the user as whom the message comes from. */
  readonly sender: string
  readonly timeoutMs?: number
  /** Lets `http:` go to another machine, where the wire is private. */
  readonly allowPlainHttp?: boolean
  readonly now?: () => number
}

const TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 16 * 1024
const MIN_SECRET_BYTES = 16

/**
 * Hands codes to the operator's own gateway: `POST` of `{ "to", "code", "text", "expires_in" }` as JSON, with
 * `Fernruf-Timestamp` (seconds since the epoch) and `Fernruf-Signature: v1=` + hex HMAC-SHA256 of `<timestamp>.<body>`.
 * The gateway answers 2xx, with nothing or a JSON object, once it has taken the message.
 */
export class WebhookSms implements SmsProvider {
  readonly name = 'webhook'
  readonly sender: string
  readonly #url: URL
  readonly #secret: string
  readonly #timeoutMs: number
  readonly #now: () => number

  constructor(options: WebhookSmsOptions) {
    this.#url = gatewayUrl(options.url, options.allowPlainHttp ?? false)
    if (Buffer.byteLength(options.secret) < MIN_SECRET_BYTES) {
      throw new Error(`the secret of the SMS webhook must have at least ${MIN_SECRET_BYTES} bytes`)
    }
    this.#secret = options.secret
    this.sender = options.sender
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS
    this.#now = options.now ?? Date.now
  }

  async send(message: SmsMessage, signal: AbortSignal): Promise<void> {
    const body = JSON.stringify({
      to: message.to,
      code: message.code,
      text: message.text,
      expires_in: message.expiresInSeconds,
    })
    const timestamp = Math.floor(this.#now() / 1000)
    const signature = createHmac('sha256', this.#secret).update(`${timestamp}.${body}`).digest('hex')
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
      'user-agent': 'fernruf',
      'fernruf-timestamp': timestamp,
      'fernruf-signature': `v1=${signature}`,
    }
    const until = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)])
    try {
      checkAnswer(await post(this.#url, headers, body, until))
    } catch (error) {
      if (error instanceof SmsError) throw error
      throw new SmsError(until.aborted ? 'timeout' : 'unavailable', { cause: error })
    }
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** One request on a connection of its own. Redirects are not followed: the number would go where nobody configured it to. */
async function post(
  url: URL,
  headers: Readonly<Record<string, string | number>>,
  body: string,
  signal: AbortSignal,
): Promise<Answer> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { method: 'POST', agent: false, headers, signal })
      .on('response', resolve)
      .on('error', reject)
      .end(body)
  })
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) throw new SmsError('bad-answer')
    chunks.push(chunk)
  }
  return {
    status: response.statusCode ?? 0,
    type: response.headers['content-type'] ?? '',
    body: Buffer.concat(chunks).toString(),
  }
}

/** @throws SmsError unless a gateway says that it has taken the message */
function checkAnswer({ status, type, body }: Answer): void {
  const fault = faultOf(status)
  if (fault !== undefined) throw new SmsError(fault, { cause: new Error(`status ${status}`) })
  if (body.trim() === '') return
  // A login or parking page also says 200.
  if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(type) || !isJsonObject(body)) throw new SmsError('bad-answer')
}
function faultOf(status: number): SmsFault | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 400 || status === 422) return 'refused'
  if (status === 429) return 'throttled'
  return status >= 500 ? 'unavailable' : 'bad-answer'
}
function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

function gatewayUrl(text: string, allowPlainHttp: boolean): URL {
  const url = new URL(text)
  const plain = url.protocol === 'http:'
  if (!plain && url.protocol !== 'https:') throw new Error('the URL of the SMS webhook must begin with https:')
  if (plain && !allowPlainHttp && !isLoopback(url.hostname)) {
    throw new Error('the URL of the SMS webhook must begin with https:, as phone numbers are sent to it')
  }
  return url
}
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'))
}
