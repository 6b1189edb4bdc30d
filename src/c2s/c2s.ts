import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { BindInline, StreamFeature } from '../contract/handler.ts'
import type { ConnectionCounts } from '../net/listener.ts'
import { Negotiation } from '../stream/negotiate.ts'
import type { BindWish, LoggedIn, NegotiationParts, TlsFacts } from '../stream/parts.ts'
import { Stream, type StreamContext } from '../stream/stream.ts'
import { networkOf } from '../util/network.ts'
import type { Element } from '../xmpp/element.ts'
import { type BareJid, type FullJid, fullJid, prepareResource } from '../xmpp/jid.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { StreamError } from '../xmpp/stream-error.ts'
import type { SessionParts } from './parts.ts'
import { ClientSession } from './session.ts'

export interface ClientParts {
  readonly context: StreamContext
  readonly session: SessionParts
  readonly counts: ConnectionCounts
  readonly features: readonly StreamFeature[]
  readonly bindInlines: readonly BindInline[]
  readonly negotiation: Omit<NegotiationParts, 'features' | 'bindInlines' | 'secure' | 'bind' | 'resume' | 'ended'>
  readonly secure: (raw: Socket, isGathered: boolean) => Promise<{ readonly socket: Socket; readonly facts: TlsFacts }>
  /** Whether what was proven at the login still opens the account of this address. */
  readonly isStill: (account: LoggedIn) => Promise<boolean>
  /** Ends a session of that full JID on another node. */
  readonly endElsewhere: (jid: FullJid, node: string) => void
  readonly sessionsOf: (account: BareJid) => Promise<readonly { readonly jid: FullJid; readonly node: string }[]>
}

/** Clients' connections, from the socket to a bound session. */
export class Clients {
  readonly #parts: ClientParts
  readonly #streams = new Set<Stream>()
  /** Direct TLS connections in their handshake. */
  readonly #arriving = new Set<Socket>()
  #isStopping = false

  constructor(parts: ClientParts) {
    this.#parts = parts
  }
  get size(): number {
    return this.#streams.size
  }

