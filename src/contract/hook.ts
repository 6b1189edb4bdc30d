import type { Ticket } from '../util/ticket.ts'
import type { Domain } from '../xmpp/jid.ts'
import type { Kind, Stanza } from '../xmpp/stanza.ts'
import type { QName } from '../xmpp/tokenizer.ts'
import type { AccountView } from './account-view.ts'
import type { Origin, Recipient, Session } from './session.ts'

export type Awaitable<T> = T | Promise<T>

/** What a handler is given at each station, in the order a stanza meets them. */
export interface Stations<K extends Kind = Kind> {
  /** Sent by a local client; `from` is stamped (RFC 6120 §8.1.2.1), nothing is routed yet. */
  readonly fromClient: { readonly stanza: Stanza<K>; readonly session: Session }
  /** Received from a remote server; the domain of `from` is verified against the stream (§8.1.2.2). */
  readonly fromServer: { readonly stanza: Stanza<K>; readonly domain: Domain }
  /** For a local account, sent or received. Runs once per stanza and account, after RFC 6121 §8.5 chose the recipients. */
  readonly toAccount: {
    readonly stanza: Stanza<K>
    readonly account: AccountView
    readonly direction: Direction
    readonly origin: Origin
    readonly recipients: readonly Recipient[]
  }
  /** For a local account none of whose sessions was chosen (RFC 6121 §8.5.2.2). */
  readonly toOffline: { readonly stanza: Stanza<K>; readonly account: AccountView }
  /** About to be queued on one session of this node. Not `addressed`: a resource of the account that carries the flag `carbons`. */
  readonly toSession: {
    readonly stanza: Stanza<K>
    readonly session: Session
    readonly direction: Direction
    readonly addressed: boolean
  }
  /** About to be queued for another domain. */
  readonly toServer: { readonly stanza: Stanza<K>; readonly domain: Domain }
}
export type Station = keyof Stations
/** Of an entry of an account's log: from one of its own sessions, or to the account. */
export type Direction = 'sent' | 'received'

/**
 * What a handler may do, by phase. A station runs guard, annotate, record, then its own work, then copy.
 * Within a phase, features run in the order of features/index.ts. There are no numeric priorities.
 * All are synchronous: what they need of an account is in its view, loaded before; what must wait for a commit has a ticket.
 */
export interface Phases<Event> {
  /** May refuse: 'drop' ends the route in silence, a thrown StanzaError bounces the stanza. */
  readonly guard: (event: Event) => 'pass' | 'drop'
  /** May replace the stanza, and returns the one to go on with. */
  readonly annotate: (event: Event) => Stanza
  /** May join the current batch. The stanza is passed on, and settled for its sender, when the ticket is. */
  readonly record: (event: Event) => Ticket | undefined
  /** May send other stanzas; runs when the tickets have settled. A throw is logged and the route goes on. */
  readonly copy: (event: Event) => void
}
export type Phase = keyof Phases<never>

export interface Hook {
  readonly station: Station
  readonly kind: Kind
  readonly phase: Phase
  readonly run: (event: never) => unknown
  /** Asked for stanzas with this payload only, which costs the others nothing. */
  readonly payload: QName | undefined
}

/** Declares one hook; the three words fix the type of `run`. `payload`: see Hook. */
export function on<S extends Station, K extends Kind, P extends Phase>(
  station: S,
  kind: K,
  phase: P,
  run: Phases<Stations<K>[S]>[P],
  payload?: QName,
): Hook {
  return { station, kind, phase, run: run as Hook['run'], payload }
}
