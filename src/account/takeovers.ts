import type { BareJid } from '../xmpp/jid.ts'
import type { Passwords } from './password.ts'
import type { Account, AccountStore } from './store.ts'
import type { Claim, TakeoverReason, TakeoverRules } from './takeover.ts'
import type { TakeoverStore } from './takeover-store.ts'
import type { Kept } from './verification-store.ts'

/**
 * Why an account does not go to whom has proven its number. `waiting`: its devices may still object; `needs-lock`: its registration lock
 * was not given; `refused`: a device has; `disabled`: the operator has shut it; `wrong-lock`; `lock-tried`: too often.
 */
export type TakeoverFault = 'waiting' | 'needs-lock' | 'refused' | 'disabled' | 'wrong-lock' | 'lock-tried'

export class TakeoverError extends Error {
  override readonly name = 'TakeoverError'
  readonly fault: TakeoverFault
  /** Ms since the epoch: when it may be tried again. */
  readonly until: number | undefined
  constructor(fault: TakeoverFault, until?: number) {
    super(`takeover ${fault}`)
    this.fault = fault
    this.until = until
  }
}

/** What happens to an account around a takeover, for the log. */
export type TakeoverEvent =
  | 'forced'
  | 'not told'
  | TakeoverFault
  | `replaced: ${TakeoverReason}`
  | 'kept: own key'
  | 'agreed by a device'
  | 'refused by a device'
  | 'lock set'
  | 'lock removed'

/** A claim of which an account's devices are told. */
export interface Notice {
  /** Ms since the epoch; when the account goes if nobody objects and it is not locked. */
  readonly until: number
  readonly isLocked: boolean
}

export interface TakeoversOptions {
  readonly store: TakeoverStore
  readonly accounts: Pick<AccountStore, 'find'>
  readonly passwords: Pick<Passwords, 'hashFor' | 'verify'>
  readonly rules: TakeoverRules
  /** Locks that may be tried on one account in a day. */
  readonly lockTries: number
  readonly isConnected: (jid: BareJid) => boolean | Promise<boolean>
  /** Tells all devices of the account; whether the notice is safe. */
  readonly tell: (jid: BareJid, notice: Notice) => Promise<boolean>
  readonly audit: (jid: BareJid, event: TakeoverEvent) => void
  readonly now?: () => number
}

const DAY_MS = 86_400_000
const LOCK = 'SCRAM-SHA-256'

/** What keeps an account from whoever has its number: its devices' word, time, and a password of its own. */
export class Takeovers {
  readonly #options: TakeoversOptions
  readonly #now: () => number

  constructor(options: TakeoversOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }
  get rules(): TakeoverRules {
    return this.#options.rules
  }
  isConnected(jid: BareJid): boolean | Promise<boolean> {
    return this.#options.isConnected(jid)
  }
  audit(jid: BareJid, event: TakeoverEvent): void {
    this.#options.audit(jid, event)
  }

  /** Whether what somebody gave with the code is the account's lock; false where there is none. @throws TakeoverError, PasswordError busy */
  async unlock(jid: BareJid, lock: string): Promise<boolean> {
    const { accounts, store, passwords, lockTries, audit } = this.#options
    const account = await accounts.find(jid)
    if (account === undefined) return false
    const tried = await store.tryLock(account.id, lockTries, DAY_MS, this.#now())
    if (tried.outcome === 'none') return false
    if (tried.outcome === 'refused') {
      audit(jid, 'lock-tried')
      throw new TakeoverError('lock-tried', tried.until)
    }
    if (await passwords.verify(lock, { mechanism: LOCK, ...tried.secrets })) return true
    audit(jid, 'wrong-lock')
    throw new TakeoverError('wrong-lock')
  }

  /** The account stays; its devices are told where they do not know yet. @throws TakeoverError, StoreError */
  async keep(jid: BareJid, kept: Exclude<Kept, { readonly outcome: 'own' | 'gone' | 'taken' }>): Promise<never> {
    const { audit } = this.#options
    audit(jid, kept.outcome as TakeoverFault)
    if (!('until' in kept)) throw new TakeoverError('disabled')
    const { outcome, until, isNew } = kept
    const isLocked = outcome === 'needs-lock'
    if (isNew) await this.#tell(jid, { until, isLocked })
    // By the day: whoever has the number need not learn when the account was used, and that it is just now.
    throw new TakeoverError(outcome, isLocked ? Math.ceil(until / DAY_MS) * DAY_MS : until)
  }

  /** What could not be told is told when somebody comes again. */
  async #tell(jid: BareJid, notice: Notice): Promise<void> {
    const { accounts, store, tell, audit } = this.#options
    if (!(await tell(jid, notice))) return audit(jid, 'not told')
    const account = await accounts.find(jid)
    if (account !== undefined) await store.told(account.id)
  }

  /** Who waits for the account, or was answered lately. */
  claim(account: Pick<Account, 'id'>): Promise<Claim | undefined> {
    return this.#options.store.claim(account.id, this.#now())
  }
  /** A device's word to who waits; false when nobody does. */
  async answer({ id, jid }: Pick<Account, 'id' | 'jid'>, word: 'agreed' | 'refused'): Promise<boolean> {
    const { store, rules, audit } = this.#options
    const now = this.#now()
    if (!(await store.answer(id, word, now, now + rules.activeMs))) return false
    audit(jid, word === 'agreed' ? 'agreed by a device' : 'refused by a device')
    return true
  }

  hasLock(account: Pick<Account, 'id'>): Promise<boolean> {
    return this.#options.store.hasLock(account.id)
  }
  /** Undefined takes it away. @throws PasswordError */
  async setLock({ id, jid }: Pick<Account, 'id' | 'jid'>, lock: string | undefined): Promise<void> {
    const { store, passwords, audit } = this.#options
    await store.setLock(id, lock === undefined ? undefined : await passwords.hashFor(lock, LOCK))
    audit(jid, lock === undefined ? 'lock removed' : 'lock set')
  }
}
