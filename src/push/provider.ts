/**
 * `gone`: the device's token is worth nothing any more; `refused`: this wake-up is not taken; `unauthorized`: our credentials are
 * not; `throttled`: come back later; `unavailable`: no connection or a server error; `bad-answer`: something that is no gateway
 * answered; `timeout`; `paused`: not asked at all, since it failed too often just before.
 */
export type PushFault =
  | 'gone'
  | 'refused'
  | 'unauthorized'
  | 'throttled'
  | 'unavailable'
  | 'bad-answer'
  | 'timeout'
  | 'paused'

/** A wake-up was not taken. Neither the error nor its cause holds a token or a credential. */
export class PushError extends Error {
  override readonly name = 'PushError'
  readonly fault: PushFault
  constructor(fault: PushFault, options: { readonly cause?: unknown } = {}) {
    super(`push ${fault}`, options)
    this.fault = fault
  }
}

/** Somebody who can wake devices. What wakes one says nothing of who wrote or what. */
export interface PushProvider {
  /** A label of metrics and logs. */
  readonly name: string
  /** `service`: as the device's client calls it. @throws PushError */
  wake(target: { readonly service: string; readonly token: string }, signal: AbortSignal): Promise<void>
}
