import type { BareJid } from '../xmpp/jid.ts'

/** Who spends: an account of ours, or somebody else by a keyed hash. */
export type Spender = { readonly account: BareJid } | { readonly mark: string }
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
  look(asker: BareJid, targets: readonly Target[]): Promise<readonly Looked[]>
  /**
   * Of these marks, the ones that may be asked about: those that are known, and of the others, in order, as many as the budget
   * allows, which are known from now on. A refused one costs nothing. None where there is no such account.
   */
  spend(spender: Spender, marks: readonly string[], budget: LookupBudget, now: number): Promise<ReadonlySet<string>>
  /** Forgets what was new before `before`, and of askers without an account what was before `beforeElsewhere`; how many. */
  purge(before: number, beforeElsewhere: number): Promise<number>
}
