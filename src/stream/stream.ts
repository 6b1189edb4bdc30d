import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Timed, Wheel } from '../util/wheel.ts'
import { type Element, el } from '../xmpp/element.ts'
import { type Domain, parseJid, prepareDomain } from '../xmpp/jid.ts'
import { NS_CLIENT, NS_STREAM_ERRORS, NS_STREAMS } from '../xmpp/ns.ts'
import { serialize } from '../xmpp/serialize.ts'
import { StreamError } from '../xmpp/stream-error.ts'
import type { HeaderToken, RawElement, Token, TokenizerLimits } from '../xmpp/tokenizer.ts'
import { Connection, type ConnectionOwner, type Turns } from './connection.ts'

/** Who deals with what comes in on a stream: the negotiation first, the session later. */
export interface StreamHandler {
  /** The peer opened (or restarted) the stream; ours is open, features may follow. */
  opened(header: HeaderToken): void
  element(raw: RawElement): void
  /** The peer sent `</stream:stream>`; the handler ends with `stream.close()` once nothing it has promised is open. */
  footer(): void
  /** See ConnectionOwner. */
  turn(): void
  drained(): void
  /** The stream is over, whoever ended it; called once. */
  ended(reason: string): void
  /** `stream.wake` has come. */
  elapsed(now: number): void
}

/** What all streams of a listener share. */
export interface StreamContext {
  readonly turns: Turns
  readonly wheel: Wheel
  readonly log: Logger
  readonly domains: ReadonlySet<Domain>
  readonly closed: (condition: string) => void
  /** How long we wait for the peer's `</stream:stream>` after ours (RFC 6120 §4.4). */
  readonly closeMs: number
  /** Bytes that may wait for a slow peer. */
  readonly outQueueBytes: number
}

/**
 * One XMPP stream of a client on one connection (RFC 6120 §4), through its restarts: header, errors, closing handshake.
 * States: `waiting` for a header → `open` → `closing` (we have sent our footer) → `over`.
 */
export class Stream implements ConnectionOwner, Timed {
  readonly #context: StreamContext
  readonly connection: Connection
  readonly ip: string
  #handler: StreamHandler
  #state: 'waiting' | 'open' | 'closing' | 'over' = 'waiting'
  #sentHeader = false
  #domain: Domain | undefined
  #footerSeen = false
  /** What a new session was sent before its login is answered. */
  #corked: (Buffer | string)[] | undefined
  #corkedBytes = 0
  due = Infinity

  constructor(
    context: StreamContext,
    socket: Socket,
    ip: string,
    limits: TokenizerLimits,
    handler: (stream: Stream) => StreamHandler,
  ) {
    this.#context = context
    this.ip = ip
    this.connection = new Connection(socket, context.turns, { limits, highWater: context.outQueueBytes }, this)
    this.#handler = handler(this)
  }

  get log(): Logger {
    return this.#context.log
  }
  /** The domain the peer asked for (`to`), fixed by the first header. */
  get domain(): Domain | undefined {
    return this.#domain
  }
  /** True once we have said our last. */
  get isOver(): boolean {
    return this.#state === 'closing' || this.#state === 'over'
  }
  set handler(handler: StreamHandler) {
    this.#handler = handler
  }
  set limits(limits: TokenizerLimits) {
    this.connection.tokenizer.limits = limits
  }

