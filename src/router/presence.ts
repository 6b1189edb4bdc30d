import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { AccountView, Views } from '../contract/account-view.ts'
import type { Awaitable } from '../contract/hook.ts'
import type { PresencePort } from '../contract/ports.ts'
import type { Session } from '../contract/session.ts'
import { available, maySee, parsePriority, requests, watched, watchers } from '../presence/broadcast.ts'
import type { RegisteredSession, Registry } from '../presence/registry.ts'
import { isBlocked } from '../roster/blocking.ts'
import type { RosterChange, Rosters } from '../roster/roster.ts'
import { RosterError } from '../roster/roster-error.ts'
import type { RosterItem } from '../roster/store.ts'
import { SUBSCRIPTION_TYPES, type SubscriptionType, seesUs } from '../roster/subscription.ts'
import { allOf, whenKnown } from '../util/awaitable.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import { type BareJid, bareOf, type Domain, domainOf, type FullJid, isFull, type Jid } from '../xmpp/jid.ts'
import { NS_CLIENT } from '../xmpp/ns.ts'
import { errorReply, type Presence, payloadText, readOwn, Stanza } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import {
  bareAvailable,
  delayElement,
  presenceOf,
  probe,
  requestOf,
  subscriptionStanza,
  unavailable,
} from './presence-stanza.ts'
import { type KeyOf, MAX_KEPT_BYTES, type PresenceLine, Subscriptions } from './subscriptions.ts'

export interface PresenceParts {
  readonly line: PresenceLine
  readonly registry: Registry
  readonly views: Views
  readonly rosters: Rosters
  /** Served ones. */
  readonly domains: ReadonlySet<Domain>
  /** Addresses one session may have sent directed presence to (§4.6), all told when it ends. */
  readonly maxDirected: number
  readonly log: Logger
  /**
   * When contacts that are away were last here, ms since the epoch, of those that let the asker know; absent: nobody is told
   * (kontalk-protocol h.8).
   */
  readonly lastSeen?: (asker: FullJid, contacts: readonly BareJid[]) => Promise<ReadonlyMap<BareJid, number>>
  /** The account's OpenPGP key, which its requests for subscription carry (kontalk-protocol f.3); absent: they carry none. */
  readonly keyOf?: KeyOf
  /** A session of this node. */
  readonly sessionOf: (jid: FullJid) => Session | undefined
  /** Records in session and registry what the resource is from now on; `undefined` twice: not available. Called before anybody is told. */
  readonly available: (session: Session, priority: number | undefined, presence: Presence | undefined) => void
}

/**
 * The step of the line that keeps presence (RFC 6121 §3, §4): who is told, who is asked, who may know. What concerns one
 * account happens in the order it came. Methods return a promise only when something has to be waited for; it never rejects.
 */
export class PresenceStep implements PresencePort {
  readonly #parts: PresenceParts
  readonly #subscriptions: Subscriptions
  readonly #queue = new KeyedQueue<BareJid>()
  readonly #directed = new WeakMap<Session, Set<Jid>>()
  constructor(parts: PresenceParts) {
    this.#parts = parts
    this.#subscriptions = new Subscriptions(parts)
  }

