import { createHmac } from 'node:crypto'
import { type Answer, ask, gatewayUrl } from './http-ask.ts'

export interface SignedWebhookOptions {
  readonly url: string
  /** Shared with the gateway, at least 16 bytes. */
  readonly secret: string
  readonly timeoutMs?: number
  /** Lets `http:` go to another machine, where the wire is private. */
  readonly allowPlainHttp?: boolean
  readonly now?: () => number
}

const TIMEOUT_MS = 30_000
const MIN_SECRET_BYTES = 16

/** `timestamp`: seconds since the epoch, as in its header. */
export function webhookSignature(secret: string, timestamp: number | string, body: string | Uint8Array): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')}`
}

/**
 * A gateway of the operator's own: `POST` of JSON, with `Fernruf-Timestamp` (seconds since the epoch) and
 * `Fernruf-Signature: v1=` + hex HMAC-SHA256 of `<timestamp>.<body>`.
 */
export class SignedWebhook {
  readonly #url: URL
  readonly #secret: string
  readonly #timeoutMs: number
  readonly #now: () => number

  /** `what` and `carried`: for the operator, such as «the SMS webhook», «phone numbers». @throws Error in the operator's words */
  constructor(what: string, carried: string, options: SignedWebhookOptions) {
    this.#url = gatewayUrl(options.url, options.allowPlainHttp ?? false, what, carried)
    if (Buffer.byteLength(options.secret) < MIN_SECRET_BYTES) {
      throw new Error(`the secret of ${what} must have at least ${MIN_SECRET_BYTES} bytes`)
    }
    this.#secret = options.secret
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS
    this.#now = options.now ?? Date.now
  }

  /** @throws AskError */
  async post(message: Readonly<Record<string, string | number>>, signal: AbortSignal): Promise<Answer> {
    const body = JSON.stringify(message)
    const timestamp = Math.floor(this.#now() / 1000)
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      'user-agent': 'fernruf',
      'fernruf-timestamp': timestamp,
      'fernruf-signature': webhookSignature(this.#secret, timestamp, body),
    }
    const until = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)])
    return await ask(this.#url, { method: 'POST', headers, body }, until)
  }
}
