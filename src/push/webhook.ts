import { AskError } from '../util/http-ask.ts'
import { SignedWebhook, type SignedWebhookOptions } from '../util/signed-webhook.ts'
import { PushError, type PushFault, type PushProvider } from './provider.ts'

/** What Kontalk's app does when it is woken, and under which key the vendor keeps only the last of several. */
const ACTION = 'org.kontalk.CHECK_MESSAGES'
const COLLAPSE_KEY = 'new'

/**
 * Hands wake-ups to the operator's own gateway (`SignedWebhook`): `{ "provider", "token", "action", "collapse_key", "priority" }`.
 * The gateway answers 2xx once it has taken it, and 410 when the vendor knows the token no longer.
 */
export class WebhookPush implements PushProvider {
  readonly name = 'webhook'
  readonly #gateway: SignedWebhook

  /** @throws Error in the operator's words */
  constructor(options: SignedWebhookOptions) {
    this.#gateway = new SignedWebhook('the push webhook', 'tokens of devices', options)
  }

  async wake({ service, token }: Parameters<PushProvider['wake']>[0], signal: AbortSignal): Promise<void> {
    const message = { provider: service, token, action: ACTION, collapse_key: COLLAPSE_KEY, priority: 'high' }
    const { status, body, json } = await this.#gateway.post(message, signal).catch((error: unknown) => {
      if (!(error instanceof AskError)) throw error
      throw new PushError(error.fault, error.cause === undefined ? {} : { cause: error.cause })
    })
    const fault = faultOfStatus(status)
    if (fault !== undefined) throw new PushError(fault, { cause: new Error(`status ${status}`) })
    // A login or parking page also says 200.
    if (body.trim() !== '' && json === undefined) throw new PushError('bad-answer')
  }
}

/** 404 is no answer about a token: a mistyped address says it of every one. */
function faultOfStatus(status: number): PushFault | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 410) return 'gone'
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 400 || status === 409 || status === 422) return 'refused'
  if (status === 429) return 'throttled'
  return status >= 500 ? 'unavailable' : 'bad-answer'
}
