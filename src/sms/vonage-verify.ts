import { Channels, Verify2, type VerifyLocale } from '@vonage/verify2'
import {
  type DeliveryReports,
  type ProviderCodes,
  SmsError,
  type SmsMessage,
  type SmsProvider,
  type SmsTicket,
} from '../account/sms-provider.ts'
import { VerifyReports } from './vonage-reports.ts'
import { StatusError, type VonageAccount, VonageWire } from './vonage-wire.ts'

export interface VonageVerifyOptions extends VonageAccount {
  /** Named in the message, and shown to the user; up to 16 characters. */
  readonly brand: string
  /** Language of message and call, such as `de-de`. */
  readonly locale: string
  /** A call follows when the message's code was not given in half of its life, or when the user asks. */
  readonly voice: boolean
  /** Absent: callbacks are not taken. */
  readonly signatureSecret?: string
}

const CODE_LENGTH = 6 as const
/** Seconds between the ways of one request; the vendor's bounds. */
const MIN_WAIT = 60
const MAX_WAIT = 900

/** Has Vonage's Verify API (v2) make a code, bring it by SMS and then by a call, and check it. */
export class VonageVerify implements SmsProvider {
  readonly name = 'vonage-verify'
  readonly sender: string
  readonly codes: ProviderCodes
  readonly reports?: DeliveryReports
  readonly #locale: VerifyLocale
  readonly #voice: boolean
  readonly #wire: VonageWire

  constructor(options: VonageVerifyOptions) {
    this.sender = options.brand
    this.#locale = options.locale as VerifyLocale
    this.#voice = options.voice
    this.#wire = new VonageWire(options)
    if (options.signatureSecret !== undefined)
      this.reports = new VerifyReports({ apiKey: options.apiKey, secret: options.signatureSecret })
    this.codes = {
      check: (ticket, code, signal) => this.#check(ticket, code, signal),
      cancel: async (ticket, signal) => {
        await this.#wire.call(Verify2, (client) => client.cancel(ticket), signal)
      },
      ...(options.voice ? { next: (ticket: SmsTicket, signal: AbortSignal) => this.#next(ticket, signal) } : {}),
    }
  }

  async send(message: SmsMessage, signal: AbortSignal): Promise<SmsTicket> {
    const to = message.to.slice(1)
    const sms = { channel: Channels.SMS, to } as const
    const workflow = this.#voice ? [sms, { channel: Channels.VOICE, to } as const] : [sms]
    const wait = Math.floor(message.expiresInSeconds / workflow.length)
    const request = {
      brand: this.sender,
      locale: this.#locale,
      codeLength: CODE_LENGTH,
      channelTimeout: Math.min(MAX_WAIT, Math.max(MIN_WAIT, wait)),
      workflow,
      ...(this.reports === undefined ? {} : { clientRef: message.reference }),
    }
    const { requestId } = await this.#wire.call(Verify2, (client) => client.newRequest(request), signal)
    // It becomes part of a path.
    if (typeof requestId !== 'string' || !/^[\w-]{1,64}$/.test(requestId)) throw new SmsError('bad-answer')
    return requestId
  }

  async #check(ticket: SmsTicket, code: string, signal: AbortSignal): Promise<'right' | 'wrong' | 'gone'> {
    if (!/^[0-9]{6}$/.test(code)) return 'wrong'
    try {
      const status = await this.#wire.call(Verify2, (client) => client.checkCode(ticket, code), signal)
      if (status !== 'completed') throw new SmsError('bad-answer')
      return 'right'
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      if (error.status === 400 || error.status === 422) return 'wrong'
      if (error.status === 404 || error.status === 410) return 'gone'
      throw error
    }
  }

  async #next(ticket: SmsTicket, signal: AbortSignal): Promise<void> {
    try {
      await this.#wire.call(Verify2, (client) => client.nextWorkflow(ticket), signal)
    } catch (error) {
      // The request is over: as good as one that has no way left.
      if (error instanceof StatusError && error.status === 404) throw new SmsError('refused', { cause: error.cause })
      throw error
    }
  }
}
