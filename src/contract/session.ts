import type { BareJid, Domain, FullJid } from '../xmpp/jid.ts'
import type { Stanza } from '../xmpp/stanza.ts'

/** What other nodes may know of a session; kept in the registry beside its JID. A closed set: a new flag is a decision. */
export type SessionFlag = 'carbons' | 'inactive' | 'following' | 'interested' | 'blocklist'

/** A bound resource as a value, wherever it is connected. */
export interface Recipient {
  readonly jid: FullJid
  readonly node: string
  /** Undefined until initial presence, and again after unavailable (RFC 6121 §4.2). */
  readonly priority: number | undefined
  readonly flags: ReadonlySet<SessionFlag>
}

/** A bound resource (RFC 6120 §7) of this node. What a feature remembers about it lives in a `slot`, never as a new field. */
export interface Session extends Recipient {
  readonly account: BareJid
  /** The account's id. Under its address there may be another account by now, whose owner this is not. */
  readonly accountId: number
  /** Peer address without port. */
  readonly ip: string
  /** Queues for the socket. Nothing that is kept is lost by it: see inbox/. */
  send(stanza: Stanza): void
  /**
   * Sends a stanza that carries an entry of the account's archive, now, whatever of the log has still to be given. `id`: of a
   * received one, which is taken when the device has confirmed it.
   */
  sendArchived(stanza: Stanza, id: number | undefined): void
  /**
   * What waits and is in the archive by now is not given to this session when it becomes available: it reads the archive. The same
   * for nobody else. Settles when it is known how much that is: what is read then, and what is given, leave nothing out.
   */
  skipWaiting(): Promise<void>
  /** Changes a flag here and in the registry. */
  flag(name: SessionFlag, on: boolean): void
}

/**
 * Who handed us a stanza. `stream` and `number` name it for `h` (XEP-0198) and for what a client resends after a crash; `settled` is
 * called when one that was pending is settled.
 */
export type Origin =
  | { readonly kind: 'client'; readonly session: Session; readonly number: number; readonly settled?: () => void }
  | { readonly kind: 'remote'; readonly domain: Domain }
  /** `safe`: of a message that must not get lost, which even a full inbox takes; called when it is committed or taken. */
  | { readonly kind: 'server'; readonly safe?: () => void; readonly settled?: () => void }
