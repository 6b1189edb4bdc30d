/** What is to be brought to a telephone. */
export interface SmsMessage {
  /** E.164. */
  readonly to: string
  /** Six digits. */
  readonly code: string
  /** The sentence to be sent, with the code in it. */
  readonly text: string
  readonly expiresInSeconds: number
  /** By what a provider names this sending in its reports; random. */
  readonly reference: string
}

/**
 * `refused`: this number or message is not taken; `unauthorized`: our credentials are not; `unpaid`: our account there has no
 * credit; `throttled`: come back later; `unavailable`: no connection or a server error; `bad-answer`: something that is no gateway
 * answered; `timeout`; `paused`: not asked at all, since it failed too often just before.
 */
export type SmsFault =
  | 'refused'
  | 'unauthorized'
  | 'unpaid'
  | 'throttled'
  | 'unavailable'
  | 'bad-answer'
  | 'timeout'
  | 'paused'

/** A provider did not take a message. Neither the error nor its cause holds the number, the code or a credential. */
export class SmsError extends Error {
  override readonly name = 'SmsError'
  readonly fault: SmsFault
  constructor(fault: SmsFault, options: { readonly cause?: unknown } = {}) {
    super(`sms ${fault}`, options)
    this.fault = fault
  }
}

/** By what a provider knows a code that it made itself. Tells nothing about number or code. */
export type SmsTicket = string

/** The codes of a provider that makes and checks them itself. All throw SmsError. */
export interface ProviderCodes {
  /** `gone`: the provider knows no such open request any more. */
  check(ticket: SmsTicket, code: string, signal: AbortSignal): Promise<'right' | 'wrong' | 'gone'>
  /** Ends the request: its code is worth nothing from then on, and no further message or call is made. */
  cancel(ticket: SmsTicket, signal: AbortSignal): Promise<void>
  /** Brings the same code the next way, such as by a call; `refused` when there is none left. Absent: there never is one. */
  next?(ticket: SmsTicket, signal: AbortSignal): Promise<void>
}

/**
 * `expired`: nobody took it in time, such as a telephone that is off; `pending`: not over yet; `other`: nothing that we know, or about
 * more than this message.
 */
export type DeliveryStatus = 'delivered' | 'failed' | 'rejected' | 'undeliverable' | 'expired' | 'pending' | 'other'

/** What a provider says afterwards of a message. */
export interface DeliveryReport {
  readonly status: DeliveryStatus
  /** Of the message, if it says so. */
  readonly reference: string | undefined
  /** Of the report itself: one that comes again is not another one. */
  readonly id: string
  /** Ms since the epoch. */
  readonly issuedAt: number
}

/** `signature`: none, or not the provider's; `account`: somebody else's there; `time`: made long ago, or in the future; `body`: not readable. */
export type ReportFault = 'signature' | 'account' | 'time' | 'body'

/** Something that is no report of the provider. */
export class ReportError extends Error {
  override readonly name = 'ReportError'
  readonly fault: ReportFault
  constructor(fault: ReportFault) {
    super(`delivery report ${fault}`)
    this.fault = fault
  }
}

/** How far the clock of who made a report may be from ours, either way. */
export const REPORT_SKEW_MS = 5 * 60_000

/** The reports of a provider that signs them. */
export interface DeliveryReports {
  /** `header`: the value of one, by its name in lower case; `now`: ms since the epoch. @throws ReportError */
  read(header: (name: string) => string | undefined, body: Buffer, now: number): DeliveryReport
  /** Told what became of each message that was still waited for. */
  settled?(isDelivered: boolean): void
}

/** Somebody who brings codes to telephones. */
export interface SmsProvider {
  /** A closed set, for logs and metrics; kept with a ticket, so that another process finds the provider. */
  readonly name: string
  /** Shown to the user as whom the message comes from; never empty. */
  readonly sender: string
  /** Only of a provider that makes the codes itself. */
  readonly codes?: ProviderCodes
  /** Absent: it makes none, or none that we could trust. */
  readonly reports?: DeliveryReports
  /**
   * Settles when the provider has taken the message, not when it has arrived. A ticket says that it brings a code of its own in
   * place of the message's. @throws SmsError
   */
  send(message: SmsMessage, signal: AbortSignal): Promise<SmsTicket | undefined>
}
