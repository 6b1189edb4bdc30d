import type { ScramMechanism } from '../account/store.ts'
import type { OfferedStream, StreamFeature, StreamFlag } from '../contract/handler.ts'
import { child, type Element, el, firstElement, textOf } from '../xmpp/element.ts'
import { type BareJid, bareOf, type Domain, domainOf, localOf, parseJid, resourceOf } from '../xmpp/jid.ts'
import { NS_BIND, NS_CLIENT, NS_SASL, NS_SASL2, NS_SM, NS_STANZA_ERRORS, NS_TLS } from '../xmpp/ns.ts'
import { BindingError, type SaslError } from '../xmpp/sasl-error.ts'
import { echoOf, errorElement } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { StreamError } from '../xmpp/stream-error.ts'
import type { HeaderToken, RawElement } from '../xmpp/tokenizer.ts'
import type { LoginHost } from './login-host.ts'
import { limitsFeature, loginFeatures } from './offer.ts'
import type { BindWish, LoggedIn, NegotiationParts, TlsFacts } from './parts.ts'
import { advertisedBy, bindingTypesFor, type MechanismName, mechanismsFor } from './sasl.ts'
import type { SaslContext } from './sasl-mechanism.ts'
import { Sasl1 } from './sasl1.ts'
import { disturbed, resumed, Sasl2 } from './sasl2.ts'
import { readResume } from './sasl2-request.ts'
import { type Stream, type StreamHandler, streamElement } from './stream.ts'

/** Registering takes as long as an SMS and its reader; only whoever has begun to gets this long, and only once. */
const REGISTRATION_MS = 5 * 60_000
const NO_TLS: TlsFacts = {
  bindings: new Map(),
  certificate: undefined,
  hasBridge: false,
  isResumed: false,
  unique: undefined,
}

/**
 * From the first header to a bound session (RFC 6120 §4.3): offers the features whose flags fit, runs the one that is chosen,
 * one at a time. While one waits for anything, the stream is not read.
 */
export class Negotiation implements StreamHandler, LoginHost {
  readonly stream: Stream
  readonly parts: NegotiationParts
  readonly #flags = new Set<StreamFlag>()
  readonly #sasl1: Sasl1
  readonly #sasl2: Sasl2
  #facts: TlsFacts | undefined
  #from: BareJid | undefined
  #mechanisms: readonly MechanismName[] = []
  #account: LoggedIn | undefined
  #failures = 0
  #deadline: number
  #isRegistering = false
  #isOver = false

