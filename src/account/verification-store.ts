import type { BareJid } from '../xmpp/jid.ts'
import type { SmsTicket } from './sms-provider.ts'
import type { Account, AccountStore } from './store.ts'

/** One budget of one window that a step costs one unit of. */
export interface Spending {
  readonly kind: string
  /** Keyed hash of what is counted. */
  readonly key: Uint8Array
  readonly windowMs: number
  readonly limit: number
}
/** A budget was used up; `until` (ms since the epoch): when it is open again. */
export interface Refusal {
  readonly outcome: 'refused'
  readonly until: number
}

export interface NewRequest {
  /** Keyed hash of the account's address. */
  readonly subject: Uint8Array
  /** Keyed hash of subject and code; of a code that nobody gets where a provider makes its own. */
  readonly codeHash: Uint8Array
  /** Ms since the epoch. */
  readonly expiresAt: number
}
/** A code that a provider made itself and checks. */
export interface HeldCode {
  /** The provider's name. */
  readonly provider: string
  readonly ticket: SmsTicket
}
export type NewAccount = Parameters<AccountStore['create']>[0]

/**
 * Tables `verification` (one row per address: requested → sent → confirmed | expired | locked) and `budget`. Times are ms since
 * the epoch.
 */
export interface VerificationStore {
  /**
   * In one transaction: spends the budgets (all or none), and only then looks whether the account exists; if not, the request
   * replaces the address's former one. `former`: what that one had at a provider, if it was still open.
   */
  request(
    request: NewRequest,
    account: BareJid,
    spendings: readonly Spending[],
    now: number,
  ): Promise<
    Refusal | { readonly outcome: 'requested'; readonly former: HeldCode | undefined } | { readonly outcome: 'taken' }
  >
  /**
   * Notes what became of the message, and who holds its code if we do not; false, and nothing is noted, when another request has
   * replaced this one meanwhile.
   */
  settle(request: NewRequest, state: 'sent' | 'expired', held?: HeldCode): Promise<boolean>
  /** The provider says that this is the code: from now on it is ours to check. False when the request is not open any more. */
  learn(request: NewRequest, codeHash: Uint8Array): Promise<boolean>
  /**
   * In one transaction: spends the budgets and one try of the request, before anybody compares codes. `open` and `confirmed`
   * carry the code's hash, or who holds the code.
   */
  attempt(
    subject: Uint8Array,
    spendings: readonly Spending[],
    maxTries: number,
    now: number,
  ): Promise<
    | Refusal
    | {
        readonly outcome: 'open' | 'confirmed'
        readonly codeHash: Uint8Array
        readonly expiresAt: number
        readonly held: HeldCode | undefined
      }
    | { readonly outcome: 'none' | 'expired' | 'locked' }
  >
  /** Locks an open request whose tries are used up. */
  lock(subject: Uint8Array, codeHash: Uint8Array, maxTries: number): Promise<void>
  /**
   * In one transaction: confirms the open request and creates the account. `gone`: the request was replaced, used or expired;
   * `taken`: the name is, and the request stays.
   */
  confirm(request: NewRequest, account: NewAccount, now: number): Promise<Account | 'gone' | 'taken'>
  /** Spends budgets of a step that has no request. */
  spend(spendings: readonly Spending[], now: number): Promise<Refusal | { readonly outcome: 'spent' }>
  /** Removes requests and budget windows that are over; returns how many rows went. */
  purge(now: number): Promise<number>
}