  /** A new connection. `isGathered`: every client of this listener may be an old Java one (see net/). */
  accept(socket: Socket, kind: 'starttls' | 'direct_tls', isGathered: boolean): void {
    const ip = socket.remoteAddress ?? ''
    const network = networkOf(ip)
    if (this.#isStopping || !this.#parts.counts.enter(network)) {
      socket.destroy()
      return
    }
    let isSettled = false
    const settle = () => {
      if (!isSettled) this.#parts.counts.settled(network)
      isSettled = true
    }
    socket.once('close', () => {
      settle()
      this.#parts.counts.left(network)
    })
    const secure = (raw: Socket) => this.#parts.secure(raw, isGathered)
    if (kind === 'starttls') {
      this.#open(socket, ip, secure, undefined, settle)
      return
    }
    // The handshake is bounded like all that precedes a login.
    const deadline = setTimeout(() => socket.destroy(), this.#parts.negotiation.loginMs)
    this.#arriving.add(socket)
    secure(socket)
      .then(
        ({ socket: secured, facts }) => this.#open(secured, ip, secure, facts, settle),
        () => socket.destroy(),
      )
      .finally(() => {
        clearTimeout(deadline)
        this.#arriving.delete(socket)
      })
  }
  #open(
    socket: Socket,
    ip: string,
    secure: NegotiationParts['secure'],
    facts: TlsFacts | undefined,
    settle: () => void,
  ): void {
    if (this.#isStopping || socket.destroyed) {
      socket.destroy()
      return
    }
    const parts: NegotiationParts = {
      ...this.#parts.negotiation,
      features: this.#parts.features,
      bindInlines: this.#parts.bindInlines,
      secure,
      bind: (stream, account, wish) => this.#bind(stream, account, wish),
      resume: (stream, account, previd, h, tell) => this.#resume(stream, account, previd, h, tell),
      ended: settle,
    }
    const stream: Stream = new Stream(
      this.#parts.context,
      socket,
      ip,
      parts.limits.before,
      (s) => new Negotiation(s, parts, facts),
    )
    this.#streams.add(stream)
    socket.once('close', () => this.#streams.delete(stream))
  }

  /** RFC 6120 §7. A resource that is bound already goes to the newcomer (§7.7.2.2). @throws StanzaError */
  async #bind(stream: Stream, who: LoggedIn, wish: BindWish): Promise<FullJid> {
    const { session: parts, isStill, sessionsOf, endElsewhere } = this.#parts
    const { resource: asked, stable, device, skipWaiting, begin } = wish
    const resource =
      asked === undefined || asked === '' ? randomBytes(12).toString('base64url') : prepareResource(asked)
    if (resource === undefined) throw new StanzaError('bad-request', { text: 'This resource cannot be.' })
    const { jid: account, id } = who
    const jid = fullJid(account, resource)
    const others = await sessionsOf(account)
    // Between login and binding the account may have gone, or got another key or password: that ended its sessions, of which this
    // stream is none yet. After this look nothing is waited for, so whatever changes from now on finds the session.
    if (!(await isStill(who))) throw new StanzaError('not-allowed', { text: 'This account is not there any more.' })
    const elsewhere = others.find((s) => s.jid === jid && s.node !== parts.node)
    if (elsewhere !== undefined) endElsewhere(jid, elsewhere.node)
    parts.sessions.get(jid)?.end('conflict', 'The resource was bound by another stream.')
    // XEP-0386 §3.2: "the server SHOULD terminate any earlier sessions from the same client".
    const earlier = others.filter((s) => s.jid !== jid && stable !== undefined && s.jid.endsWith(`/${stable}`))
    for (const { jid: old, node } of earlier) {
      if (node === parts.node) parts.sessions.get(old)?.end('conflict', 'This client has a newer session.')
      else endElsewhere(old, node)
    }
    const isFull = others.filter((s) => s.jid !== jid && !earlier.includes(s)).length >= parts.limits.perAccount
    // Sessions that a device has left behind must not keep it out.
    if (isFull && !parts.sessions.makeRoom(account))
      throw new StanzaError('resource-constraint', { text: 'Too many sessions of this account.' })
    if (stream.isOver || stream.connection.isGone) throw new StanzaError('not-allowed')
    // Who names no device is known by the resource it asks for; one that we chose is nobody's.
    const known = device ?? (skipWaiting !== true && asked !== undefined && asked !== '' ? resource : undefined)
    const session = new ClientSession(parts, stream, jid, id, { device: known, skipWaiting })
    parts.sessions.add(session)
    begin(session)
    return jid
  }

  /** XEP-0198 §5. A session of another node cannot be taken over yet: the client binds anew and nothing that is kept is lost. */
  async #resume(
    stream: Stream,
    { jid: account, id }: LoggedIn,
    previd: string,
    h: number,
    tell: (resumed: Element, jid: string) => void,
  ): Promise<{ handler: ClientSession } | { lost: number | undefined }> {
    const { sessions, inbox } = this.#parts.session
    const session = sessions.resumable(previd, account)
    if (session === undefined || session.accountId !== id) {
      const name = Buffer.from(previd, 'base64url')
      return { lost: name.length === 16 ? await inbox.lastSettled(name) : undefined }
    }
    // What it has sent is settled first, so that `h` tells all of it.
    const rest = session.rests()
    if (rest !== undefined) {
      await inbox.flush()
      await rest
    }
    if (stream.isOver || stream.connection.isGone) return { lost: undefined }
    // It has ended meanwhile, and all of it is settled.
    if (sessions.resumable(previd, account) !== session) return { lost: session.h }
    session.resume(stream, h, (resumed) => tell(resumed, session.jid))
    sessions.attached(session)
    return { handler: session }
  }

  /** From now on nobody new is let in. */
  refuse(): void {
    this.#isStopping = true
  }
  /** Ends all streams; sessions are told first what is settled. */
  stop(): void {
    this.#isStopping = true
    for (const socket of this.#arriving) socket.destroy()
    for (const session of [...this.#parts.session.sessions]) session.stop()
    for (const stream of this.#streams) stream.close(new StreamError('system-shutdown', 'The server stops.'))
  }
}