  /** Tells again where a session is, in its last words as `change` makes them; nothing while it is not available. */
  restate(session: Session, change: (presence: Presence) => Presence): Awaitable<void> {
    return whenKnown(this.#parts.registry.of(session.account), (sessions) => {
      const last = available(sessions).find((s) => s.jid === session.jid)
      if (last === undefined || session.priority === undefined) return
      const raw = readOwn(presenceOf(last, session.jid).bytes)
      return this.fromClient(change(Stanza.received('presence', raw, session.jid, undefined)), session)
    })
  }

  /** Presence without `to` (§4.2, §4.4, §4.5). @throws StanzaError bad-request, policy-violation */
  fromClient(presence: Presence, session: Session): Awaitable<void> {
    if (presence.type === 'unavailable') {
      const wasAvailable = session.priority !== undefined
      if (wasAvailable) this.#parts.available(session, undefined, undefined)
      const left = this.#leave(session, presence, wasAvailable)
      // §4.5.2: and to the resource itself.
      return wasAvailable
        ? whenKnown(left, () => this.#parts.line.sendTo(session, presence.with({ to: session.account })))
        : left
    }
    if (presence.type !== '') throw new StanzaError('bad-request', { text: 'This presence needs an address.' })
    checkSize(presence)
    const initial = session.priority === undefined
    this.#parts.available(session, priorityOf(presence), presence)
    return this.#forClient(presence, session, () =>
      this.#withView(session.account, (view) =>
        allOf([
          this.#broadcast(presence, view),
          this.#toOwnDevices(presence, session, initial),
          initial ? this.#catchUp(session, view) : undefined,
        ]),
      ),
    )
  }

  /** Notes available or unavailable presence with a `to`, which then goes its way (§4.6). @throws StanzaError resource-constraint */
  directed(presence: Presence, session: Session): void {
    const { to } = presence
    if (to === undefined) return
    const known = this.#directed.get(session)
    if (presence.type === 'unavailable') known?.delete(to)
    if (presence.type !== '') return
    if (known === undefined) {
      this.#directed.set(session, new Set([to]))
    } else if (known.size < this.#parts.maxDirected || known.has(to)) {
      known.add(to)
    } else {
      throw new StanzaError('resource-constraint', { text: 'Too many directed presences.' })
    }
  }

  /**
   * Subscription stanzas of a client (§3): changes its roster, then calls `changed` with what tells the contact, which is done when the
   * contact's roster is changed too, and never rejects. @throws StanzaError bad-request, policy-violation
   */
  subscription(presence: Presence, session: Session, changed: (tell: () => Awaitable<void>) => void): void {
    const { to } = presence
    const type = subscriptionTypeOf(presence)
    if (to === undefined || type === undefined)
      throw new StanzaError('bad-request', { text: 'A subscription needs an address.' })
    let isChanged = false
    const work = this.#forClient(presence, session, async () => {
      const tell = await this.#subscriptions.outbound(type, presence, session.account, bareOf(to))
      isChanged = true
      changed(() => tell().catch(this.#logged))
    })
    void whenKnown(work, () => {
      if (!isChanged) changed(() => undefined)
    })
  }

  /** Any presence for a local account, from here or elsewhere. Whether the account exists does not show. @throws StanzaError bad-request, policy-violation */
  toAccount(presence: Presence, view: AccountView): Awaitable<void> {
    const type = subscriptionTypeOf(presence)
    if (type !== undefined) {
      // §3.1.3: nobody is asked and nobody answers, as with an account that does not care.
      if (view.account === undefined) return
      return this.#inOrder(view.jid, () => this.#subscriptions.inbound(type, presence, view), this.#logged)
    }
    switch (presence.type) {
      case 'probe':
        return this.#inOrder(view.jid, () => this.#answerProbe(presence, view), this.#logged)
      case '':
      case 'unavailable':
      case 'error':
        return this.#inOrder(view.jid, () => this.#toDevices(presence, view.jid), this.#logged)
      default:
        throw new StanzaError('bad-request', { text: 'Unknown type of presence.' })
    }
  }

  /** The session is gone without having said so; to be called while `session.priority` tells what it was. The caller forgets it. */
  sessionEnded(session: Session): Awaitable<void> {
    return this.#leave(session, unavailable(session.jid, undefined), session.priority !== undefined)
  }
  inOrder<T>(account: BareJid, work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    void this.#queue.run(account, async () => {
      await work().then(resolve, reject)
      // By then whoever waits for it has answered.
      await nextTurn()
    })
    return promise
  }
  push(account: BareJid, change: Pick<RosterChange, 'contact' | 'after' | 'version'>): Awaitable<void> {
    return this.#subscriptions.push(account, change)
  }
  cancel(account: BareJid, item: RosterItem): Awaitable<void> {
    return this.#subscriptions.cancel(account, item)
  }
  announce(account: BareJid, to: Jid): Awaitable<void> {
    return this.#inOrder(account, () => this.#subscriptions.announce(account, to), this.#logged)
  }
  withdraw(account: BareJid, to: Jid): Awaitable<void> {
    return this.#inOrder(account, () => this.#subscriptions.withdraw(account, to), this.#logged)
  }

  #leave(session: Session, presence: Presence, wasAvailable: boolean): Awaitable<void> {
    const directed = this.#directed.get(session) ?? []
    this.#directed.delete(session)
    return this.#inOrder(
      session.account,
      () =>
        this.#withView(session.account, (view) => {
          const told = new Set<Jid>(wasAvailable ? [session.account, ...watchers(view)] : [])
          // Who was blocked as a contact was told then.
          const isOver = (to: Jid) => wasAvailable && isBlocked(view, to) && seesUs(view.roster.get(bareOf(to)))
          for (const to of directed) if (!told.has(to) && !isOver(to)) this.#parts.line.submit(presence.with({ to }))
          if (!wasAvailable) return
          return allOf([this.#broadcast(presence, view), this.#toOwnDevices(presence, session, false)])
        }),
      this.#logged,
    )
  }

  /** To every contact that may see it; a local one without an available device costs no more than the question. */
  #broadcast(presence: Presence, view: AccountView): Awaitable<void> {
    const { line, registry } = this.#parts
    return allOf(
      watchers(view).map((to) => {
        if (!this.#isLocal(to)) return line.submit(presence.with({ to }))
        return whenKnown(registry.of(to), (sessions) => {
          if (available(sessions).length > 0) line.submit(presence.with({ to }))
        })
      }),
    )
  }
  /** To the account's own available devices, the sender included while it is one (§4.2.2, §4.4.2, §4.5.2). */
  #toOwnDevices(presence: Presence, session: Session, initial: boolean): Awaitable<void> {
    const { line, registry } = this.#parts
    const own = presence.with({ to: session.account })
    if (presence.type === '') line.sendTo(session, own)
    return whenKnown(registry.of(session.account), (sessions) => {
      for (const other of available(sessions)) {
        if (other.jid === session.jid) continue
        line.sendTo(other, own)
        if (initial) line.sendTo(session, presenceOf(other, session.jid))
      }
    })
  }
  /** What a device is told when it becomes available: where its contacts are, and who has asked to be one. */
  #catchUp(session: Session, view: AccountView): Awaitable<void> {
    const { line } = this.#parts
    for (const { contact, kept } of requests(view)) {
      line.sendTo(session, requestOf(contact, session.account, kept))
    }
    const away: BareJid[] = []
    const told = watched(view).map((contact) => {
      if (this.#isLocal(contact)) return this.#tellAbout(contact, session, away)
      return line.submit(probe(session.account, contact))
    })
    return whenKnown(allOf(told), () => this.#tellAway(away, session.jid, (presence) => line.sendTo(session, presence)))
  }
  /** A probe of a local contact, without the way of a stanza; who is away is left to `away`. */
  #tellAbout(contact: BareJid, session: Session, away: BareJid[]): Awaitable<void> {
    const { line, registry, views } = this.#parts
    const tell = (sessions: readonly RegisteredSession[], view: AccountView | undefined): void => {
      const here = available(sessions)
      if (here.length === 0) {
        away.push(contact)
        return
      }
      const seen = view !== undefined && maySee(session.account, view) ? here : []
      for (const s of seen) line.sendTo(session, presenceOf(s, session.jid))
      if (seen.length === 0) line.sendTo(session, unavailable(contact, session.jid))
    }
    return whenKnown(registry.of(contact), (sessions) => {
      const view = available(sessions).length === 0 ? undefined : views.peek(contact)
      if (view !== undefined || available(sessions).length === 0) return tell(sessions, view)
      // Asked again after the wait: a device that left meanwhile must not be told of as present.
      return views.load(contact).then((loaded) => whenKnown(registry.of(contact), (now) => tell(now, loaded)))
    })
  }

  /** Who hides looks like who is away; of those who do not it is told since when (XEP-0203), where that is known. */
  #tellAway(away: readonly BareJid[], asker: FullJid, say: (presence: Presence) => void): Awaitable<void> {
    const { registry, lastSeen, log } = this.#parts
    const tell = (contact: BareJid, at: number | undefined): void => {
      const presence = unavailable(contact, asker)
      say(at === undefined ? presence : presence.adding(delayElement(contact, at)))
    }
    if (lastSeen === undefined || away.length === 0) {
      for (const contact of away) tell(contact, undefined)
      return
    }
    const failed = (error: unknown): ReadonlyMap<BareJid, number> => {
      log.warn({ err: error }, 'last activity not read')
      return new Map()
    }
    return lastSeen(asker, away)
      .catch(failed)
      .then((times) =>
        allOf(
          away.map((contact) =>
            // Who has come meanwhile has said so.
            whenKnown(registry.of(contact), (sessions) => {
              if (available(sessions).length === 0) tell(contact, times.get(contact))
            }),
          ),
        ),
      )
  }

  /** §4.3.2. Who is no subscriber gets the same answer as for an account that does not exist. */
  #answerProbe(presence: Presence, view: AccountView): Awaitable<void> {
    const { line, registry } = this.#parts
    const { from: asker, to = view.jid } = presence
    if (view.account === undefined) return this.#refuseProbe(presence)
    const isSubscriber = maySee(asker, view)
    if (!isSubscriber && !isFull(to)) return this.#refuseProbe(presence)
    return whenKnown(registry.of(view.jid), (sessions) => {
      if (!isSubscriber) {
        const asked = sessions.find((s) => s.jid === to)
        return asked === undefined ? this.#refuseProbe(presence) : line.passProbe(presence, asked)
      }
      const seen = available(sessions, to)
      if (isFull(to))
        line.submit(seen.length > 0 ? bareAvailable(to, asker) : mirrored(unavailable(to, asker), presence))
      else if (seen.length > 0) for (const session of seen) line.submit(presenceOf(session, asker))
      else if (isFull(asker)) return this.#tellAway([view.jid], asker, (away) => line.submit(mirrored(away, presence)))
      else line.submit(mirrored(unavailable(view.jid, asker), presence))
    })
  }
  /** A probe by no subscriber of a resource of this node: who was sent directed presence may know that it is still there (§4.6.6). */
  probed(presence: Presence): void {
    const { line, sessionOf } = this.#parts
    const { from: asker, to } = presence
    const session = to === undefined || !isFull(to) ? undefined : sessionOf(to)
    const told = session && this.#directed.get(session)
    if (session === undefined || told === undefined || !(told.has(asker) || told.has(bareOf(asker))))
      this.#refuseProbe(presence)
    else line.submit(bareAvailable(session.jid, asker))
  }
  #refuseProbe(presence: Presence): void {
    const { from: asker, to } = presence
    if (to === undefined) return
    this.#parts.line.submit(mirrored(subscriptionStanza('unsubscribed', bareOf(to), bareOf(asker)), presence))
  }
  /** RFC 6121 §8.5.2.1.2, §8.5.3.1: a bare JID is every available resource, a full one exactly that resource. */
  #toDevices(presence: Presence, account: BareJid): Awaitable<void> {
    const { line, registry } = this.#parts
    const { to = account } = presence
    return whenKnown(registry.of(account), (sessions) => {
      const chosen = isFull(to) ? sessions.filter((s) => s.jid === to) : available(sessions)
      for (const session of chosen) line.sendTo(session, presence)
    })
  }

  #isLocal(contact: BareJid): boolean {
    return this.#parts.domains.has(domainOf(contact))
  }
  #withView(account: BareJid, use: (view: AccountView) => Awaitable<void>): Awaitable<void> {
    const { views } = this.#parts
    const view = views.peek(account)
    return view === undefined ? views.load(account).then(use) : use(view)
  }
  /** The client is told when its presence could not be dealt with: it has no other way to know. */
  #forClient(presence: Presence, session: Session, work: () => Awaitable<void>): Awaitable<void> {
    return this.#inOrder(session.account, work, (error) => {
      if (!(error instanceof RosterError)) this.#logged(error)
      session.send(errorReply(presence, stanzaErrorOf(error)))
    })
  }
  /** Catches, because nobody waits for what is queued: the stanza has long been settled. */
  #inOrder(account: BareJid, work: () => Awaitable<void>, failed: (error: unknown) => void): Awaitable<void> {
    return this.#queue.run(account, () => {
      try {
        const waiting = work()
        return waiting instanceof Promise ? waiting.catch(failed) : undefined
      } catch (error) {
        return failed(error)
      }
    })
  }
  readonly #logged = (error: unknown): void => {
    if (error instanceof RosterError) this.#parts.log.debug({ fault: error.fault }, 'subscription refused')
    else this.#parts.log.error({ err: error }, 'presence failed')
  }
}

