import type { BareJid } from '../xmpp/jid.ts'
import type { DeliveryReport, SmsTicket } from './sms-provider.ts'
import type { Account, AccountStore } from './store.ts'
import type { TakeoverReason, TakeoverRules } from './takeover.ts'

/** Where a code goes to, or was asked for from: of each it is known how many of its codes were confirmed. */
export interface Source {
  readonly kind: 'prefix' | 'range' | 'country'
  /** A keyed hash; of a country its ISO 3166-1 code. */
  readonly key: string
}
/** One budget of one window that a step costs one unit of. */
export interface Spending {
  /** A closed set, for metrics. */
  readonly kind: string
  /** Keyed hash of what is counted. */
  readonly key: Uint8Array
  readonly windowMs: number
  readonly limit: number
  /** It costs nothing when one of these has proved itself: of four codes sent, at least one was confirmed. */
  readonly unless?: readonly Source[]
}
/** A budget was used up; `until` (ms since the epoch): when it is open again. */
export interface Refusal {
  readonly outcome: 'refused'
  /** Of the budget. */
  readonly kind: string
  readonly until: number
}

export interface NewRequest {
  /** Keyed hash of the account's address. */
  readonly subject: Uint8Array
  /** Keyed hash of subject and code; of a code that nobody gets where a provider makes its own. */
  readonly codeHash: Uint8Array
  /** Ms since the epoch. */
  readonly expiresAt: number
  /** Counted as sent with the request, and as confirmed with its account. */
  readonly sources?: readonly Source[]
}
/** What became of a message in the end. */
export type Delivery = 'delivered' | 'undelivered'

/** A code that a provider made itself and checks. */
export interface HeldCode {
  /** The provider's name. */
  readonly provider: string
  readonly ticket: SmsTicket
}
export type NewAccount = Parameters<AccountStore['create']>[0]

/** With what somebody who has proven a number comes for its account. */
export interface Taking {
  readonly rules: TakeoverRules
  /** The account's registration lock was given. */
  readonly isUnlocked: boolean
  /** A device of the account is connected. */
  readonly isConnected: boolean
  /** Keyed hash of the key that was shown with the code. */
  readonly claimant: Uint8Array | undefined
}
/** Why the account of a number that was proven does not go to whom has proven it, or that it is his already. */
export type Kept =
  /** The request was replaced, used or expired; or was made by somebody who did not say that there may be an account. */
  | { readonly outcome: 'gone' | 'taken' | 'disabled' }
  /** It is the account of the very key that was shown. */
  | { readonly outcome: 'own'; readonly account: Account }
  /** `isNew`: its devices are to be told. */
  | { readonly outcome: 'waiting' | 'needs-lock' | 'refused'; readonly until: number; readonly isNew: boolean }
export type Weighed =
  | Kept
  | { readonly outcome: 'free' }
  | { readonly outcome: 'ripe'; readonly former: Account; readonly reason: TakeoverReason }

/**
 * Tables `verification` (one row per address: requested → sent → confirmed | expired | locked), `budget` and `reputation`. Times are
 * ms since the epoch.
 */
export interface VerificationStore {
  /**
   * In one transaction: spends the budgets (all or none), and only then looks whether the account exists; if not, or if the request
   * is `forced`, it replaces the address's former one. `former`: what that one had at a provider, if it was still open;
   * `undelivered`: the provider that could not deliver it.
   */
  request(
    request: NewRequest & { readonly isForced: boolean },
    account: BareJid,
    spendings: readonly Spending[],
    now: number,
  ): Promise<
    | Refusal
    | {
        readonly outcome: 'requested'
        readonly former: HeldCode | undefined
        readonly undelivered: string | undefined
      }
    | { readonly outcome: 'taken' }
  >
  /** Notes under which name the provider is given the message, before it is. False when the request was replaced or is over. */
  handOver(request: NewRequest, provider: string, reference: string): Promise<boolean>
  /**
   * In one transaction: notes the report as seen, and what it says at the request whose message it is about. `replayed`: it was seen
   * before; `ignored`: it says nothing of a message that somebody waits for, or nothing new.
   */
  report(
    report: DeliveryReport & { readonly provider: string },
    now: number,
  ): Promise<
    | { readonly outcome: 'replayed' | 'ignored' }
    | { readonly outcome: Delivery; readonly held: HeldCode | undefined; readonly sources: readonly Source[] }
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
        /** The only one the code is good for, if there is one. */
        readonly claimant: Uint8Array | undefined
        readonly sources: readonly Source[]
      }
    | { readonly outcome: 'none' | 'expired' | 'locked' }
  >
  /** Locks an open request whose tries are used up. */
  lock(subject: Uint8Array, codeHash: Uint8Array, maxTries: number): Promise<void>
  /**
   * What may become of an open request whose code was right. Whoever has to wait gets his try back; if he has shown a key, the code
   * is good for it alone from now on, as long as the claim is, and for nothing else.
   */
  weigh(
    request: NewRequest,
    account: Pick<NewAccount, 'jid' | 'fingerprint'>,
    taking: Taking,
    now: number,
  ): Promise<Weighed>
  /**
   * In one transaction: weighs again, then confirms the request and creates the account, after the former one has gone with all it
   * had (`reason`: why it had to). Unless the outcome is `made` or `own` the request stays.
   */
  confirm(
    request: NewRequest,
    account: NewAccount,
    taking: Taking,
    now: number,
  ): Promise<
    Kept | { readonly outcome: 'made'; readonly account: Account; readonly reason: TakeoverReason | undefined }
  >
  /** Spends budgets of a step that has no request. */
  spend(spendings: readonly Spending[], now: number): Promise<Refusal | { readonly outcome: 'spent' }>
  /** Removes requests and budget windows that are over, and what is long known of sources; returns how many rows went. */
  purge(now: number): Promise<number>
}
