import {
  type DeliveryReport,
  type DeliveryReports,
  type DeliveryStatus,
  ReportError,
  SmsError,
  type SmsMessage,
  type SmsProvider,
} from '../account/sms-provider.ts'
import type { Answer } from '../util/http-ask.ts'
import { SignedWebhook, type SignedWebhookOptions, webhookSignature } from '../util/signed-webhook.ts'
import { answerOf, faultOfStatus } from './http.ts'
import { fresh, isSame, objectOf, statusOf, textOf } from './report-checks.ts'

export interface WebhookSmsOptions extends SignedWebhookOptions {
  /** Shown to the user as whom the message comes from. */
  readonly sender: string
  /** Signs the gateway's reports, as `secret` signs what it is sent; absent: it makes none. */
  readonly signatureSecret?: string
}

/**
 * Hands codes to the operator's own gateway (`SignedWebhook`): `{ "to", "code", "text", "expires_in" }`, with the message's `id` when
 * it reports. The gateway answers 2xx, with nothing or a JSON object, once it has taken the message.
 */
export class WebhookSms implements SmsProvider {
  readonly name = 'webhook'
  readonly sender: string
  readonly reports?: DeliveryReports
  readonly #gateway: SignedWebhook

  constructor(options: WebhookSmsOptions) {
    this.#gateway = new SignedWebhook('the SMS webhook', 'phone numbers', options)
    this.sender = options.sender
    if (options.signatureSecret !== undefined) this.reports = new WebhookReports(options.signatureSecret)
  }

  async send(message: SmsMessage, signal: AbortSignal): Promise<undefined> {
    const { to, code, text, expiresInSeconds, reference } = message
    const named = this.reports === undefined ? {} : { id: reference }
    checkAnswer(await answerOf(this.#gateway.post({ ...named, to, code, text, expires_in: expiresInSeconds }, signal)))
  }
}

const STATUSES: Readonly<Record<string, DeliveryStatus>> = {
  delivered: 'delivered',
  failed: 'failed',
  rejected: 'rejected',
  undeliverable: 'undeliverable',
  expired: 'expired',
  pending: 'pending',
}

/** The gateway's word on a message, `{ "id", "status" }`, signed as what it is sent. */
class WebhookReports implements DeliveryReports {
  readonly #secret: string

  constructor(secret: string) {
    this.#secret = secret
  }

  read(header: (name: string) => string | undefined, body: Buffer, now: number): DeliveryReport {
    const timestamp = header('fernruf-timestamp') ?? ''
    const signature = webhookSignature(this.#secret, timestamp, body)
    if (!/^\d{1,12}$/.test(timestamp) || !isSame(header('fernruf-signature'), signature))
      throw new ReportError('signature')
    const issuedAt = fresh(Number(timestamp), now)
    const { id: reference, status } = objectOf(body.toString())
    return { status: statusOf(STATUSES, status), reference: textOf(reference), id: signature, issuedAt }
  }
}

/** @throws SmsError unless a gateway says that it has taken the message */
function checkAnswer({ status, body, json }: Answer): void {
  const fault = faultOfStatus(status)
  if (fault !== undefined) throw new SmsError(fault, { cause: new Error(`status ${status}`) })
  // A login or parking page also says 200.
  if (body.trim() !== '' && json === undefined) throw new SmsError('bad-answer')
}
