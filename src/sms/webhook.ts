import { createHmac } from 'node:crypto'
import { SmsError, type SmsMessage, type SmsProvider } from '../account/sms-provider.ts'
import { type Answer, ask, faultOfStatus, gatewayUrl } from './http.ts'

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
    this.#url = gatewayUrl(options.url, options.allowPlainHttp ?? false, 'the SMS webhook')
    if (Buffer.byteLength(options.secret) < MIN_SECRET_BYTES) {
      throw new Error(`the secret of the SMS webhook must have at least ${MIN_SECRET_BYTES} bytes`)
    }
    this.#secret = options.secret
    this.sender = options.sender
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS
    this.#now = options.now ?? Date.now
  }

  async send(message: SmsMessage, signal: AbortSignal): Promise<undefined> {
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
      accept: 'application/json',
      'user-agent': 'fernruf',
      'fernruf-timestamp': timestamp,
      'fernruf-signature': `v1=${signature}`,
    }
    const until = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)])
    checkAnswer(await ask(this.#url, { method: 'POST', headers, body }, until))
  }
}

/** @throws SmsError unless a gateway says that it has taken the message */
function checkAnswer({ status, body, json }: Answer): void {
  const fault = faultOfStatus(status)
  if (fault !== undefined) throw new SmsError(fault, { cause: new Error(`status ${status}`) })
  // A login or parking page also says 200.
  if (body.trim() !== '' && json === undefined) throw new SmsError('bad-answer')
}
