import type { Socket } from 'node:net'
import type { Devices } from '../account/devices.ts'
import type { LoginState } from '../account/login-store.ts'
import type { ScramSecrets } from '../account/store.ts'
import type { Tokens } from '../account/tokens.ts'
import type { BindInline, StreamFeature } from '../contract/handler.ts'
import type { Session } from '../contract/session.ts'
import type { Attributes, Element } from '../xmpp/element.ts'
import type { BareJid, FullJid } from '../xmpp/jid.ts'
import type { SaslError } from '../xmpp/sasl-error.ts'
import type { TokenizerLimits } from '../xmpp/tokenizer.ts'
import type { SaslContext } from './sasl-mechanism.ts'
import type { Stream, StreamHandler } from './stream.ts'

/** What TLS told of the peer and of itself. */
export type TlsFacts = Pick<SaslContext, 'bindings' | 'certificate' | 'hasBridge' | 'isResumed'> & {
  /** RFC 5929 §3, in TLS 1.2 only: for FAST tokens alone. */
  readonly unique: (() => Buffer) | undefined
}

/** A session that was just bound or resumed, as the negotiation hands the stream over to it. */
export interface BoundSession extends StreamHandler, Session {
  /** XEP-0198 §3. @returns <enabled/> or <failed/> */
  enable(attrs: Attributes): Element
}

/** Who has logged in: the account whose credentials were checked, not whichever bears its address now. */
export interface LoggedIn {
  readonly jid: BareJid
  readonly id: number
  readonly epoch: number
}

/** What is to be bound. */
export interface BindWish {
  /** Undefined: a generated one. */
  readonly resource: string | undefined
  /** Bind 2: the generated part of the resource; earlier sessions that end with it are the same device's and are ended. */
  readonly stable?: string
  /** Hash of the device's own id, in base64url, when it gave one. */
  readonly device?: string
  /** What waits for the account is not sent to this session (DESIGN.md section 5). */
  readonly skipWaiting?: boolean
  /**
   * Runs in the same turn in which the session comes to be, before anything is sent to it. It has to make the session the stream's
   * handler: whatever happens to the stream from then on, the session must hear of it.
   */
  readonly begin: (session: BoundSession) => void
}

/** What all negotiations of a listener share. */
export interface NegotiationParts {
  readonly features: readonly StreamFeature[]
  readonly bindInlines: readonly BindInline[]
  /** Turns a raw socket into a secured one; rejects when the handshake fails. */
  readonly secure: (raw: Socket) => Promise<{ readonly socket: Socket; readonly facts: TlsFacts }>
  readonly sasl: Omit<SaslContext, keyof TlsFacts | 'domain' | 'secure' | 'advertised'>
  readonly tokens: Tokens
  readonly devices: Devices
  /** Adds secrets of the same password; false when the account's credentials have changed meanwhile. */
  readonly addSecrets: (state: LoginState, secrets: readonly ScramSecrets[]) => Promise<boolean>
  /** Before and after login. */
  readonly limits: { readonly before: TokenizerLimits; readonly after: TokenizerLimits }
  readonly loginMs: number
  /** Silence after login that is asked about; announced. */
  readonly idleMs: number
  readonly loginAttempts: number
  /** Asked before each attempt; false when this address has failed too often. */
  readonly mayTry: (ip: string) => boolean
  readonly tried: (ip: string, mechanism: string, outcome: 'success' | SaslError) => void
  readonly loggedIn: (account: LoggedIn) => void
  /** Binds a resource. @throws StanzaError */
  readonly bind: (stream: Stream, account: LoggedIn, wish: BindWish) => Promise<FullJid>
  /**
   * Resumes a session; undefined with what may be told of a lost one. `tell` is given <resumed/> and must send it before it
   * returns; what was not acknowledged follows. @throws StreamError
   */
  readonly resume: (
    stream: Stream,
    account: LoggedIn,
    previd: string,
    h: number,
    tell: (resumed: Element, jid: string) => void,
  ) => Promise<{ readonly handler: StreamHandler } | { readonly lost: number | undefined }>
  readonly ended: () => void
}
