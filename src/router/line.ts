import type { Logger } from 'pino'
import type { AccountView } from '../contract/account-view.ts'
import type { IqHandler, MessageHandler } from '../contract/handler.ts'
import type { Awaitable, Hook, Station } from '../contract/hook.ts'
import type { LinePort } from '../contract/ports.ts'
import type { Origin, Recipient } from '../contract/session.ts'
import type { Entry } from '../inbox/entry.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Policy } from '../inbox/policy.ts'
import type { Bus } from '../presence/bus.ts'
import type { RegisteredSession, Registry } from '../presence/registry.ts'
import { isBlocked } from '../roster/blocking.ts'
import type { RosterStore } from '../roster/store.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import { type BareJid, bareJid, bareOf, type Domain, type FullJid, isFull, type Jid } from '../xmpp/jid.ts'
import type { Retraction } from '../xmpp/retraction.ts'
import { errorReply, type Iq, type Kind, type Message, type Presence, type Stanza } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { type StreamCondition, StreamError } from '../xmpp/stream-error.ts'
import type { RawElement } from '../xmpp/tokenizer.ts'
import { Answers } from './answer.ts'
import { type Delivered, Delivery } from './deliver.ts'
import { type Destination, isRequest, type Served } from './destination.ts'
import { Flushes } from './flushes.ts'
import type { LocalSession, LocalSessions } from './local.ts'
import type { PresenceStep } from './presence.ts'
import { receiveFromClient } from './receive.ts'
import { type Frame, Relay } from './relay.ts'
import { type Line, type Progress, route, settle } from './route.ts'
import { StationRunner, type Work } from './stations.ts'
import { ViewCache } from './views.ts'

export interface RouterDeps {
  readonly served: Served
  readonly registry: Registry
  readonly sessions: LocalSessions
  readonly inbox: Inbox
  readonly bus: Bus
  readonly rosters: RosterStore
  /** How the account's messages are shared out among its devices. */
  readonly policyOf: (view: AccountView) => Policy
  /** Whether an account archives its messages with a contact. */
  readonly archives: (view: AccountView, peer: Jid) => boolean
  /** What a message takes back of what is archived (XEP-0424). */
  readonly retracts: (message: Message) => Retraction | undefined
  /** Another node has changed the server's keys in the store. */
  readonly serverKeysChanged?: () => void
  readonly log: Logger
}
/** What a stanza for an account of ours needs to know before it can be delivered. */
interface Known {
  readonly view: AccountView
  readonly sessions: readonly RegisteredSession[]
  /** Of the sender of a message, where it is one of our clients. */
  readonly sender: AccountView | undefined
}

/** The line (DESIGN.md section 4): every stanza of every session of this node goes through it. */
export class Router implements Line, LinePort {
  readonly views: ViewCache
  readonly #deps: RouterDeps
  readonly #relay: Relay
  readonly #delivery: Delivery
  readonly #flushes = new Flushes(() => this.#relay)
  #answers: Answers | undefined
  readonly #spreads = new Map<string, MessageHandler['spread']>()
  #presence: PresenceStep | undefined
  #stations: StationRunner
  /** Stanzas that wait for an account's view, in order. */
  readonly #arriving = new Map<BareJid, (() => void)[]>()
  /** By a session's address and another bare one: presence under way from one to the other, and what came after it. */
  readonly #pairs = new KeyedQueue<string>()
  /** Sessions with a request under way that suspends, and what they sent since. */
  readonly #suspended = new KeyedQueue<LocalSession>()

