import type { FormDescription } from '../xmpp/data-form.ts'
import type { DiscoInfo, DiscoItem } from '../xmpp/disco.ts'
import type { Element } from '../xmpp/element.ts'
import type { BareJid, Domain, Jid } from '../xmpp/jid.ts'
import type { Iq, Message } from '../xmpp/stanza.ts'
import type { Condition } from '../xmpp/stanza-error.ts'
import type { AccountView } from './account-view.ts'
import type { Awaitable } from './hook.ts'
import type { Session } from './session.ts'

/** Result payload, or undefined for an empty result. A thrown StanzaError becomes the error reply. */
type Answer<Call> = (call: Call & { readonly request: Iq; readonly payload: Element }) => Awaitable<Element | undefined>

/** Answers one kind of iq, chosen by type, target and the payload's qualified name. */
export type IqHandler = {
  readonly type: 'get' | 'set'
  readonly name: string
  readonly ns: string
} /** Addressed to a domain we serve. */ & (
  | {
      readonly target: 'server'
      readonly answer: Answer<{ readonly from: Jid; readonly session: Session | undefined }>
    }
  /** Addressed to a service of ours (`Service`): to the one with that localpart, or to any of them. */
  | {
      readonly target: 'service'
      readonly local?: string
      readonly answer: Answer<{ readonly from: Jid; readonly session: Session | undefined }>
    }
  /** Addressed by anybody to a local account's bare JID; answered on behalf of `account`, who may be offline. */
  | {
      readonly target: 'account'
      readonly answer: Answer<{ readonly from: Jid; readonly account: BareJid }>
      /** What is told where there is no such account, or the asker is blocked; `service-unavailable` when absent. What strangers are told should be the same. */
      readonly refusal?: Condition
      /**
       * Asked before it is looked whether there is such an account (`view.account`): what it throws is the answer, whoever is asked for.
       * For budgets that must be spent on misses as well.
       */
      readonly admit?: (call: {
        readonly from: Jid
        readonly view: AccountView
        readonly payload: Element
      }) => Awaitable<void>
    }
  /** Sent by a session to its own account, with or without `to` (RFC 6120 §10.3.3). Asked before `account`. */
  | {
      readonly target: 'self'
      readonly answer: Answer<{ readonly session: Session }>
      /** What the session sends after it may be treated otherwise then, and waits until it is answered (RFC 6120 §10.1). */
      readonly suspends?: boolean
    }
)

/** An address on each of our domains that is no account; nobody can register its name. Listed and described by disco (XEP-0030). */
export interface Service {
  readonly local: string
  readonly name: string
  readonly category: string
  readonly type: string
  readonly features: readonly string[]
  /** XEP-0128. */
  readonly forms?: readonly FormDescription[]
}

/**
 * Takes a client's message with this payload to one of our domains, or to its service `local`, and says which messages go in its
 * place. Each goes the whole way of a message of that client; what it sent counts as safe when all of them are.
 */
export interface MessageHandler {
  readonly local?: string
  readonly name: string
  readonly ns: string
  /** A thrown StanzaError becomes the error reply. */
  readonly spread: (message: Message) => readonly Message[]
}

/** Handles a top-level element that is no stanza (XEP-0360) on a bound stream, such as <inactive/>. */
export interface NonzaHandler {
  readonly name: string
  readonly ns: string
  readonly handle: (nonza: Element, session: Session) => void
}

/** What a domain of ours, or an account, says of one of its nodes (XEP-0030 §3.2); undefined when it has none of that name. */
export interface DiscoNodes {
  readonly find: (asked: {
    readonly node: string
    readonly from: Jid
    readonly to: Jid
  }) => { readonly info: DiscoInfo; readonly items: readonly DiscoItem[] } | undefined
}

export type StreamFlag = 'secure' | 'authenticated' | 'bound'
/** The stream a feature is offered on, as far as a feature may see it. */
export interface OfferedStream {
  readonly flags: ReadonlySet<StreamFlag>
  readonly domain: Domain
  /** Peer address without port, for throttles. */
  readonly ip: string
  /** What the peer showed in TLS, DER; possession is proven by TLS, nothing else is. */
  readonly certificate: Uint8Array | undefined
}
/** What choosing a stream feature leads to. */
export interface Outcome {
  readonly reply?: Element | undefined
}

/** One entry of <stream:features/> (RFC 6120 §4.3.2), shown while all of `needs` hold and none of `until` does. */
export interface StreamFeature {
  readonly name: string
  readonly ns: string
  readonly needs: readonly StreamFlag[]
  readonly until: readonly StreamFlag[]
  readonly advertise: (stream: OfferedStream) => Element | undefined
  /** Absent: informational only. An iq before authentication whose payload has this name is given to `choose`; reply and error are wrapped in one. */
  readonly chosenBy?: {
    readonly name: string
    readonly ns: string
    readonly choose: (payload: Element, stream: OfferedStream, type: 'get' | 'set') => Awaitable<Outcome>
  }
}

/**
 * Takes part in Bind 2 (XEP-0386 §3.2), so that a client has the feature on from its session's first moment. One with a `name`
 * is announced by its `ns` and applied when the client's <bind/> holds that element; one without is applied to every Bind 2
 * (the state of the archive).
 *
 * The session exists and has heard nothing yet; what `apply` does before it first waits happens in the same turn in which the
 * session came to be. What it returns stands in <bound/>. It must not end the session; a throw is logged, and the session goes on.
 */
export type BindInline =
  | {
      readonly ns: string
      readonly name: string
      readonly apply: (element: Element, session: Session) => Awaitable<Element | undefined>
    }
  | {
      readonly ns: string
      readonly name?: undefined
      readonly apply: (element: undefined, session: Session) => Awaitable<Element | undefined>
    }
