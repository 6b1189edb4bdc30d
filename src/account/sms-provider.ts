/** What is to be brought to a telephone. */
export interface SmsMessage {
  /** E.164. */
  readonly to: string
  /** Six digits. */
  readonly code: string
  /** The sentence to be sent, with the code in it. */
  readonly text: string
  readonly expiresInSeconds: number
}

/**
 * `refused`: this number or message is not taken; `unauthorized`: our credentials are not; `throttled`: come back later;
 * `unavailable`: no connection or a server error; `bad-answer`: something that is no gateway answered; `timeout`.
 */
export type SmsFault = 'refused' | 'unauthorized' | 'throttled' | 'unavailable' | 'bad-answer' | 'timeout'

/** A provider did not take a message. Neither the error nor its cause holds the number, the code or a credential. */
export class SmsError extends Error {
  override readonly name = 'SmsError'
  readonly fault: SmsFault
  constructor(fault: SmsFault, options: { readonly cause?: unknown } = {}) {
    super(`sms ${fault}`, options)
    this.fault = fault
  }
}

/** Somebody who brings codes to telephones. */
export interface SmsProvider {
  /** A closed set, for logs and metrics. */
  readonly name: string
  /** Shown to the user as whom the message comes from; never empty. */
  readonly sender: string
  /** Settles when the provider has taken the message, not when it has arrived. @throws SmsError */
  send(message: SmsMessage, signal: AbortSignal): Promise<void>
}
