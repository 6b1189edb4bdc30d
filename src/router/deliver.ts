import type { AccountView } from '../contract/account-view.ts'
import type { Origin } from '../contract/session.ts'
import type { Entry } from '../inbox/entry.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { RegisteredSession, Registry } from '../presence/registry.ts'
import { type BareJid, bareOf, type FullJid, isFull, type Jid } from '../xmpp/jid.ts'
import type { Iq, Message, Stanza } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { isRequest } from './destination.ts'
import { keepingOf } from './keep.ts'
import type { LocalSession, LocalSessions } from './local.ts'
import type { Relay } from './relay.ts'
import type { Progress } from './route.ts'

export interface DeliverDeps {
  readonly node: string
  readonly registry: Registry
  readonly sessions: LocalSessions
  readonly inbox: Inbox
  readonly relay: Relay
  /** Answers the sender with an error, where one may be answered. */
  bounce(stanza: Stanza, error: StanzaError, origin: Origin): void
}
type Sessions = readonly RegisteredSession[]

/** Messages and iqs to accounts of ours: who gets them, by RFC 6121 §8.5 and DESIGN.md section 5. */
export class Delivery {
  readonly #deps: DeliverDeps
  constructor(deps: DeliverDeps) {
    this.#deps = deps
  }

  message(message: Message, view: AccountView, sessions: Sessions, origin: Origin): Progress {
    const { account } = view
    const keeping = keepingOf(message)
    if (account === undefined || account.disabledAt !== undefined) {
      if (keeping !== 'fleeting' && !isReceipt(message))
        this.#deps.bounce(message, new StanzaError('service-unavailable'), origin)
      return 'settled'
    }
    const targets = targetsOf(message, sessions)
    if (targets === 'refused') {
      if (!isReceipt(message)) this.#deps.bounce(message, new StanzaError('service-unavailable'), origin)
      return 'settled'
    }
    if (keeping === 'kept') return this.#entry(message, account.id, targets, origin)
    if (targets.length === 0) {
      if (keeping === 'direct') this.#deps.bounce(message, new StanzaError('service-unavailable'), origin)
      return 'settled'
    }
    return this.inOrder(account.id, origin, () => {
      for (const target of targets) this.sendTo(target, message)
    })
  }
  /** What is not kept waits for what is being committed for the account; while it waits it counts as pending. */
  inOrder(account: number, origin: Origin, work: () => void): Progress {
    let isWaiting = false
    const isDone = this.#deps.inbox.after(account, () => {
      try {
        work()
      } finally {
        if (isWaiting && origin.kind === 'client') (origin.session as LocalSession).settled(origin.number)
      }
    })
    isWaiting = true
    return isDone ? 'settled' : 'pending'
  }

  #entry(message: Message, account: number, targets: Sessions, origin: Origin): Progress {
    const { inbox } = this.#deps
    const sender = origin.kind === 'client' ? (origin.session as LocalSession) : undefined
    const number = origin.kind === 'client' ? origin.number : 0
    const takers = this.#takers(message, targets)
    if (takers !== undefined && inbox.mayHold(account, takers)) {
      const entry = inbox.hold(account, message, sender, number, takers)
      for (const taker of takers) taker.give(entry)
      return 'pending'
    }
    if (!inbox.hasRoom(account)) {
      this.#deps.bounce(
        message,
        new StanzaError('resource-constraint', { text: 'The inbox of this account is full.' }),
        origin,
      )
      return 'settled'
    }
    if (inbox.keep(account, message, sender, number) === undefined) {
      this.#deps.bounce(message, new StanzaError('resource-constraint', { text: 'Too busy; try again later.' }), origin)
      return 'settled'
    }
    return 'pending'
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
      return this.inOrder(view.account.id, origin, () => this.sendTo(target, iq))
    if (isRequest(iq)) this.#deps.bounce(iq, new StanzaError('service-unavailable'), origin)
    return 'settled'
  }

  /** An entry of this node is in the log: to all who are following and have not got it. */
  kept(entry: Entry): void {
    const message = entry.stanza as Message
    const account = bareOf(message.to ?? message.from)
    const sessions = this.#deps.registry.of(account)
    if (sessions instanceof Promise) void sessions.then((s) => this.#push(entry, message, account, s))
    else this.#push(entry, message, account, sessions)
  }
  #push(entry: Entry, message: Message, account: BareJid, sessions: Sessions): void {
    const targets = targetsOf(message, sessions)
    if (targets === 'refused') return
    const nodes = new Set<string>()
    for (const { jid, node } of targets) {
      if (node === this.#deps.node) this.#deps.sessions.get(jid)?.push(entry, message)
      else nodes.add(node)
    }
    const resource = targets.length === 1 && targets[0]?.jid === message.to ? targets[0]?.jid : undefined
    for (const node of nodes)
      this.#deps.relay.send(node, { frame: 'push', account, resource, id: entry.id as number, stanza: message })
  }
  /** The same on the nodes of the account's other sessions. */
  pushed(account: BareJid, resource: FullJid | undefined, id: number, message: Message): void {
    for (const session of this.#deps.sessions.of(account)) {
      const isTarget = resource === undefined ? (session.priority ?? -1) >= 0 : session.jid === resource
      if (isTarget) session.pushStored(id, message)
    }
  }

  /** To exactly this connected resource, on whichever node. */
  sendTo({ jid, node }: { readonly jid: FullJid; readonly node: string }, stanza: Stanza): void {
    if (node === this.#deps.node) this.#deps.sessions.get(jid)?.send(stanza)
    else this.#deps.relay.send(node, { frame: 'stanza', to: jid, stanza })
  }
}

/** RFC 6121 §8.5.2 and §8.5.3: the resources a message goes to; `refused` where its sender is told that there is no way. */
function targetsOf(message: Message, sessions: Sessions): Sessions | 'refused' {
  const to = message.to as Jid | undefined
  if (to !== undefined && isFull(to)) {
    const target = sessions.find((s) => s.jid === to)
    if (target !== undefined) return [target]
    if (message.type === 'groupchat') return 'refused'
    if (message.type === 'error' || message.type === 'headline') return NONE
    if (message.type === 'normal' && !isReceipt(message)) return 'refused'
  } else if (message.type === 'groupchat') {
    return 'refused'
  } else if (message.type === 'error') {
    return NONE
  }
  return sessions.filter((s) => s.priority !== undefined && s.priority >= 0)
}
const NONE: Sessions = []

/** Kontalk's clients send it again when it is bounced, for ever (kontalk-protocol h.6). */
function isReceipt(message: Message): boolean {
  return message.has('received', 'urn:xmpp:receipts')
}
