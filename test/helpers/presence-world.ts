import { pino } from 'pino'
import { ARCHIVE_ALL } from '../../src/account/archiving.ts'
import type { AccountView, Views } from '../../src/contract/account-view.ts'
import type { Session, SessionFlag } from '../../src/contract/session.ts'
import type { RegisteredSession, Registry } from '../../src/presence/registry.ts'
import { Rosters } from '../../src/roster/roster.ts'
import { type PresenceParts, PresenceStep } from '../../src/router/presence.ts'
import type { PresenceLine } from '../../src/router/subscriptions.ts'
import { type BareJid, bareOf, type Domain, domainOf, type FullJid, fullJid, type Jid } from '../../src/xmpp/jid.ts'
import { type Presence, Stanza } from '../../src/xmpp/stanza.ts'
import { StanzaError } from '../../src/xmpp/stanza-error.ts'
import { MemoryRosterStore } from './memory-roster-store.ts'

export const LOCAL = 'example.org' as Domain & Jid
export const bare = (local: string): BareJid => (local.includes('@') ? local : `${local}@${LOCAL}`) as BareJid

/** A bound resource that only writes down what it is sent. */
export class FakeSession implements Session {
  readonly jid: FullJid
  readonly account: BareJid
  readonly accountId = 1
  readonly node = 'n1'
  readonly ip = '192.0.2.1'
  priority: number | undefined
  readonly flags = new Set<SessionFlag>()
  presence: RegisteredSession['presence']
  readonly queuedAt = undefined
  skipsWaiting = false
  #inbox: Stanza[] = []
  constructor(account: BareJid, resource: string) {
    this.account = account
    this.jid = fullJid(account, resource)
  }
  send(stanza: Stanza): void {
    this.#inbox.push(stanza)
  }
  sendArchived(stanza: Stanza): void {
    this.#inbox.push(stanza)
  }
  skipWaiting(): Promise<void> {
    this.skipsWaiting = true
    return Promise.resolve()
  }
  flag(name: SessionFlag, on: boolean): void {
    if (on) this.flags.add(name)
    else this.flags.delete(name)
  }
  /** Everything received since the last call, as XML. */
  taken(): string[] {
    const xml = this.#inbox.map((s) => s.bytes.toString())
    this.#inbox = []
    return xml
  }
}

/** Accounts, rosters and devices around a real PresenceStep: what it submits for a local account comes back to it. */
export class PresenceWorld {
  readonly store = new MemoryRosterStore()
  readonly rosters: Rosters
  readonly step: PresenceStep
  readonly line: PresenceLine
  readonly registry: Registry
  readonly views: Views
  /** For other domains, as XML. */
  readonly remote: string[] = []
  /** Asked of the registry, for the cost of a broadcast. */
  asked: BareJid[] = []
  readonly #sessions = new Map<FullJid, FakeSession>()
  readonly #views = new Map<BareJid, AccountView>()
  readonly #waiting = new Set<Promise<void>>()

