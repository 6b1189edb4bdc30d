import type { AccountView } from '../contract/account-view.ts'
import type { Awaitable, Direction } from '../contract/hook.ts'
import type { Origin } from '../contract/session.ts'
import type { Entry } from '../inbox/entry.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Policy } from '../inbox/policy.ts'
import { type Worth, worthOf } from '../inbox/worth.ts'
import type { RegisteredSession, Registry } from '../presence/registry.ts'
import { type BareJid, bareOf, type FullJid, type Jid } from '../xmpp/jid.ts'
import type { Retraction } from '../xmpp/retraction.ts'
import type { Iq, Message, Stanza } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { stanzaId } from '../xmpp/stanza-id.ts'
import { isRequest } from './destination.ts'
import type { LocalSession, LocalSessions, Pushed } from './local.ts'
import type { Relay } from './relay.ts'
import { type Progress, settle } from './route.ts'
import { isReceipt, targetsOf } from './targets.ts'

export interface DeliverDeps {
  readonly node: string
  readonly registry: Registry
  readonly sessions: LocalSessions
  readonly inbox: Inbox
  readonly relay: Relay
  policyOf(view: AccountView): Policy
  /** Whether an account archives its messages with a contact. */
  archives(view: AccountView, peer: Jid): boolean
  /** Whether nothing may pass from the other to the account (XEP-0191), as this node knows it; in time where the account has a session. */
  isBlocked(account: BareJid, other: Jid): boolean
  /** What a message takes back; undefined for nearly all. */
  retracts(message: Message): Retraction | undefined
  /** The station `toOffline`: what it does to a message none of the account's sessions is chosen for. @throws StanzaError */
  offline(message: Message, view: AccountView): Message | undefined
  /** The station `toSession`: what one session of this node gets, if anything. */
  toSession<S extends Stanza>(stanza: S, session: LocalSession, direction: Direction, addressed: boolean): S | undefined
  /** True where some feature has something to say to the account's other sessions. */
  hasCopies(): boolean
  /** Answers the sender with an error, where one may be answered. */
  bounce(stanza: Stanza, error: StanzaError, origin: Origin): void
}
type Sessions = readonly RegisteredSession[]
/** What came of a message; with the entry it became, if it did. */
export interface Delivered {
  readonly progress: Progress
  readonly entry: Entry | undefined
}
const SETTLED: Delivered = { progress: 'settled', entry: undefined }

/** Messages and iqs to accounts of ours: who gets them, by RFC 6121 §8.5 and DESIGN.md section 5. */
export class Delivery {
  readonly #deps: DeliverDeps
  constructor(deps: DeliverDeps) {
    this.#deps = deps
  }