  /** `facts`: the connection began with TLS. */
  constructor(stream: Stream, parts: NegotiationParts, facts: TlsFacts | undefined) {
    this.stream = stream
    this.parts = parts
    this.#sasl1 = new Sasl1(this)
    this.#sasl2 = new Sasl2(this)
    this.#deadline = stream.now() + parts.loginMs
    stream.wake(parts.loginMs)
    if (facts !== undefined) this.#secured(facts)
  }
  #secured(facts: TlsFacts): void {
    this.#facts = facts
    this.#flags.add('secure')
  }

  // What a login needs (LoginHost).

  get facts(): TlsFacts {
    return this.#facts ?? NO_TLS
  }
  get from(): BareJid | undefined {
    return this.#from
  }
  get mechanisms(): readonly MechanismName[] {
    return this.#mechanisms
  }
  get context(): SaslContext {
    const { bindings, certificate, hasBridge, isResumed } = this.facts
    const facts = { bindings, certificate, hasBridge, isResumed }
    const context = { ...this.parts.sasl, ...facts, domain: this.#domain, secure: this.#flags.has('secure') }
    const advertised = advertisedBy(this.#mechanisms, bindingTypesFor({ ...context, advertised: undefined }))
    return { ...context, advertised }
  }
  refused(mechanism: string, error: SaslError, failure: Element): void {
    if (error.condition !== 'aborted') this.parts.tried(this.stream.ip, mechanism, error)
    this.stream.sendElement(failure)
    // COMPAT(slixmpp 1.8): it tries tls-unique with every -PLUS, claims "y" with every other SCRAM, and comes to PLAIN as the seventh.
    if (error instanceof BindingError) return
    if (++this.#failures >= this.parts.loginAttempts)
      throw new StreamError('policy-violation', 'Too many failed attempts.')
  }
  authenticated(account: LoggedIn, mechanism: string): void {
    this.parts.tried(this.stream.ip, mechanism, 'success')
    this.parts.loggedIn(account)
    this.#account = account
    this.#flags.add('authenticated')
    this.stream.limits = this.parts.limits.after
  }
  handOver(handler: StreamHandler): void {
    this.#isOver = true
    this.parts.ended()
    // When it is to be woken the handler has said already.
    this.stream.handler = handler
  }
  get #domain(): Domain {
    return this.stream.domain as Domain
  }

  opened(header: HeaderToken): void {
    const isLogin = this.#flags.has('secure') && !this.#flags.has('authenticated')
    this.#from = isLogin ? senderOf(header, this.#domain) : undefined
    const { from, parts } = this
    if (from === undefined || !parts.mayTry(this.stream.ip)) {
      this.#offer([])
      return
    }
    this.waiting(
      () => parts.sasl.credentials.mechanisms(from),
      (known) => this.#offer(known),
      // It will say so again when somebody tries.
      () => this.#offer([]),
    )
  }
  #offer(known: readonly ScramMechanism[]): void {
    this.#mechanisms = mechanismsFor({ ...this.context, advertised: undefined }, known)
    this.stream.send(this.features('unbound'))
  }
  features(bound: 'unbound' | 'bound' | 'counted'): string {
    const offered = this.#offered()
    const features: Element[] = []
    if (!this.#flags.has('secure')) {
      features.push(el('starttls', NS_TLS, {}, el('required', NS_TLS)))
    } else if (!this.#flags.has('authenticated')) {
      features.push(...loginFeatures(this), limitsFeature(this.parts.limits.before.maxBytes, this.parts.loginMs))
    } else {
      if (bound === 'unbound') features.push(el('bind', NS_BIND))
      if (bound !== 'counted') features.push(el('sm', NS_SM))
      features.push(limitsFeature(this.parts.limits.after.maxBytes, this.parts.idleMs))
    }
    for (const feature of this.parts.features) {
      if (!isOffered(feature, this.#flags)) continue
      const element = feature.advertise(offered)
      if (element !== undefined) features.push(element)
    }
    return streamElement('features', features)
  }

  element(raw: RawElement): void {
    if (this.#sasl2.isBusy && raw.ns !== NS_SASL2) throw disturbed()
    if (raw.ns === NS_CLIENT && raw.name === 'iq') this.#iq(raw)
    else if (raw.ns === NS_TLS && raw.name === 'starttls' && !this.#flags.has('secure')) this.#startTls()
    else if (raw.ns === NS_SASL && !this.#flags.has('authenticated')) this.#sasl1.element(raw)
    else if (raw.ns === NS_SASL2 && !this.#flags.has('authenticated')) this.#login2(raw)
    else if (raw.ns === NS_SM && raw.name === 'resume' && this.#account !== undefined) this.#resume(raw, this.#account)
    else if (raw.ns === NS_SM && raw.name === 'enable')
      this.stream.sendElement(el('failed', NS_SM, {}, el('unexpected-request', NS_STANZA_ERRORS)))
    else if (raw.ns === NS_CLIENT) throw new StreamError('not-authorized', 'Log in and bind a resource first.')
    else throw new StreamError('unsupported-stanza-type')
  }
  footer(): void {
    this.stream.close()
  }
  turn(): void {}
  drained(): void {}
  ended(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.parts.ended()
  }
  elapsed(now: number): void {
    if (now >= this.#deadline) this.stream.close(new StreamError('connection-timeout', 'Logging in took too long.'))
    else this.stream.wake(this.#deadline - now)
  }

  /** RFC 6120 §5.4. What was sent before TLS, and together with the request, is nobody's word. */
  #startTls(): void {
    const { connection } = this.stream
    if (connection.tokenizer.buffered > 0) throw new StreamError('policy-violation', 'Wait for <proceed/>.')
    this.stream.sendElement(el('proceed', NS_TLS))
    connection.hold()
    this.parts.secure(connection.detachSocket()).then(
      ({ socket, facts }) => {
        connection.attachSocket(socket)
        this.#secured(facts)
        this.stream.restart()
        connection.release()
      },
      () => connection.abandon(),
    )
  }

  #login2(raw: RawElement): void {
    // XEP-0388 §7: "SASL2 MUST only be used … after TLS negotiation".
    if (!this.#flags.has('secure')) throw new StreamError('not-authorized', 'Start TLS first.')
    this.#sasl1.reset()
    this.#sasl2.element(raw)
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
    const feature = this.parts.features.find(
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
    if (!this.#isRegistering) this.#deadline = Math.max(this.#deadline, this.stream.now() + REGISTRATION_MS)
    this.#isRegistering = true
    this.waiting(
      async () => await choose(payload, this.#offered(), type),
      ({ reply }) => this.#reply(raw, 'result', reply === undefined ? [] : [reply]),
      (error) => {
        if (!(error instanceof StanzaError)) this.stream.log.error({ err: error }, 'request before login failed')
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
    if (raw.to !== undefined) attrs.from = this.stream.domain as string
    this.stream.sendElement(el('iq', NS_CLIENT, attrs, ...payload))
  }

  #bind(raw: RawElement, payload: Element, account: LoggedIn): void {
    const resource = child(payload, 'resource', NS_BIND)
    const { device } = this.#sasl2
    const wish: BindWish = {
      resource: resource === undefined ? undefined : textOf(resource),
      ...(device === undefined ? {} : { device: Buffer.from(device.agent).toString('base64url') }),
      begin: (session) => {
        this.handOver(session)
        this.#reply(raw, 'result', [el('bind', NS_BIND, {}, el('jid', NS_BIND, {}, session.jid))])
      },
    }
    this.waiting(
      async () => {
        const name = resourceOf(await this.parts.bind(this.stream, account, wish))
        if (device !== undefined && name !== undefined) await this.#sasl2.noteResource(device, name)
      },
      () => undefined,
      (error) => {
        if (!(error instanceof StanzaError)) throw error
        this.#refuse(raw, error)
      },
    )
  }
  /** XEP-0198 §5. */
  #resume(raw: RawElement, account: LoggedIn): void {
    const resume = readResume(raw.element.attrs)
    this.waiting(
      () => resumed(this, account, resume, (answer) => this.stream.sendElement(answer)),
      (failed) => {
        if (failed !== undefined) this.stream.sendElement(failed)
      },
      (error) => {
        throw error
      },
    )
  }

  /** Holds the stream while something is waited for; nothing happens any more when it has ended meanwhile. */
  waiting<T>(work: () => Promise<T>, then: (result: T) => void, failed: (error: unknown) => void): void {
    const { connection } = this.stream
    connection.hold()
    const guarded = (go: () => void) => {
      if (connection.isGone) return
      try {
        if (!this.stream.isOver) go()
      } catch (error) {
        this.stream.failed(error)
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
      domain: this.stream.domain as Domain,
      ip: this.stream.ip,
      certificate: this.#facts?.certificate,
    }
  }
}

/** A bare JID in the header's `from`, which is only a claim. @throws StreamError invalid-from when it is of another domain */
function senderOf(header: HeaderToken, domain: Domain): BareJid | undefined {
  const jid = header.attrs.from === undefined ? undefined : parseJid(header.attrs.from)
  if (jid === undefined) return undefined
  // XEP-0388 §2.1; RFC 6120 §4.9.3.9.
  if (domainOf(jid) !== domain) throw new StreamError('invalid-from', 'from and to must be of one domain.')
  return localOf(jid) === undefined ? undefined : bareOf(jid)
}

function isOffered(feature: StreamFeature, flags: ReadonlySet<StreamFlag>): boolean {
  return feature.needs.every((f) => flags.has(f)) && !feature.until.some((f) => flags.has(f))
}