/** §4.3.2.1: an answer that is no presence of a resource bears the id of the probe. */
const mirrored = (answer: Presence, { id }: Presence): Presence => (id === undefined ? answer : answer.with({ id }))

function stanzaErrorOf(error: unknown): StanzaError {
  if (error instanceof StanzaError) return error
  if (error instanceof RosterError && error.fault === 'full') {
    return new StanzaError('resource-constraint', { text: 'The roster is full.', cause: error })
  }
  return new StanzaError('internal-server-error', { type: 'wait', cause: error })
}
/** @throws StanzaError policy-violation */
function subscriptionTypeOf(presence: Presence): SubscriptionType | undefined {
  const found = SUBSCRIPTION_TYPES.find((type) => type === presence.type)
  if (found === 'subscribe') checkSize(presence)
  return found
}
/** @throws StanzaError policy-violation */
function checkSize(presence: Presence): void {
  if (presence.content.length > MAX_KEPT_BYTES) {
    throw new StanzaError('policy-violation', { text: 'This presence is too large.' })
  }
}
function priorityOf(presence: Presence): number {
  if (!presence.has('priority', NS_CLIENT)) return 0
  const priority = parsePriority(payloadText(presence, 'priority', NS_CLIENT))
  if (priority === undefined)
    throw new StanzaError('bad-request', { text: 'A priority is an integer from -128 to 127.' })
  return priority
}
