import type { BareJid } from '../xmpp/jid.ts'

/** Somebody who is asked about. */
export interface Target {
  readonly jid: BareJid
  /** Keyed hash of asker and target. */
  readonly mark: string
}
export interface Looked {
  readonly jid: BareJid
  readonly mark: string
  /** The asker has asked before. */
  readonly isKnown: boolean
  /** There is such an account, it is not disabled, and it does not block the asker. */
  readonly isFound: boolean
}
/** At most `count` targets that are new, in any `windowMs`. */
export interface LookupBudget {
  readonly count: number
  readonly windowMs: number
}

/** Table `lookup`. Times are ms since the epoch. */
export interface LookupStore {
  /** One query, however many targets; in their order. `asker` is asked for on block lists. */
  look(account: number, asker: BareJid, targets: readonly Target[]): Promise<readonly Looked[]>
  /**
   * Of these marks, the ones that may be asked about: those that are known, and of the others, in order, as many as the budget
   * allows, which are known from now on. A refused one costs nothing. Empty where there is no such account.
   */
  spend(account: number, marks: readonly string[], budget: LookupBudget, now: number): Promise<ReadonlySet<string>>
  /** Forgets what was new before that time; returns how many. */
  purge(before: number): Promise<number>
}
