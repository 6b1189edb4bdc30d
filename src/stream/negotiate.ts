import type { Socket } from 'node:net'
import type { OfferedStream, StreamFeature, StreamFlag } from '../contract/handler.ts'
import { child, type Element, el, firstElement, textOf } from '../xmpp/element.ts'
import type { BareJid, Domain } from '../xmpp/jid.ts'
import { NS_BIND, NS_CLIENT, NS_SASL, NS_SM, NS_STANZA_ERRORS, NS_TLS } from '../xmpp/ns.ts'
import { BindingError, SaslError } from '../xmpp/sasl-error.ts'
import { echoOf, errorElement } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { StreamError } from '../xmpp/stream-error.ts'
import type { RawElement, TokenizerLimits } from '../xmpp/tokenizer.ts'
import { bindingTypesFor, createMechanism, mechanismsFor } from './sasl.ts'
import {
  decodeInitial,
  decodeResponse,
  encodePayload,
  type Mechanism,
  type SaslContext,
  type SaslStep,
} from './sasl-mechanism.ts'
import { type Stream, type StreamHandler, streamElement } from './stream.ts'

const NS_CHANNEL_BINDING = 'urn:xmpp:sasl-cb:0'
/** Registering takes as long as an SMS and its reader; only whoever has begun to gets this long, and only once. */
const REGISTRATION_MS = 5 * 60_000

/** What TLS told of the peer and of itself. */
export type TlsFacts = Pick<SaslContext, 'bindings' | 'certificate' | 'hasBridge' | 'isResumed'>

/** What all negotiations of a listener share. */
export interface NegotiationParts {
  readonly features: readonly StreamFeature[]
  /** Turns a raw socket into a secured one; rejects when the handshake fails. */
  readonly secure: (raw: Socket) => Promise<{ readonly socket: Socket; readonly facts: TlsFacts }>
  readonly sasl: Omit<SaslContext, keyof TlsFacts | 'domain' | 'secure'>
  /** Before and after login. */
  readonly limits: { readonly before: TokenizerLimits; readonly after: TokenizerLimits }
  readonly loginMs: number
  readonly loginAttempts: number
  /** Asked before each attempt; false when this address has failed too often. */
  readonly mayTry: (ip: string) => boolean
  readonly tried: (ip: string, mechanism: string, outcome: 'success' | SaslError) => void
  readonly loggedIn: (account: BareJid) => void
  /** Binds a resource; the session becomes the stream's handler. @throws StanzaError */
  readonly bind: (
    stream: Stream,
    account: BareJid,
    resource: string | undefined,
  ) => Promise<{ readonly jid: string; readonly handler: StreamHandler }>
  /** Resumes a session; undefined with what may be told of a lost one. @throws StreamError */
  readonly resume: (
    stream: Stream,
    account: BareJid,
    previd: string,
    h: number,
  ) => Promise<{ readonly handler: StreamHandler } | { readonly lost: number | undefined }>
  readonly readCount: (h: string | undefined) => number
  readonly ended: () => void
}

/**
 * From the first header to a bound session (RFC 6120 §4.3): offers the features whose flags fit, runs the one that is chosen,
 * one at a time. While one waits for anything, the stream is not read.
 */
export class Negotiation implements StreamHandler {
  readonly #stream: Stream
  readonly #parts: NegotiationParts
  readonly #flags = new Set<StreamFlag>()
  #facts: TlsFacts | undefined
  #mechanism: { readonly name: string; readonly run: Mechanism } | undefined
  #account: BareJid | undefined
  #failures = 0
  #deadline: number
  #isRegistering = false
  #isOver = false

