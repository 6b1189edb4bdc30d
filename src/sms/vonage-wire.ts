import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto'
import type { SMS } from '@vonage/sms'
import { SmsError } from '../account/sms-provider.ts'
import { ask, gatewayUrl } from '../util/http-ask.ts'
import { answerOf, faultOfStatus } from './http.ts'

export interface VonageAccount {
  readonly apiKey: string
  readonly apiSecret: string
  /** Asks as an application of the account, which Vonage sends callbacks to, in place of key and secret. */
  readonly application?: {
    readonly id: string
    /** RSA, PEM. */
    readonly privateKey: string
  }
  /** The vendor's address, without a path. */
  readonly baseUrl: string
  readonly timeoutMs?: number
  /** Lets `http:` go to another machine, where the wire is private. */
  readonly allowPlainHttp?: boolean
}

const TIMEOUT_MS = 10_000

/** The one method of the SDK's clients through which everything they send goes. */
type SendRequest = SMS['sendRequest']

/** The vendor answered with an error's status. */
export class StatusError extends SmsError {
  readonly status: number
  constructor(status: number) {
    super(faultOfStatus(status) ?? 'bad-answer', { cause: new Error(`status ${status}`) })
    this.status = status
  }
}

/**
 * Carries what the vendor's SDK asks. The SDK's own way has no time-out or bound, follows redirects, and hands out credentials, number
 * and code: in its errors, and on standard error under `DEBUG`. So it only makes requests and reads answers.
 */
export class VonageWire {
  readonly #authorization: () => string
  readonly #base: URL
  readonly #timeoutMs: number

  /** @throws Error in the operator's words */
  constructor(account: VonageAccount) {
    const basic = `Basic ${Buffer.from(`${account.apiKey}:${account.apiSecret}`).toString('base64')}`
    this.#authorization = account.application === undefined ? () => basic : bearer(account.application)
    this.#base = gatewayUrl(account.baseUrl, account.allowPlainHttp ?? false, 'the SMS provider', 'phone numbers')
    this.#timeoutMs = account.timeoutMs ?? TIMEOUT_MS
  }

  /**
   * Runs one call on a client that sends over this wire. `work` may throw SmsErrors of its own; any other error is the SDK's, over an
   * answer that it did not expect, and is dropped. @throws SmsError
   */
  async call<C extends { sendRequest: SendRequest }, T>(
    client: new (credentials: object, hosts: { readonly apiHost: string; readonly restHost: string }) => C,
    work: (client: C) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const host = this.#base.href.replace(/\/+$/, '')
    const one = new client({}, { apiHost: host, restHost: host })
    const until = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)])
    const seen: { failure?: unknown } = {}
    one.sendRequest = (async (request: Parameters<SendRequest>[0]) => {
      try {
        return await this.#exchange(request, until)
      } catch (error) {
        seen.failure = error
        throw error
      }
    }) as SendRequest
    let result: T
    try {
      result = await work(one)
    } catch (error) {
      throw seen.failure ?? (error instanceof SmsError ? error : new SmsError('bad-answer'))
    }
    // Some of the SDK's calls make `false` of any failure.
    if (seen.failure !== undefined) throw seen.failure
    return result
  }

  async #exchange(request: Parameters<SendRequest>[0], signal: AbortSignal) {
    const body = request.data === undefined ? '' : JSON.stringify(request.data)
    const headers = {
      accept: 'application/json',
      authorization: this.#authorization(),
      'user-agent': 'fernruf',
      ...(body === '' ? {} : { 'content-type': 'application/json' }),
    }
    const asking = ask(new URL(request.url), { method: request.method ?? 'GET', headers, body }, signal)
    const answer = await answerOf(asking)
    if (faultOfStatus(answer.status) !== undefined) throw new StatusError(answer.status)
    // A login or parking page also says 200.
    if (answer.body.trim() !== '' && answer.json === undefined) throw new SmsError('bad-answer')
    return { data: answer.json ?? {}, status: answer.status, statusText: '', headers: {}, config: request, request }
  }
}

/** A new JWT for each request: RS256, good for a minute. */
function bearer({ id, privateKey }: NonNullable<VonageAccount['application']>): () => string {
  const key = rsaKey(privateKey)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return () => {
    const iat = Math.floor(Date.now() / 1000)
    const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ application_id: id, iat, exp: iat + 60, jti: randomUUID() })}`
    return `Bearer ${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }
}
function rsaKey(pem: string): KeyObject {
  let key: KeyObject | undefined
  try {
    key = createPrivateKey(pem)
  } catch {
    // Its words may show the key.
  }
  if (key?.asymmetricKeyType !== 'rsa')
    throw new Error('the private key of the Vonage application must be an RSA key in PEM')
  return key
}