  constructor(
    options: {
      readonly slowRegistry?: boolean
      readonly maxItems?: number
      readonly maxDirected?: number
      readonly lastSeen?: PresenceParts['lastSeen']
      readonly keyOf?: PresenceParts['keyOf']
    } = {},
  ) {
    this.rosters = new Rosters({ store: this.store, maxItems: options.maxItems ?? 100, maxGroups: 3 })
    this.views = {
      peek: (account) => this.#views.get(account),
      latest: (account) => this.#views.get(account),
      load: async (account) => {
        const found = await this.store.load(account)
        const roster = new Map(found?.items.map((i) => [i.contact, i]))
        const view = {
          jid: account,
          account: found?.account,
          roster,
          archiving: found?.archiving ?? ARCHIVE_ALL,
          blocked: new Set(found?.blocked),
        }
        this.#views.set(account, view)
        return view
      },
      changed: (account) => void this.#views.delete(account),
    }
    this.registry = {
      of: (account) => {
        this.asked.push(account)
        const sessions = [...this.#sessions.values()].filter((s) => s.account === account)
        return options.slowRegistry ? Promise.resolve(sessions) : sessions
      },
      put: () => undefined,
      update: () => undefined,
      remove: () => undefined,
    }
    this.line = {
      submit: (stanza) => this.#submit(stanza),
      pass: (presence) => this.#submit(presence),
      passProbe: (presence) => this.step.probed(presence),
      sendTo: (recipient, stanza) => this.#sessions.get(recipient.jid)?.send(stanza),
    }
    this.step = new PresenceStep({
      line: this.line,
      registry: this.registry,
      views: this.views,
      rosters: this.rosters,
      domains: new Set([LOCAL]),
      maxDirected: options.maxDirected ?? 100,
      ...(options.keyOf === undefined ? {} : { keyOf: options.keyOf }),
      ...(options.lastSeen === undefined ? {} : { lastSeen: options.lastSeen }),
      log: pino({ level: 'silent' }),
      sessionOf: (jid) => this.#sessions.get(jid),
      available: (session, priority, presence) => {
        const fake = this.#sessions.get(session.jid)
        if (fake === undefined) return
        fake.priority = priority
        fake.presence = presence && { content: presence.content, lang: presence.lang, id: presence.id }
      },
    })
  }

  /** A bound resource that has asked for its roster; the account is made when there is none. */
  async connect(local: string, resource: string): Promise<FakeSession> {
    const account = bare(local)
    if ((await this.store.load(account)) === undefined) this.store.addAccount(account)
    const session = new FakeSession(account, resource)
    session.flag('interested', true)
    this.#sessions.set(session.jid, session)
    return session
  }
  /** The same, with initial presence and nothing unread. */
  async available(local: string, resource: string): Promise<FakeSession> {
    const session = await this.connect(local, resource)
    await this.says(session, '')
    session.taken()
    return session
  }
  disconnect(session: FakeSession): Promise<void> {
    this.#wait(this.step.sessionEnded(session))
    this.#sessions.delete(session.jid)
    return this.quiet()
  }
  /** One presence of a client, dispatched as the line does it. */
  async says(
    session: FakeSession,
    type: string,
    to?: string,
    ...content: Parameters<typeof Stanza.of>[1][]
  ): Promise<void> {
    const presence = Stanza.of({ kind: 'presence', type, from: session.jid, to: to as Jid | undefined }, ...content)
    if (to === undefined) {
      this.#wait(this.step.fromClient(presence, session))
    } else if (type.includes('subscribe')) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.step.subscription(presence, session, (tell) => resolve(tell()))
      this.#wait(promise)
    } else {
      this.step.directed(presence, session)
      this.#submit(presence)
    }
    await this.quiet()
  }
  /** One presence from another server. */
  async arrives(type: string, from: string, to: string, ...content: Parameters<typeof Stanza.of>[1][]): Promise<void> {
    this.#submit(Stanza.of({ kind: 'presence', type, from: from as Jid, to: to as Jid }, ...content))
    await this.quiet()
  }
  #couple: readonly [FakeSession, FakeSession] | undefined
  /** romeo/r and juliet/j, set up by `befriendOnline`. */
  get couple(): readonly [FakeSession, FakeSession] {
    if (this.#couple === undefined) throw new Error('befriend them first')
    return this.#couple
  }
  async befriendOnline(): Promise<void> {
    await this.befriend('romeo', 'juliet')
    this.#couple = [await this.available('romeo', 'r'), await this.available('juliet', 'j')]
    for (const session of this.#couple) session.taken()
  }
  /** Takes a contact off a roster as the roster feature does. */
  async drop(local: string, contact: string): Promise<void> {
    const change = await this.rosters.remove(await this.views.load(bare(local)), bare(contact))
    this.views.changed(bare(local))
    await this.step.push(bare(local), change)
    await this.step.cancel(bare(local), change.before)
    await this.quiet()
  }
  /** Both see each other; a local account is made where there is none, but not `nobody`. */
  async befriend(a: string, b: string): Promise<void> {
    for (const [x, y] of [
      [a, b],
      [b, a],
    ] as const) {
      if (x.includes('@') || x === 'nobody') continue
      if ((await this.store.load(bare(x))) === undefined) this.store.addAccount(bare(x))
      const view = await this.views.load(bare(x))
      await this.rosters.apply(view, bare(y), 'outbound', 'subscribe')
      await this.rosters.apply(view, bare(y), 'inbound', 'subscribe')
      await this.rosters.apply(view, bare(y), 'inbound', 'subscribed')
      await this.rosters.apply(view, bare(y), 'outbound', 'subscribed')
      this.views.changed(bare(x))
    }
  }
  async item(local: string, contact: string): Promise<string> {
    const found = await this.store.load(bare(local))
    const item = found?.items.find((i) => i.contact === bare(contact))
    if (item === undefined) return '-'
    const marks = [
      item.pendingOut && 'out',
      item.pendingIn && 'in',
      item.approved && 'approved',
      !item.listed && 'unlisted',
    ]
    return [item.subscription, ...marks.filter((m) => m)].join(' ')
  }
  async quiet(): Promise<void> {
    await undefined
    while (this.#waiting.size > 0) await Promise.all(this.#waiting)
  }

  #submit(stanza: Stanza): void {
    const { to } = stanza
    if (to === undefined || stanza.kind !== 'presence') throw new Error('not for here')
    if (domainOf(to) !== LOCAL) {
      this.remote.push(stanza.bytes.toString())
      return
    }
    const account = bareOf(to)
    const view = this.views.peek(account)
    if (view === undefined) {
      this.#wait(this.views.load(account).then((loaded) => this.#deliver(stanza as Presence, loaded)))
    } else {
      this.#deliver(stanza as Presence, view)
    }
  }
  #deliver(presence: Presence, view: AccountView): void {
    try {
      this.#wait(this.step.toAccount(presence, view))
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error
      this.remote.push(`bounced: ${error.condition}`)
    }
  }
  #wait(work: void | Promise<void>): void {
    if (work === undefined) return
    const waiting = work.finally(() => this.#waiting.delete(waiting))
    this.#waiting.add(waiting)
  }
}