  send(bytes: Buffer | string): void {
    if (this.#corked !== undefined) this.#keepBack(this.#corked, bytes)
    else if (this.#state === 'open' || this.#state === 'waiting') this.connection.write(bytes)
  }
  /** Keeps back what is sent until `uncork`; whoever is sent more than a slow client may be is gone. */
  cork(): void {
    this.#corked ??= []
  }
  #keepBack(kept: (Buffer | string)[], bytes: Buffer | string): void {
    kept.push(bytes)
    this.#corkedBytes += bytes.length
    if (this.#corkedBytes > this.#context.outQueueBytes) this.connection.destroy()
  }
  /** Sends `first`, then what was kept back. */
  uncork(first: string): void {
    const kept = this.#corked ?? []
    this.#corked = undefined
    this.#corkedBytes = 0
    this.send(first)
    for (const bytes of kept) this.send(bytes)
  }
  sendElement(element: Element): void {
    this.send(serialize(element, NS_CLIENT))
  }
  /** Has the handler's `elapsed` called after `ms`; Infinity: not at all. */
  wake(ms: number): void {
    if (this.#state === 'over' || this.#state === 'closing') return
    if (ms === Number.POSITIVE_INFINITY) this.#context.wheel.cancel(this)
    else this.#context.wheel.schedule(this, this.#context.wheel.now() + ms)
  }
  now(): number {
    return this.#context.wheel.now()
  }
  /** What comes next is a new header (RFC 6120 §4.3.3). */
  restart(): void {
    if (this.isOver) return
    this.#state = 'waiting'
    this.#sentHeader = false
    this.connection.tokenizer.restart()
  }

  /** Ends the stream with an error (RFC 6120 §4.9.1.1), or by the closing handshake when there is none. */
  close(error?: StreamError): void {
    if (this.isOver) return
    if (!this.#sentHeader) this.#writeHeader(undefined)
    if (error !== undefined) this.connection.write(errorElement(error))
    this.connection.write('</stream:stream>')
    this.#over(error?.condition ?? 'closed')
    if (this.#footerSeen || error !== undefined) this.connection.finish()
    this.#context.wheel.schedule(this, this.#context.wheel.now() + this.#context.closeMs)
  }

  /** An exception of whoever dealt with this stream's input. */
  failed(error: unknown): void {
    if (error instanceof StreamError) {
      this.#context.log.debug({ ip: this.ip, condition: error.condition, text: error.text }, 'stream error')
      this.close(error)
    } else {
      this.#context.log.error({ err: error, ip: this.ip }, 'stream failed')
      this.close(new StreamError('internal-server-error'))
    }
    // After an error nothing can be understood any more, so there is no footer to wait for.
    this.connection.finish()
  }

  token(token: Token): void {
    if (this.#state === 'closing' || this.#state === 'over') {
      if (token.token === 'footer') this.connection.finish()
      return
    }
    if (token.token === 'element') {
      this.#handler.element(token)
    } else if (token.token === 'header') {
      this.#open(token)
    } else {
      this.#footerSeen = true
      // COMPAT: some clients answer an <r/> that crossed their footer.
      this.connection.ignoreInput()
      this.#handler.footer()
    }
  }
  turn(): void {
    if (this.#state !== 'open') return
    try {
      this.#handler.turn()
    } catch (error) {
      this.failed(error)
    }
  }
  drained(): void {
    if (this.#state === 'open') this.#handler.drained()
  }
  gone(error: Error | undefined): void {
    this.#context.wheel.cancel(this)
    if (this.#state !== 'over' && this.#state !== 'closing')
      this.#over(error === undefined ? 'disconnected' : 'connection-lost')
    this.#state = 'over'
  }
  elapsed(now: number): void {
    if (this.isOver) {
      this.connection.destroy()
      return
    }
    try {
      this.#handler.elapsed(now)
    } catch (error) {
      this.failed(error)
    }
  }

  #over(reason: string): void {
    this.#state = 'closing'
    this.#context.closed(reason)
    this.#handler.ended(reason)
  }

  #open(header: HeaderToken): void {
    if (header.ns !== NS_STREAMS)
      throw new StreamError('invalid-namespace', 'The root element must be in the streams namespace.')
    if (header.name !== 'stream') throw new StreamError('bad-format', 'The root element must be <stream/>.')
    if (header.contentNs !== NS_CLIENT)
      throw new StreamError('invalid-namespace', 'The content namespace must be jabber:client.')
    const version = header.attrs.version
    if (version === undefined || !version.startsWith('1.'))
      throw new StreamError('unsupported-version', 'Only XMPP 1.0 is spoken here.')
    const to = header.attrs.to
    const domain = to === undefined ? undefined : prepareDomain(to)
    if (domain === undefined)
      throw new StreamError(
        to === undefined ? 'host-unknown' : 'improper-addressing',
        'The header must name a domain in to.',
      )
    if (!this.#context.domains.has(domain)) throw new StreamError('host-unknown', 'This domain is not served here.')
    if (this.#domain !== undefined && this.#domain !== domain)
      throw new StreamError('not-authorized', 'A restarted stream must stay with its domain.')
    this.#domain = domain
    this.#state = 'open'
    this.#writeHeader(header.attrs.from)
    this.#handler.opened(header)
  }
  #writeHeader(from: string | undefined): void {
    this.#sentHeader = true
    const to = from === undefined ? undefined : parseJid(from)
    const attrs: Record<string, string> = {
      'xml:lang': 'en',
      version: '1.0',
      id: randomBytes(16).toString('base64url'),
      from: this.#domain ?? [...this.#context.domains][0] ?? '',
      ...(to === undefined ? {} : { to }),
    }
    // The element is written as any other, its end tag left away.
    const text = serialize(el('x', NS_CLIENT, attrs), NS_CLIENT)
    const written = text.slice(2, text.lastIndexOf('/>'))
    this.connection.write(
      `<?xml version='1.0'?><stream:stream xmlns='${NS_CLIENT}' xmlns:stream='${NS_STREAMS}'${written}>`,
    )
  }
}

/** `<stream:error/>` or `<stream:features/>`: written with the prefix, since deployed clients look for it. */
export function streamElement(name: 'error' | 'features', children: readonly Element[]): string {
  return `<stream:${name}>${children.map((c) => serialize(c, NS_CLIENT)).join('')}</stream:${name}>`
}
function errorElement(error: StreamError): string {
  const parts = [el(error.condition, NS_STREAM_ERRORS)]
  if (error.text !== undefined) parts.push(el('text', NS_STREAM_ERRORS, { 'xml:lang': 'en' }, error.text))
  if (error.app !== undefined) parts.push(error.app)
  return streamElement('error', parts)
}
