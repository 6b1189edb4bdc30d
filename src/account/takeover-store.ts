import type { ScramSecrets } from './store.ts'
import type { Claim } from './takeover.ts'

/** What is kept of a registration lock: as of a password for SCRAM-SHA-256, but nobody logs in by it. */
export type LockSecrets = Pick<ScramSecrets, 'salt' | 'iterations' | 'storedKey'>

/** Tables `takeover` and `registration_lock`. Times are ms since the epoch; `account` is always an account's id. */
export interface TakeoverStore {
  /** Somebody who has proven the account's number and waits, or was answered lately; undefined: there is nobody. */
  claim(account: number, now: number): Promise<Claim | undefined>
  /** The account's devices know of the open claim: its time runs. */
  told(account: number): Promise<void>
  /** Notes a device's word to an open claim, which holds until `until`; false when there is none. */
  answer(account: number, state: 'agreed' | 'refused', now: number, until: number): Promise<boolean>
  /** Sets the lock, or takes it away; its wrong tries are forgotten. */
  setLock(account: number, secrets: LockSecrets | undefined): Promise<void>
  hasLock(account: number): Promise<boolean>
  /**
   * Spends one of `tries` within `windowMs`, before anybody compares. `refused` when none is left, and until when; `none`: there is
   * no lock.
   */
  tryLock(
    account: number,
    tries: number,
    windowMs: number,
    now: number,
  ): Promise<
    | { readonly outcome: 'open'; readonly secrets: LockSecrets }
    | { readonly outcome: 'refused'; readonly until: number }
    | { readonly outcome: 'none' }
  >
}