  /** `facts`: the connection began with TLS. */
  constructor(stream: Stream, parts: NegotiationParts, facts: TlsFacts | undefined) {
    this.#stream = stream
    this.#parts = parts
    this.#deadline = stream.now() + parts.loginMs
    stream.wake(parts.loginMs)
    if (facts !== undefined) this.#secured(facts)
  }
  #secured(facts: TlsFacts): void {
    this.#facts = facts
    this.#flags.add('secure')
  }

  opened(): void {
    const offered = this.#offered()
    const features: Element[] = []
    if (!this.#flags.has('secure')) features.push(el('starttls', NS_TLS, {}, el('required', NS_TLS)))
    else if (!this.#flags.has('authenticated')) features.push(...this.#saslFeatures())
    else features.push(el('bind', NS_BIND), el('sm', NS_SM))
    for (const feature of this.#parts.features) {
      if (!isOffered(feature, this.#flags)) continue
      const element = feature.advertise(offered)
      if (element !== undefined) features.push(element)
    }
    this.#stream.send(streamElement('features', features))
  }
  #saslFeatures(): Element[] {
    const context = this.#saslContext()
    const mechanisms = mechanismsFor(context).map((name) => el('mechanism', NS_SASL, {}, name))
    const types = bindingTypesFor(context).map((type) => el('channel-binding', NS_CHANNEL_BINDING, { type }))
    const features = [el('mechanisms', NS_SASL, {}, ...mechanisms)]
    if (types.length > 0) features.push(el('sasl-channel-binding', NS_CHANNEL_BINDING, {}, ...types))
    return features
  }

  element(raw: RawElement): void {
    if (raw.ns === NS_CLIENT && raw.name === 'iq') this.#iq(raw)
    else if (raw.ns === NS_TLS && raw.name === 'starttls' && !this.#flags.has('secure')) this.#startTls()
    else if (raw.ns === NS_SASL && !this.#flags.has('authenticated')) this.#sasl(raw)
    else if (raw.ns === NS_SM && raw.name === 'resume' && this.#account !== undefined) this.#resume(raw, this.#account)
    else if (raw.ns === NS_SM && raw.name === 'enable')
      this.#stream.sendElement(el('failed', NS_SM, {}, el('unexpected-request', NS_STANZA_ERRORS)))
    else if (raw.ns === NS_CLIENT) throw new StreamError('not-authorized', 'Log in and bind a resource first.')
    else throw new StreamError('unsupported-stanza-type')
  }
  footer(): void {
    this.#stream.close()
  }
  turn(): void {}
  drained(): void {}
  ended(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#parts.ended()
  }
  elapsed(now: number): void {
    if (now >= this.#deadline) this.#stream.close(new StreamError('connection-timeout', 'Logging in took too long.'))
    else this.#stream.wake(this.#deadline - now)
  }

  /** RFC 6120 §5.4. What was sent before TLS, and together with the request, is nobody's word. */
  #startTls(): void {
    const { connection } = this.#stream
    if (connection.tokenizer.buffered > 0) throw new StreamError('policy-violation', 'Wait for <proceed/>.')
    this.#stream.sendElement(el('proceed', NS_TLS))
    connection.hold()
    this.#parts.secure(connection.detachSocket()).then(
      ({ socket, facts }) => {
        connection.attachSocket(socket)
        this.#secured(facts)
        this.#stream.restart()
        connection.release()
      },
      () => connection.abandon(),
    )
  }

  #saslContext(): SaslContext {
    const facts = this.#facts ?? { bindings: new Map(), certificate: undefined, hasBridge: false, isResumed: false }
    return { ...this.#parts.sasl, ...facts, domain: this.#stream.domain as Domain, secure: this.#flags.has('secure') }
  }
  #sasl(raw: RawElement): void {
    try {
      const text = textOf(raw.element)
      if (raw.name === 'auth') {
        if (!this.#parts.mayTry(this.#stream.ip))
          throw new SaslError('temporary-auth-failure', 'Too many failed attempts; try again later.')
        const name = raw.element.attrs.mechanism ?? ''
        const run = createMechanism(name, this.#saslContext())
        this.#mechanism = { name, run }
        const initial = decodeInitial(text)
        this.#step(() => run.begin(initial))
      } else if (raw.name === 'response' && this.#mechanism !== undefined) {
        const { run } = this.#mechanism
        const response = decodeResponse(text)
        this.#step(() => run.step(response))
      } else if (raw.name === 'abort') {
        throw new SaslError('aborted')
      } else {
        throw new SaslError('malformed-request')
      }
    } catch (error) {
      this.#saslFailed(error)
    }
  }
  #step(step: () => SaslStep | Promise<SaslStep>): void {
    this.#waiting(
      async () => await step(),
      (result) => {
        if (result.kind === 'challenge') {
          this.#stream.sendElement(el('challenge', NS_SASL, {}, encodePayload(result.challenge)))
          return
        }
        const payload = result.additional === undefined ? [] : [encodePayload(result.additional)]
        this.#stream.sendElement(el('success', NS_SASL, {}, ...payload))
        this.#parts.tried(this.#stream.ip, this.#mechanism?.name ?? '', 'success')
        this.#parts.loggedIn(result.jid)
        this.#mechanism = undefined
        this.#account = result.jid
        this.#flags.add('authenticated')
        this.#stream.limits = this.#parts.limits.after
        this.#stream.restart()
      },
      (error) => this.#saslFailed(error),
    )
  }
  #saslFailed(error: unknown): void {
    if (!(error instanceof SaslError)) throw error
    const name = this.#mechanism?.name ?? ''
    this.#mechanism = undefined
    if (error.condition !== 'aborted') this.#parts.tried(this.#stream.ip, name, error)
    const text = error.text === undefined ? [] : [el('text', NS_SASL, { 'xml:lang': 'en' }, error.text)]
    this.#stream.sendElement(el('failure', NS_SASL, {}, el(error.condition, NS_SASL), ...text))
    // COMPAT(slixmpp 1.8): it tries tls-unique with every -PLUS, claims "y" with every other SCRAM, and comes to PLAIN as the seventh.
    if (error instanceof BindingError) return
    if (++this.#failures >= this.#parts.loginAttempts)
      throw new StreamError('policy-violation', 'Too many failed attempts.')
  }

  #iq(raw: RawElement): void {
    const { type, id } = raw
    if ((type !== 'get' && type !== 'set') || id === undefined) throw new StreamError('not-authorized', 'Log in first.')
    if (!this.#flags.has('secure')) throw new StreamError('not-authorized', 'Start TLS first.')
    const payload = firstElement(raw.element)
    if (payload === undefined) {
      this.#refuse(raw, new StanzaError('bad-request'))
      return
    }
    if (this.#account !== undefined && type === 'set' && payload.ns === NS_BIND && payload.name === 'bind') {
      this.#bind(raw, payload, this.#account)
      return
    }
    const feature = this.#parts.features.find(
      (f) =>
        f.chosenBy !== undefined &&
        isOffered(f, this.#flags) &&
        f.chosenBy.ns === payload.ns &&
        f.chosenBy.name === payload.name,
    )
    const choose = feature?.chosenBy?.choose
    if (choose === undefined) {
      this.#refuse(
        raw,
        new StanzaError('not-authorized', {
          text: this.#account === undefined ? 'Log in first.' : 'Bind a resource first.',
        }),
      )
      return
    }
    // Once: asking again and again makes it no longer.
    if (!this.#isRegistering) this.#deadline = Math.max(this.#deadline, this.#stream.now() + REGISTRATION_MS)
    this.#isRegistering = true
    this.#waiting(
      async () => await choose(payload, this.#offered(), type),
      ({ reply }) => this.#reply(raw, 'result', reply === undefined ? [] : [reply]),
      (error) => {
        if (!(error instanceof StanzaError)) this.#stream.log.error({ err: error }, 'request before login failed')
        this.#refuse(
          raw,
          error instanceof StanzaError ? error : new StanzaError('internal-server-error', { type: 'wait' }),
        )
      },
    )
  }
  #refuse(raw: RawElement, error: StanzaError): void {
    this.#reply(raw, 'error', [...echoOf(raw.element, error), errorElement(error)])
  }
  /** `from` only where the client named us: some take an answer from nobody but whom they asked. */
  #reply(raw: RawElement, type: 'result' | 'error', payload: readonly Element[]): void {
    const attrs: Record<string, string> = { type, id: raw.id ?? '' }
    if (raw.to !== undefined) attrs.from = this.#stream.domain as string
    this.#stream.sendElement(el('iq', NS_CLIENT, attrs, ...payload))
  }

  #bind(raw: RawElement, payload: Element, account: BareJid): void {
    const resource = child(payload, 'resource', NS_BIND)
    this.#waiting(
      () => this.#parts.bind(this.#stream, account, resource === undefined ? undefined : textOf(resource)),
      ({ jid, handler }) => {
        this.#handOver(handler)
        this.#reply(raw, 'result', [el('bind', NS_BIND, {}, el('jid', NS_BIND, {}, jid))])
      },
      (error) => {
        if (!(error instanceof StanzaError)) throw error
        this.#refuse(raw, error)
      },
    )
  }
  /** XEP-0198 §5. */
  #resume(raw: RawElement, account: BareJid): void {
    const { previd, h } = raw.element.attrs
    const count = this.#parts.readCount(h)
    this.#waiting(
      () => this.#parts.resume(this.#stream, account, previd ?? '', count),
      (result) => {
        if ('handler' in result) {
          this.#handOver(result.handler)
          return
        }
        const attrs: Record<string, string> = result.lost === undefined ? {} : { h: String(result.lost % 2 ** 32) }
        this.#stream.sendElement(el('failed', NS_SM, attrs, el('item-not-found', NS_STANZA_ERRORS)))
      },
      (error) => {
        throw error
      },
    )
  }
  #handOver(handler: StreamHandler): void {
    this.#isOver = true
    this.#parts.ended()
    // When it is to be woken the handler has said already.
    this.#stream.handler = handler
  }

  /** Holds the stream while something is waited for; nothing happens any more when it has ended meanwhile. */
  #waiting<T>(work: () => Promise<T>, then: (result: T) => void, failed: (error: unknown) => void): void {
    const { connection } = this.#stream
    connection.hold()
    const guarded = (go: () => void) => {
      if (connection.isGone) return
      try {
        if (!this.#stream.isOver) go()
      } catch (error) {
        this.#stream.failed(error)
      }
      connection.release()
    }
    work().then(
      (result) => guarded(() => then(result)),
      (error: unknown) => guarded(() => failed(error)),
    )
  }
  #offered(): OfferedStream {
    return {
      flags: this.#flags,
      domain: this.#stream.domain as Domain,
      ip: this.#stream.ip,
      certificate: this.#facts?.certificate,
    }
  }
}

function isOffered(feature: StreamFeature, flags: ReadonlySet<StreamFlag>): boolean {
  return feature.needs.every((f) => flags.has(f)) && !feature.until.some((f) => flags.has(f))
}
