import { SMS, SMSFailure } from '@vonage/sms'
import {
  type DeliveryReports,
  SmsError,
  type SmsFault,
  type SmsMessage,
  type SmsProvider,
} from '../account/sms-provider.ts'
import { SmsReceipts } from './vonage-reports.ts'
import { type VonageAccount, VonageWire } from './vonage-wire.ts'

export interface VonageSmsOptions extends VonageAccount {
  /** Sender of the message: a number, or up to eleven letters and digits where the country allows it. */
  readonly from: string
  /** Absent: delivery receipts are not taken. */
  readonly signatureSecret?: string
  /** Where receipts go; absent: wherever the account's settings say. */
  readonly callback?: string
}

/** Status of a message in an answer with HTTP status 200, by the vendor's list for its SMS API. */
const FAULTS: Readonly<Record<string, SmsFault>> = {
  '1': 'throttled',
  '2': 'refused', // a parameter is missing
  '3': 'refused', // a parameter is invalid: number or sender
  '4': 'unauthorized',
  '5': 'unavailable',
  '6': 'refused', // no way to this number
  '7': 'refused', // the number is barred
  '8': 'unauthorized', // our account is suspended
  '9': 'unpaid',
  '10': 'throttled', // too many connections
  '11': 'unauthorized', // the account may not use HTTP
  '12': 'refused', // too long
  '14': 'unauthorized', // signature
  '15': 'refused', // sender
  '22': 'refused', // network
  '29': 'refused', // not on the list of a trial account
  '32': 'unauthorized', // signature and secret
  '33': 'refused', // the number is out of use
}

/** Sends our own codes as plain messages by Vonage's SMS API (`POST /sms/json`). */
export class VonageSms implements SmsProvider {
  readonly name = 'vonage-sms'
  readonly sender: string
  readonly reports?: DeliveryReports
  readonly #callback: string | undefined
  readonly #wire: VonageWire

  constructor(options: VonageSmsOptions) {
    this.sender = options.from
    this.#wire = new VonageWire(options)
    this.#callback = options.callback
    if (options.signatureSecret !== undefined)
      this.reports = new SmsReceipts({ apiKey: options.apiKey, secret: options.signatureSecret })
  }

  async send(message: SmsMessage, signal: AbortSignal): Promise<undefined> {
    await this.#wire.call(
      SMS,
      async (client) => {
        const callback = this.#callback === undefined ? {} : { callback: this.#callback }
        const reported = this.reports === undefined ? {} : { clientRef: message.reference, ...callback }
        const parts = await sent(client, {
          from: this.sender,
          to: message.to.slice(1),
          text: message.text,
          ...reported,
        })
        // No failure among no messages is no success.
        if (parts === 0) throw new SmsError('bad-answer')
      },
      signal,
    )
  }
}

/** How many messages were taken; all or the call fails: half a code is none. */
async function sent(client: SMS, params: Parameters<SMS['send']>[0]): Promise<number> {
  try {
    return (await client.send(params)).messages.length
  } catch (error) {
    if (!(error instanceof SMSFailure)) throw error
    const status = String(error.getFailedMessages()[0]?.status)
    const fault = Object.hasOwn(FAULTS, status) ? FAULTS[status] : undefined
    throw new SmsError(fault ?? 'bad-answer', {
      cause: new Error(fault === undefined ? 'unknown status' : `status ${status}`),
    })
  }
}
