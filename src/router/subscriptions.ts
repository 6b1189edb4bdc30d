import type { Logger } from 'pino'
import type { Account } from '../account/store.ts'
import type { AccountView, Views } from '../contract/account-view.ts'
import type { Awaitable } from '../contract/hook.ts'
import type { LinePort, PresencePort } from '../contract/ports.ts'
import type { Recipient } from '../contract/session.ts'
import { available } from '../presence/broadcast.ts'
import type { Registry } from '../presence/registry.ts'
import type { RosterChange, Rosters } from '../roster/roster.ts'
import type { RosterItem } from '../roster/store.ts'
import { isPendingOut, isSeen, type SubscriptionType, seesUs, stateOf } from '../roster/subscription.ts'
import { allOf, whenKnown } from '../util/awaitable.ts'
import { type BareJid, bareOf, type Jid } from '../xmpp/jid.ts'
import { type PublishedKey, publishedKey } from '../xmpp/public-key.ts'
import { contactElement, removedElement, rosterElement } from '../xmpp/roster.ts'
import { type Presence, Stanza } from '../xmpp/stanza.ts'
import { presenceOf, subscriptionStanza, unavailable } from './presence-stanza.ts'

/** Bytes of content of a presence that is kept: an available one for whoever asks, a request until it is answered. */
export const MAX_KEPT_BYTES = 32_768

export type KeyOf = (account: Account) => Promise<PublishedKey | undefined>

/** The line, as presence needs it beyond what features see. */
export interface PresenceLine extends LinePort {
  /** Like `submit`; done when the presence is dealt with where it goes, as far as that is here. Never rejects. */
  pass(presence: Presence): Awaitable<void>
  /** Has the node of the resource that is probed answer: it knows to whom that has sent directed presence. */
  passProbe(presence: Presence, to: Recipient): void
}

export interface SubscriptionParts {
  readonly line: PresenceLine
  readonly registry: Registry
  readonly views: Views
  readonly rosters: Rosters
  readonly keyOf?: KeyOf
  readonly log: Logger
}

/** Carries out what the subscription table decides: stanzas, pushes and presence, in RFC 6121 §3's order. */
export class Subscriptions implements Omit<PresencePort, 'inOrder'> {
  readonly #line: PresenceLine
  readonly #registry: Registry
  readonly #views: Views
  readonly #rosters: Rosters
  readonly #keyOf: KeyOf | undefined
  readonly #log: Logger
  constructor(parts: SubscriptionParts) {
    this.#line = parts.line
    this.#registry = parts.registry
    this.#views = parts.views
    this.#rosters = parts.rosters
    this.#keyOf = parts.keyOf
    this.#log = parts.log
  }

  /** A stanza from the account to a contact. Returns what tells the contact, done when that is dealt with there. @throws RosterError */
  async outbound(
    type: SubscriptionType,
    presence: Presence,
    account: BareJid,
    contact: BareJid,
  ): Promise<() => Promise<void>> {
    const view = this.#views.peek(account) ?? (await this.#views.load(account))
    const change = await this.#rosters.apply(view, contact, 'outbound', type)
    if (change.changed) this.#views.changed(account)
    if (change.push) await this.push(account, change)
    const carried = change.pass && type === 'subscribe' ? await this.#withKey(presence, view) : presence
    // An account sees its own devices in any case.
    const [saw, sees] = contact === account ? [true, true] : [seesUs(change.before), seesUs(change.after)]
    return async () => {
      const arriving: Awaitable<void>[] = []
      const send = (sent: Presence): void => void arriving.push(this.#line.pass(sent))
      // §3.2.2: while the contact is still subscribed.
      if (saw && !sees) await this.withdraw(account, contact, send)
      // §3.1.2: stamped with the bare JIDs of both.
      if (change.pass) send(carried.with({ from: account, to: contact }))
      if (!saw && sees) await this.announce(account, contact, send)
      await allOf(arriving)
    }
  }

  /** A stanza from a contact to the account. @throws RosterError */
  async inbound(type: SubscriptionType, presence: Presence, view: AccountView): Promise<void> {
    const account = view.jid
    const contact = bareOf(presence.from)
    const given = presence.with({ from: contact, to: account })
    const change = await this.#rosters.apply(
      view,
      contact,
      'inbound',
      type,
      type === 'subscribe' ? given.bytes : undefined,
    )
    if (change.changed) this.#views.changed(account)
    // §3.1.6, §3.2.3, §3.3.3: before the push, so that a client can tell why it comes.
    if (change.pass) await this.#deliver(type, given, account)
    if (change.push) await this.push(account, change)
    if (change.reply) {
      this.#line.submit(subscriptionStanza('subscribed', account, contact))
      await this.announce(account, contact)
    }
    if (contact !== account && seesUs(change.before) && !seesUs(change.after)) await this.withdraw(account, contact)
  }

