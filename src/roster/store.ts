import type { ArchivingPreferences } from '../account/archiving.ts'
import type { Account } from '../account/store.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'

/** RFC 6121 §2.1.2.5. */
export type Subscription = 'none' | 'to' | 'from' | 'both'

/** One contact of one account, with what RFC 6121 Appendix A calls its state. */
export interface RosterItem {
  readonly contact: BareJid
  /** Undefined: never named by the client. */
  readonly name: string | undefined
  readonly groups: readonly string[]
  readonly subscription: Subscription
  /** An outbound `subscribe` is unanswered (`ask='subscribe'`). */
  readonly pendingOut: boolean
  /** An inbound `subscribe` is unanswered: the stanza (canonical XML), or what an import left of it, its content. Not itself on the roster. */
  readonly pendingIn: Uint8Array | undefined
  /** Pre-approved (§3.4). */
  readonly approved: boolean
  /** True once the client or a subscription put it on the roster; false for a mere pending request (§3.1.3). */
  readonly listed: boolean
  /** Version at which it changed last. */
  readonly version: number
}

/** What became of one contact. */
export interface RosterLine {
  readonly contact: BareJid
  /** Undefined: removed. */
  readonly item: RosterItem | undefined
  /** Since which it is so; no other change has the same. */
  readonly version: number
}

/** An account with what the line needs to know of it. */
export interface LoadedAccount {
  readonly account: Account
  readonly archiving: ArchivingPreferences
  readonly items: readonly RosterItem[]
  /** The roster's. */
  readonly version: number
  /** Addresses it has blocked (XEP-0191). */
  readonly blocked: readonly Jid[]
}

/** Tables `roster` (per account: version) and `roster_item`. Removed items stay as tombstones for versioned pushes. */
export interface RosterStore {
  /** The account with all the line needs to know of it, in one query; undefined when there is no such account. */
  load(jid: BareJid): Promise<LoadedAccount | undefined>
  /**
   * Reads one item under the roster's lock, lets `change` decide, and writes what it returns with the next version; undefined
   * removes it, the same object leaves it. `maxItems` bounds the roster. @throws RosterError full
   */
  change(
    account: number,
    contact: BareJid,
    change: (item: RosterItem | undefined) => RosterItem | undefined,
    maxItems: number,
  ): Promise<{
    readonly before: RosterItem | undefined
    readonly after: RosterItem | undefined
    readonly version: number
  }>
  /** What changed since a version, in its order, each contact once; undefined when the version is not known. */
  since(
    account: number,
    version: number,
  ): Promise<{ readonly changes: readonly RosterLine[]; readonly version: number } | undefined>
}