  constructor(deps: RouterDeps) {
    this.#deps = deps
    this.#stations = new StationRunner([], deps.log)
    this.#relay = new Relay(deps.bus, (frame) => this.#received(frame))
    this.views = new ViewCache(deps.rosters, (account) => this.#relay.publish({ frame: 'changed', account }))
    this.#delivery = new Delivery({
      node: deps.bus.node,
      registry: deps.registry,
      sessions: deps.sessions,
      inbox: deps.inbox,
      relay: this.#relay,
      policyOf: deps.policyOf,
      archives: deps.archives,
      isBlocked: (account, other) => this.isBlocked(account, other),
      retracts: deps.retracts,
      offline: (message, view) => this.#stations.offline(message, view),
      toSession: (stanza, session, direction, addressed) =>
        this.#stations.toSession(stanza, session, direction, addressed),
      hasCopies: () => this.#stations.hasCopies,
      bounce: (stanza, error, origin) => this.bounce(stanza, error, origin),
    })
  }
  /** Stanzas routed so far, by kind and destination. */
  *routed(): Generator<{ readonly kind: Kind; readonly destination: Destination['to']; readonly count: number }> {
    for (const [i, kind] of KINDS.entries())
      for (const [j, destination] of DESTINATIONS.entries())
        yield { kind, destination, count: this.#routed[i * DESTINATIONS.length + j] as number }
  }
  /** Plain numbers: a labelled counter would cost as much as the routing. */
  readonly #routed = new Float64Array(KINDS.length * DESTINATIONS.length)
  #counted(kind: Kind, destination: Destination['to']): void {
    const at = KINDS.indexOf(kind) * DESTINATIONS.length + DESTINATIONS.indexOf(destination)
    this.#routed[at] = (this.#routed[at] as number) + 1
  }
  /** Given once all features are set up, before the first stanza. */
  open(
    presence: PresenceStep,
    handlers: readonly IqHandler[],
    hooks: readonly Hook[],
    messages: readonly MessageHandler[],
  ): void {
    this.#presence = presence
    for (const { local, name, ns, spread } of messages)
      for (const domain of this.#deps.served.domains)
        this.#spreads.set(`${local === undefined ? domain : bareJid(local, domain)} ${name} ${ns}`, spread)
    this.#stations = new StationRunner(hooks, this.#deps.log)
    this.#answers = new Answers({
      served: this.#deps.served,
      handlers,
      log: this.#deps.log,
      loadView: (account) => this.views.load(account),
      reply: (iq, origin) => this.#reply(iq, origin),
    })
  }

  /** A stanza of a client, the `number`th of its stream. @throws StreamError */
  fromClient(raw: RawElement, session: LocalSession, number: number): Progress {
    const { stanza, fault } = receiveFromClient(raw, session)
    const origin: ClientOrigin = { kind: 'client', session, number }
    if (fault !== undefined) {
      this.bounce(stanza, fault, origin)
      return 'settled'
    }
    const suspends = stanza.kind === 'iq' && this.#answers?.suspends(stanza as Iq, session) === true
    return suspends || this.#suspended.size > 0
      ? this.#afterSuspension(stanza, session, origin, suspends)
      : this.#fromStation(stanza, session, origin)
  }
  /** RFC 6120 §10.1: what may be treated otherwise by what was asked before waits for that. */
  #afterSuspension(stanza: Stanza, session: LocalSession, origin: ClientOrigin, suspends: boolean): Progress {
    let progress: Progress = 'pending'
    let isLate = false
    void this.#suspended.run(session, () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const from = suspends ? { ...origin, settled: resolve } : origin
      progress = this.#fromStation(stanza, session, from)
      if (isLate && progress === 'settled') settle(from)
      return suspends && progress === 'pending' ? promise : undefined
    })
    isLate = true
    return progress
  }
  #fromStation(stanza: Stanza, session: LocalSession, origin: ClientOrigin): Progress {
    if (this.#stations.isEmpty('fromClient', stanza)) return this.#sent(stanza, session, origin)
    return this.#guarded('fromClient', stanza, origin, () =>
      this.#stations.run('fromClient', { stanza, session }, (event) => ({
        result: this.#sent(event.stanza, session, origin),
        after: undefined,
      })),
    )
  }
  #sent(stanza: Stanza, session: LocalSession, origin: ClientOrigin): Progress {
    if (stanza.kind !== 'presence') {
      const { to } = stanza
      return to === undefined || this.#pairs.size === 0
        ? route(this, this.#deps.served, stanza, origin)
        : this.#inTurn(stanza, to, session, origin)
    }
    try {
      return this.#presenceSent(stanza as Presence, session, origin)
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error
      this.bounce(stanza, error, origin)
      return 'settled'
    }
  }
  /** Undirected presence and subscriptions have no single destination: they are a step of their own. */
  #presenceSent(presence: Presence, session: LocalSession, origin: ClientOrigin): Progress {
    const step = this.#presence
    if (step === undefined) return 'settled'
    const { to, type } = presence
    if (to === undefined && (type === '' || type === 'unavailable'))
      return this.#when(step.fromClient(presence, session), origin)
    if (SUBSCRIPTIONS.has(type)) return this.#when(this.#subscribed(step, presence, session), origin)
    step.directed(presence, session)
    return to === undefined
      ? route(this, this.#deps.served, presence, origin)
      : this.#inTurn(presence, to, session, origin)
  }
  /**
   * Presence may wait for the store. Nothing of its session to the same address, bare or full, overtakes it (RFC 6120 §10.1); where
   * none is under way, what is sent goes at once.
   */
  #inTurn(stanza: Stanza, to: Jid, session: LocalSession, origin: ClientOrigin): Progress {
    let progress: Progress = 'pending'
    let isLate = false
    const start = (from: ClientOrigin): void => {
      if (!isLate) {
        progress = route(this, this.#deps.served, stanza, from)
        return
      }
      // Whoever is gone meanwhile has been said to be.
      const isOver =
        stanza.kind === 'presence' && stanza.type === '' && this.#deps.sessions.get(session.jid) !== session
      progress = isOver
        ? 'settled'
        : this.#guarded('fromClient', stanza, from, () => route(this, this.#deps.served, stanza, from))
      if (progress === 'settled') settle(from)
    }
    void this.#pairs.run(pairOf(session, to), () => {
      if (stanza.kind !== 'presence') {
        start(origin)
        return undefined
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      start({ ...origin, settled: resolve })
      return progress === 'pending' ? promise : undefined
    })
    isLate = true
    return progress
  }
  /** A subscription changes the sender's roster in the order of the account; what its contact is told takes its turn like all else. */
  #subscribed(step: PresenceStep, presence: Presence, session: LocalSession): Awaitable<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    let isTurn = false
    let tell: (() => Awaitable<void>) | undefined
    const go = (): void => {
      if (isTurn && tell !== undefined) resolve(tell())
    }
    step.subscription(presence, session, (told) => {
      tell = told
      go()
    })
    return this.#pairs.run(pairOf(session, presence.to ?? session.account), () => {
      isTurn = true
      go()
      return promise
    })
  }
  /** Work that is waited for counts as pending, so that nobody can pile it up. It never rejects. */
  #when(work: Awaitable<void>, origin: Origin): Progress {
    if (!(work instanceof Promise)) return 'settled'
    void work.then(() => settle(origin))
    return 'pending'
  }

  answer(iq: Iq, origin: Origin): Progress {
    this.#counted('iq', 'answer')
    return this.#answers?.answer(iq, origin) ?? 'settled'
  }

  deliver(stanza: Stanza, account: BareJid, origin: Origin): Progress {
    this.#counted(stanza.kind, 'account')
    const asker = senderOf(stanza, origin)
    const sender = asker === undefined ? undefined : this.views.peek(asker)
    if (!this.#arriving.has(account)) {
      const view = this.views.peek(account)
      const sessions = this.#deps.registry.of(account)
      const isKnown = view !== undefined && (asker === undefined || sender !== undefined)
      if (isKnown && !(sessions instanceof Promise)) return this.#arrived(stanza, { view, sessions, sender }, origin)
    }
    this.#wait(stanza, account, origin, sender)
    return 'pending'
  }
  /** Keeps its place among those for the same account until its view is there. `now`: the sender's, which may be another then. */
  #wait(stanza: Stanza, account: BareJid, origin: Origin, now: AccountView | undefined): void {
    const queue = this.#arriving.get(account)
    const arrive = (known: Known) => {
      if (this.#arrived(stanza, known, origin) === 'settled') settle(origin)
    }
    const fail = (error: unknown) => {
      this.#deps.log.warn({ err: error }, 'stanza could not be delivered')
      try {
        this.bounce(stanza, new StanzaError('resource-constraint', { text: 'Too busy; try again later.' }), origin)
      } finally {
        settle(origin)
      }
    }
    const load = async () => {
      try {
        const asker = senderOf(stanza, origin)
        const sender = now ?? (asker === undefined ? undefined : await this.views.load(asker))
        const view = await this.views.load(account)
        arrive({ view, sessions: await this.#deps.registry.of(account), sender })
      } catch (error) {
        try {
          fail(error)
        } catch (again) {
          this.#deps.log.error({ err: again }, 'stanza dropped')
        }
      }
      const waiting = this.#arriving.get(account)
      const next = waiting?.shift()
      if (next === undefined) this.#arriving.delete(account)
      else next()
    }
    if (queue === undefined) {
      this.#arriving.set(account, [])
      void load()
    } else {
      queue.push(() => void load())
    }
  }
  #arrived(stanza: Stanza, known: Known, origin: Origin): Progress {
    if (this.#stations.isEmpty('toAccount', stanza)) return this.#plain(stanza, known, origin).progress
    return this.#guarded('toAccount', stanza, origin, () => this.#throughAccounts(stanza, known, origin)?.progress)
  }
  /** First the sender's own log and sessions, then the recipient's. */
  #throughAccounts(stanza: Stanza, known: Known, origin: Origin): Delivered | undefined {
    const { view, sender, sessions: recipients } = known
    const received = (s: Stanza) =>
      this.#stations.run(
        'toAccount',
        { stanza: s, account: view, direction: 'received', origin, recipients },
        (event) => this.#work(this.#plain(event.stanza, known, origin)),
      )
    if (sender === undefined) return received(stanza)
    const event = { stanza, account: sender, direction: 'sent', origin, recipients } as const
    return this.#stations.run('toAccount', event, (e) => this.#work(received(e.stanza)))
  }
  #work(delivered: Delivered | undefined): Work<Delivered | undefined> {
    const entry = delivered?.entry
    return { result: delivered, after: entry === undefined ? undefined : (then) => entry.whenSafe(then) }
  }
  #plain(stanza: Stanza, { view, sessions, sender }: Known, origin: Origin): Delivered {
    if (stanza.kind === 'message') {
      try {
        return this.#delivery.message(stanza as Message, view, sessions, origin, sender)
      } catch (error) {
        if (!(error instanceof StanzaError)) throw error
        this.bounce(stanza, error, origin)
        return { progress: 'settled', entry: undefined }
      }
    }
    const { account } = view
    const step = () => this.#presenceTo(stanza as Presence, view, origin)
    if (stanza.kind === 'iq')
      return { progress: this.#delivery.iq(stanza as Iq, view, sessions, origin), entry: undefined }
    const progress =
      account === undefined ? this.#when(step(), origin) : this.#delivery.inOrder(account.id, origin, step)
    return { progress, entry: undefined }
  }
  #presenceTo(presence: Presence, view: AccountView, origin: Origin): Awaitable<void> {
    try {
      return this.#presence?.toAccount(presence, view)
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error
      this.bounce(presence, error, origin)
    }
  }

  /** Nothing of ours takes presence, and messages only what a feature spreads. */
  serve(stanza: Stanza, address: Jid, origin: Origin): Progress {
    this.#counted(stanza.kind, 'service')
    const spread = this.#spreadOf(stanza, address)
    if (spread !== undefined && origin.kind === 'client') return this.#spread(stanza as Message, spread, origin)
    if (
      stanza.kind === 'message' &&
      (stanza.type === 'chat' || stanza.type === 'normal' || stanza.type === 'groupchat')
    )
      this.bounce(stanza, new StanzaError('service-unavailable'), origin)
    else if (isRequest(stanza)) this.bounce(stanza, new StanzaError('service-unavailable'), origin)
    return 'settled'
  }
  #spreadOf(stanza: Stanza, address: Jid): MessageHandler['spread'] | undefined {
    const { kind, type } = stanza
    if (this.#spreads.size === 0 || kind !== 'message' || type === 'error' || type === 'groupchat') return undefined
    for (const { name, ns } of stanza.children) {
      const spread = this.#spreads.get(`${address} ${name} ${ns}`)
      if (spread !== undefined) return spread
    }
    return undefined
  }
  /** Each copy goes the whole way of a message of its own; the one that was sent is settled when all are. */
  #spread(message: Message, spread: MessageHandler['spread'], origin: ClientOrigin): Progress {
    const session = origin.session as LocalSession
    let copies: readonly Message[] = []
    const made = this.#guarded('fromClient', message, origin, () => {
      copies = spread(message)
      return 'settled'
    })
    if (copies.length === 0) return made
    const parts = session.split(origin.number, copies.length)
    for (const [i, copy] of copies.entries()) {
      const part: ClientOrigin = { kind: 'client', session, number: parts[i] as number }
      if (this.#fromStation(copy, session, part) === 'settled') settle(part)
    }
    return 'pending'
  }
  /** Federation is not built: RFC 6120 §10.4's answer to whoever wants to leave. */
  forward(stanza: Stanza, _domain: Domain, origin: Origin): Progress {
    this.#counted(stanza.kind, 'remote')
    const isAsking = stanza.kind === 'message' || isRequest(stanza) || stanza.type === 'subscribe'
    if (isAsking)
      this.bounce(
        stanza,
        new StanzaError('remote-server-not-found', { text: 'This server does not federate yet.' }),
        origin,
      )
    return 'settled'
  }

  submit(stanza: Stanza): void {
    route(this, this.#deps.served, stanza, SERVER)
  }
  pass(presence: Presence): Awaitable<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (route(this, this.#deps.served, presence, { kind: 'server', settled: resolve }) === 'pending') return promise
  }
  passProbe(presence: Presence, to: Recipient): void {
    if (to.node === this.#relay.node) this.#presence?.probed(presence)
    else this.#relay.send(to.node, { frame: 'probe', stanza: presence })
  }
  /** Like `submit`, for what an account must hear of, however full its inbox is: true when it is committed or taken, false when it is not in time. */
  notify(message: Message): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const late = setTimeout(() => resolve(false), NOTICE_MS)
    const safe = (): void => {
      clearTimeout(late)
      resolve(true)
    }
    route(this, this.#deps.served, message, { kind: 'server', safe })
    return promise
  }
  sendTo(recipient: Pick<Recipient, 'jid' | 'node'>, stanza: Stanza): void {
    this.#delivery.sendTo(recipient, stanza)
  }
  kept(entry: Entry): void {
    this.#delivery.kept(entry)
  }
  /** Whether nothing may pass from the other to the account (XEP-0191): as last known, in time where the account has a session here. */
  isBlocked(account: BareJid, other: Jid): boolean {
    const view = this.views.latest(account)
    return view !== undefined && isBlocked(view, other)
  }
  /** A session ended that had entries above `position` and did not take them: the others look again, on all their nodes. */
  rewind(account: BareJid, position: number): void {
    for (const session of this.#deps.sessions.of(account)) session.rewind(position)
    this.#tellNodesOf(account, { frame: 'rewind', account, position })
  }
  /** The account's sessions here have read all of its log; what others took for them to read may go. */
  passed(account: BareJid): void {
    this.#tellNodesOf(account, { frame: 'passed', account })
  }
  /** Tells the other nodes that have sessions of the account. */
  #tellNodesOf(account: BareJid, frame: Frame): void {
    const tell = (sessions: readonly RegisteredSession[]) => {
      for (const node of new Set(sessions.map((s) => s.node)))
        if (node !== this.#relay.node) this.#relay.send(node, frame)
    }
    const sessions = this.#deps.registry.of(account)
    if (sessions instanceof Promise) void sessions.then(tell)
    else tell(sessions)
  }
  /** Whose turn it is at the account's log may have changed (policy `exclusive`): its sessions look again, on all nodes. */
  turned(account: BareJid): void {
    for (const session of this.#deps.sessions.of(account)) session.lookAtTurn()
    this.#relay.publish({ frame: 'turned', account })
  }
  /** Before this node reads the account's log: has the nodes of its other sessions write down what they know. */
  async settled(account: BareJid, id: number): Promise<void> {
    const sessions = await this.#deps.registry.of(account)
    const nodes = new Set(sessions.map((s) => s.node).filter((node) => node !== this.#relay.node))
    if (nodes.size > 0) await this.#flushes.ask(nodes, id)
  }
  /** Tells the other nodes that the server's keys in the store are others now. */
  serverKeysChanged(): void {
    this.#relay.publish({ frame: 'server-keys' })
  }
  /** Ends an account's sessions, or one session, on all nodes. */
  end(address: Jid, condition: StreamCondition, text: string, except: FullJid | undefined): void {
    this.#endHere(address, condition, text, except)
    this.#relay.publish({ frame: 'end', address, condition, text, except })
  }
  #endHere(address: Jid, condition: StreamCondition, text: string, except: FullJid | undefined): void {
    const sessions = isFull(address) ? [this.#deps.sessions.get(address)] : this.#deps.sessions.of(bareOf(address))
    for (const session of sessions) if (session !== undefined && session.jid !== except) session.end(condition, text)
  }

  /** Answers the sender with an error, unless RFC 6120 §8.3.1 forbids it. */
  bounce(stanza: Stanza, error: StanzaError, origin: Origin): void {
    if (stanza.type === 'error' || (stanza.kind === 'iq' && stanza.type === 'result')) return
    this.#reply(errorReply(stanza, error), origin)
  }
  #reply(reply: Stanza, origin: Origin): void {
    if (origin.kind === 'client')
      origin.session.send(reply.to === origin.session.jid ? reply : reply.with({ to: origin.session.jid }))
    else if (reply.to !== undefined && reply.to !== reply.from) this.submit(reply)
  }

  /** What hooks throw is answered; a stanza that a guard dropped is settled. */
  #guarded(station: Station, stanza: Stanza, origin: Origin, work: () => Progress | undefined): Progress {
    try {
      return work() ?? 'settled'
    } catch (error) {
      if (error instanceof StreamError) throw error
      const isAnswer = error instanceof StanzaError
      if (!isAnswer) this.#deps.log.error({ err: error, station }, 'hook failed')
      this.bounce(stanza, isAnswer ? error : new StanzaError('internal-server-error', { cause: error }), origin)
      return 'settled'
    }
  }

  #received(frame: Frame): void {
    switch (frame.frame) {
      case 'stanza':
        this.#delivery.sendTo({ jid: frame.to, node: this.#relay.node }, frame.stanza)
        break
      case 'probe':
        this.#presence?.probed(frame.stanza)
        break
      case 'push': {
        const { account, jids, id, prev, isArchived, stanza: message } = frame
        this.#delivery.pushed(account, jids, { id, prev, isArchived, message, entry: undefined })
        break
      }
      case 'copy':
        this.#delivery.copyTo(frame.to, frame.stanza, frame.direction)
        break
      case 'rewind':
        for (const session of this.#deps.sessions.of(frame.account)) session.rewind(frame.position)
        break
      case 'turned':
        for (const session of this.#deps.sessions.of(frame.account)) session.lookAtTurn()
        break
      case 'passed':
        for (const session of this.#deps.sessions.of(frame.account)) session.passed()
        break
      case 'flush':
        this.#deps.inbox.commitHeld(frame.account)
        void this.#deps.inbox
          .flushed(frame.account)
          .then(() => this.#relay.send(frame.node, { frame: 'flushed', ask: frame.ask }))
        break
      case 'flushed':
        this.#flushes.answered(frame.ask)
        break
      case 'changed':
        this.views.drop(frame.account)
        break
      case 'server-keys':
        this.#deps.serverKeysChanged?.()
        break
      case 'end':
        // Whoever binds from now on is looked at anew.
        if (!isFull(frame.address)) this.views.drop(bareOf(frame.address))
        this.#endHere(frame.address, frame.condition, frame.text, frame.except)
        break
    }
  }
}
const KINDS = ['message', 'presence', 'iq'] as const satisfies readonly Kind[]
const DESTINATIONS = ['account', 'answer', 'remote', 'service'] as const satisfies readonly Destination['to'][]
/** The account whose own log and sessions a message concerns besides its recipient's. */
function senderOf(stanza: Stanza, origin: Origin): BareJid | undefined {
  return stanza.kind === 'message' && origin.kind === 'client' ? origin.session.account : undefined
}
type ClientOrigin = Origin & { readonly kind: 'client' }
const SERVER: Origin = { kind: 'server' }
const pairOf = (session: LocalSession, to: Jid): string => `${session.jid} ${bareOf(to)}`
/** Whoever waits for a notice gives up after 15 s. */
const NOTICE_MS = 5_000
const SUBSCRIPTIONS: ReadonlySet<string> = new Set(['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'])
