import type { BareJid, FullJid } from '../xmpp/jid.ts'

/** What a resource has sent: content between the tags (canonical XML), with its xml:lang and its id. */
export interface SentPresence {
  readonly content: Uint8Array
  readonly lang: string | undefined
  readonly id: string | undefined
}

/** A connected resource of an account as every node may know it. Structurally a `Recipient` (contract/). */
export interface RegisteredSession {
  readonly jid: FullJid
  readonly node: string
  /** Undefined until initial presence, and again after unavailable. */
  readonly priority: number | undefined
  readonly flags: ReadonlySet<'carbons' | 'inactive' | 'following' | 'interested' | 'blocklist'>
  /** Ms since the epoch: its place among the account's resources that are available and connected (policy `exclusive`); undefined: none. */
  readonly queuedAt: number | undefined
  /** The last undirected available presence. */
  readonly presence: SentPresence | undefined
}

/** Who is connected where (DESIGN.md section 7). Rebuildable at any time from the nodes' own sessions. */
export interface Registry {
  /** All connected resources of the account, on all nodes; at once where the registry is in this process. */
  of(account: BareJid): readonly RegisteredSession[] | Promise<readonly RegisteredSession[]>
  /** Adds or replaces a session of this node. A session of the same full JID elsewhere is replaced; the caller ends it. */
  put(session: RegisteredSession): void
  /** Replaces a session if it is still this node's. */
  update(session: RegisteredSession): void
  /** Removes a session if it is still this node's. */
  remove(jid: FullJid, node: string): void
}

/** True when the session is to get entries of its account's log and has not yet read all of it. */
export function isBehind({ priority, flags }: RegisteredSession): boolean {
  return priority !== undefined && priority >= 0 && !flags.has('following')
}
