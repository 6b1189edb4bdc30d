import { SmsError, type SmsMessage, type SmsProvider } from '../account/sms-provider.ts'
import type { Answer } from '../util/http-ask.ts'
import { SignedWebhook, type SignedWebhookOptions } from '../util/signed-webhook.ts'
import { answerOf, faultOfStatus } from './http.ts'

export interface WebhookSmsOptions extends SignedWebhookOptions {
  /** Shown to the user as whom the message comes from. */
  readonly sender: string
}

/**
 * Hands codes to the operator's own gateway (`SignedWebhook`): `{ "to", "code", "text", "expires_in" }`. The gateway answers 2xx,
 * with nothing or a JSON object, once it has taken the message.
 */
export class WebhookSms implements SmsProvider {
  readonly name = 'webhook'
  readonly sender: string
  readonly #gateway: SignedWebhook

  constructor(options: WebhookSmsOptions) {
    this.#gateway = new SignedWebhook('the SMS webhook', 'phone numbers', options)
    this.sender = options.sender
  }

  async send({ to, code, text, expiresInSeconds }: SmsMessage, signal: AbortSignal): Promise<undefined> {
    checkAnswer(await answerOf(this.#gateway.post({ to, code, text, expires_in: expiresInSeconds }, signal)))
  }
}

/** @throws SmsError unless a gateway says that it has taken the message */
function checkAnswer({ status, body, json }: Answer): void {
  const fault = faultOfStatus(status)
  if (fault !== undefined) throw new SmsError(fault, { cause: new Error(`status ${status}`) })
  // A login or parking page also says 200.
  if (body.trim() !== '' && json === undefined) throw new SmsError('bad-answer')
}