  push(account: BareJid, change: Pick<RosterChange, 'contact' | 'after' | 'version'>): Awaitable<void> {
    return whenKnown(this.#registry.of(account), (sessions) => {
      const interested = sessions.filter((s) => s.flags.has('interested'))
      if (interested.length === 0) return
      const { after } = change
      const item = after?.listed === true ? contactElement(after) : removedElement(change.contact)
      const fields = { kind: 'iq', type: 'set', id: `push-${change.version}`, from: account, to: undefined } as const
      const iq = Stanza.of(fields, rosterElement([item], change.version))
      for (const session of interested) this.#line.sendTo(session, iq.with({ to: session.jid }))
    })
  }

  cancel(account: BareJid, item: RosterItem): Awaitable<void> {
    const { contact } = item
    if (isSeen(item) || isPendingOut(stateOf(item))) {
      this.#line.submit(subscriptionStanza('unsubscribe', account, contact))
    }
    if (!seesUs(item) && item.pendingIn === undefined) return
    return whenKnown(seesUs(item) && contact !== account ? this.withdraw(account, contact) : undefined, () =>
      this.#line.submit(subscriptionStanza('unsubscribed', account, contact)),
    )
  }

  /** Who is asked can encrypt his answer, and sees whose key it is. Where the key does not fit, it can be asked for. */
  async #withKey(request: Presence, { account }: AccountView): Promise<Presence> {
    if (this.#keyOf === undefined || account?.fingerprint === undefined) return request
    try {
      const key = await this.#keyOf(account)
      const carrying = key === undefined ? request : request.adding(publishedKey(key))
      return carrying.content.length > MAX_KEPT_BYTES ? request : carrying
    } catch (error) {
      this.#log.warn({ err: error }, 'key not read')
      return request
    }
  }
  /** A request goes to available resources (§3.1.3), an answer or cancellation to the interested ones. */
  #deliver(type: SubscriptionType, presence: Presence, account: BareJid): Awaitable<void> {
    return whenKnown(this.#registry.of(account), (sessions) => {
      const chosen = type === 'subscribe' ? available(sessions) : sessions.filter((s) => s.flags.has('interested'))
      for (const session of chosen) this.#line.sendTo(session, presence)
    })
  }
  /** To a contact who may see it now (§3.1.5). */
  announce(account: BareJid, to: Jid, send: (presence: Presence) => void = this.#submit): Awaitable<void> {
    return whenKnown(this.#registry.of(account), (sessions) => {
      for (const session of available(sessions)) send(presenceOf(session, to))
    })
  }
  /** To a contact who may see it no longer, each resource goes away (§3.2.2, §3.3.3). */
  withdraw(account: BareJid, to: Jid, send: (presence: Presence) => void = this.#submit): Awaitable<void> {
    return whenKnown(this.#registry.of(account), (sessions) => {
      for (const session of available(sessions)) send(unavailable(session.jid, to))
    })
  }
  readonly #submit = (presence: Presence): void => this.#line.submit(presence)
}