  /** `sender`: the sender's account, where it is one of ours. @throws StanzaError */
  message(
    message: Message,
    view: AccountView,
    sessions: Sessions,
    origin: Origin,
    sender: AccountView | undefined,
  ): Delivered {
    const { account } = view
    const worth = worthOf(message)
    const policy = this.#deps.policyOf(view)
    const targets =
      account === undefined || account.disabledAt !== undefined ? 'refused' : targetsOf(message, sessions, policy)
    if (account === undefined || targets === 'refused') {
      const isTold = account === undefined || account.disabledAt !== undefined ? worth !== 'fleeting' : true
      if (isTold && !isReceipt(message)) this.#refuse(message, origin)
      return SETTLED
    }
    let given: Message | undefined = message
    if (targets.length === 0) given = this.#deps.offline(message, view)
    if (given === undefined) return SETTLED
    if (worth === 'archived' || worth === 'kept') return this.#entry(given, view, sender, worth, targets, origin)
    if (targets.length === 0) {
      if (worth === 'direct') this.#refuse(message, origin)
      return SETTLED
    }
    const progress = this.inOrder(account.id, origin, (isLate) => {
      if (isLate && this.#deps.isBlocked(view.jid, given.from)) return
      for (const target of targets) this.sendTo(target, given)
      this.#copiesOf(given, sender && (() => given), policy, sessions, targets)
    })
    return { progress, entry: undefined }
  }
  #refuse(message: Message, origin: Origin): void {
    this.#deps.bounce(message, new StanzaError('service-unavailable'), origin)
  }
  /**
   * What is not kept waits for what is being committed for the account; while it waits, or its work does, it counts as pending.
   * `isLate`: it has waited, and what was asked of the account before may be otherwise by now.
   */
  inOrder(account: number, origin: Origin, work: (isLate: boolean) => Awaitable<void>): Progress {
    let isWaiting = false
    let isUnderWay = false
    const done = (): void => {
      if (isWaiting) settle(origin)
    }
    const isDone = this.#deps.inbox.after(account, () => {
      try {
        const waiting = work(isWaiting)
        isUnderWay = waiting instanceof Promise
        if (waiting instanceof Promise) void waiting.then(done, done)
      } finally {
        if (!isUnderWay) done()
      }
    })
    isWaiting = true
    return isDone && !isUnderWay ? 'settled' : 'pending'
  }

  #entry(
    message: Message,
    view: AccountView,
    senderView: AccountView | undefined,
    worth: Worth,
    targets: Sessions,
    origin: Origin,
  ): Delivered {
    const { inbox, archives } = this.#deps
    const account = view.account?.id as number
    const policy = this.#deps.policyOf(view)
    const isToSelf = senderView?.jid === view.jid
    const isArchived = worth === 'archived' && archives(view, message.from)
    const sentAccount = isToSelf ? undefined : senderView?.account
    const isSentArchived =
      worth === 'archived' &&
      senderView !== undefined &&
      sentAccount !== undefined &&
      archives(senderView, message.to ?? view.jid)
    const retracts = this.#deps.retracts(message)
    const fresh = {
      account,
      stanza: message,
      sender: origin.kind === 'client' ? (origin.session as LocalSession) : undefined,
      number: origin.kind === 'client' ? origin.number : 0,
      policy,
      isArchived,
      // What is taken back is to go from both archives, whether or not they are to have the wish.
      sentBy: isSentArchived || retracts !== undefined ? sentAccount?.id : undefined,
      isSentArchived,
      retracts,
    }
    // No device sees what the archive lacks (DESIGN.md section 3).
    const mayHold = policy.mayHold && !isArchived && !isSentArchived && retracts === undefined
    const takers = mayHold ? this.#takers(message, targets) : undefined
    if (takers !== undefined && inbox.mayHold(account, takers)) {
      const entry = inbox.hold(fresh, takers)
      tellSafe(entry, origin)
      for (const taker of takers) taker.give(entry, this.#annotated(message, taker))
      this.#copiesOf(message, senderView && (() => message), policy, this.#deps.registry.of(view.jid), targets)
      return { progress: 'pending', entry }
    }
    const mustStay = origin.kind === 'server' && origin.safe !== undefined
    if (!mustStay && !inbox.hasRoom(account)) {
      const text = 'The inbox of this account is full.'
      this.#deps.bounce(message, new StanzaError('resource-constraint', { text }), origin)
      return SETTLED
    }
    const entry = inbox.keep(fresh)
    if (entry === undefined) {
      this.#deps.bounce(message, new StanzaError('resource-constraint', { text: 'Too busy; try again later.' }), origin)
      return SETTLED
    }
    tellSafe(entry, origin)
    return { progress: 'pending', entry }
  }
  /** The targets' sessions when all are of this node and accept it now, so that the message may go to them ahead of its commit. */
  #takers(message: Message, targets: Sessions): LocalSession[] | undefined {
    if (targets.length === 0) return undefined
    const found: LocalSession[] = []
    for (const target of targets) {
      if (target.node !== this.#deps.node) return undefined
      const session = this.#deps.sessions.get(target.jid)
      if (session === undefined || !session.accepts(message)) return undefined
      found.push(session)
    }
    return found
  }

  iq(iq: Iq, view: AccountView, sessions: Sessions, origin: Origin): Progress {
    const target = sessions.find((s) => s.jid === iq.to)
    if (target !== undefined && view.account !== undefined)
      return this.inOrder(view.account.id, origin, (isLate) => {
        if (isLate && this.#deps.isBlocked(view.jid, iq.from)) this.#unanswered(iq, origin)
        else this.sendTo(target, iq)
      })
    this.#unanswered(iq, origin)
    return 'settled'
  }
  #unanswered(iq: Iq, origin: Origin): void {
    if (isRequest(iq)) this.#deps.bounce(iq, new StanzaError('service-unavailable'), origin)
  }

  /** An entry of this node is in the log: to all sessions of the account, and what features make of it to its other ones. */
  kept(entry: Entry): void {
    const message = entry.stanza as Message
    const account = bareOf(message.to ?? message.from)
    const sessions = this.#deps.registry.of(account)
    if (sessions instanceof Promise) void sessions.then((s) => this.#push(entry, message, account, s))
    else this.#push(entry, message, account, sessions)
  }
  #push(entry: Entry, message: Message, account: BareJid, sessions: Sessions): void {
    const { id, prev, policy, isArchived } = entry
    const given = isArchived ? message.adding(stanzaId(account, id as number)) : message
    const pushed: Pushed = { id: id as number, prev, isArchived, message: given, entry }
    const found = targetsOf(message, sessions, policy)
    const targets = found === 'refused' ? [] : found
    const offered = this.#offered(account, message, targets)
    const nodes = new Set<string>()
    for (const { jid, node } of sessions) {
      if (node === this.#deps.node) this.#pushTo(this.#deps.sessions.get(jid), pushed, offered)
      else nodes.add(node)
    }
    for (const node of nodes) {
      const jids = targets.filter((t) => t.node === node).map((t) => t.jid)
      this.#deps.relay.send(node, { frame: 'push', account, jids, id: pushed.id, prev, isArchived, stanza: given })
    }
    // What was given ahead of its commit was copied then.
    if (entry.takers.length > 0) return
    const { sender, sent } = entry
    const ownId = sent?.isArchived === true ? sent.id : undefined
    const own = () => (ownId === undefined ? message : message.adding(stanzaId(bareOf(message.from), ownId)))
    this.#copiesOf(given, sender && own, policy, sessions, targets)
  }
  /** Whose sender was blocked while it was committed, that passes everybody by and stays open, as what waited before (XEP-0191 §3.3). */
  #offered<T>(account: BareJid, { from }: Message, targets: readonly T[]): readonly T[] {
    return this.#deps.isBlocked(account, from) ? [] : targets
  }
  #pushTo(session: LocalSession | undefined, pushed: Pushed, targets: readonly { readonly jid: FullJid }[]): void {
    if (session === undefined) return
    const isFor = targets.some((t) => t.jid === session.jid)
    if (!isFor) {
      session.push(pushed, false)
      return
    }
    const message = this.#annotated(pushed.message, session)
    session.push(message === pushed.message ? pushed : { ...pushed, message }, true)
  }
  /** What is kept is not dropped by a guard of `toSession`: somebody has to take it. */
  #annotated(message: Message, session: LocalSession): Message {
    return this.#deps.toSession(message, session, 'received', true) ?? message
  }
  /** The same on the nodes of the account's other sessions; `jids`: the recipients there. */
  pushed(account: BareJid, jids: readonly FullJid[], pushed: Pushed): void {
    const all = jids.map((jid) => ({ jid }))
    const targets = this.#offered(account, pushed.message, all)
    for (const session of this.#deps.sessions.of(account)) this.#pushTo(session, pushed, targets)
  }

  /** For the recipient's and the sender's other sessions; `sent` makes the message as the sender's account has it, if that is one of ours. */
  #copiesOf(
    message: Message,
    sent: (() => Message) | undefined,
    { copiesReceived }: Policy,
    sessions: Sessions | Promise<Sessions>,
    targets: Sessions,
  ): void {
    if (!this.#deps.hasCopies()) return
    const sender = sent && { jid: message.from as FullJid }
    // What somebody sends to himself is seen once by each device.
    if (sender !== undefined && bareOf(sender.jid) === bareOf(message.to ?? message.from)) {
      this.#copies(() => message, sessions, [...targets, sender], 'sent')
      return
    }
    if (copiesReceived) this.#copies(() => message, sessions, targets, 'received')
    if (sent !== undefined && sender !== undefined)
      this.#copies(sent, this.#deps.registry.of(bareOf(sender.jid)), [sender], 'sent')
  }
  /** Offers a message of an account to its sessions that carry the flag `carbons` and are no recipients. */
  #copies(
    messageOf: () => Message,
    sessions: Sessions | Promise<Sessions>,
    targets: readonly { readonly jid: FullJid }[],
    direction: Direction,
  ): void {
    if (sessions instanceof Promise) {
      void sessions.then((s) => this.#copies(messageOf, s, targets, direction))
      return
    }
    let message: Message | undefined
    for (const { jid, node, flags } of sessions) {
      if (!flags.has('carbons') || targets.some((t) => t.jid === jid)) continue
      message ??= messageOf()
      if (node === this.#deps.node) this.copyTo(jid, message, direction)
      else this.#deps.relay.send(node, { frame: 'copy', to: jid, direction, stanza: message })
    }
  }
  copyTo(jid: FullJid, message: Message, direction: Direction): void {
    const session = this.#deps.sessions.get(jid)
    if (session === undefined) return
    if (direction === 'received' && this.#deps.isBlocked(session.account, message.from)) return
    const copy = this.#deps.toSession(message, session, direction, false)
    if (copy !== undefined) session.send(copy)
  }

  /** To exactly this connected resource, on whichever node. */
  sendTo({ jid, node }: { readonly jid: FullJid; readonly node: string }, stanza: Stanza): void {
    if (node !== this.#deps.node) {
      this.#deps.relay.send(node, { frame: 'stanza', to: jid, stanza })
      return
    }
    const session = this.#deps.sessions.get(jid)
    if (session === undefined) return
    const given = this.#deps.toSession(stanza, session, 'received', true)
    if (given !== undefined) session.send(given)
  }
}
function tellSafe(entry: Entry, origin: Origin): void {
  if (origin.kind === 'server' && origin.safe !== undefined) entry.whenSafe(origin.safe)
}
