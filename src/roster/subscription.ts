import type { RosterItem, Subscription } from './store.ts'

/** The presence types that manage subscriptions (RFC 6121 §3). */
export const SUBSCRIPTION_TYPES = ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'] as const
export type SubscriptionType = (typeof SUBSCRIPTION_TYPES)[number]
/** `outbound`: the account sends it to the contact; `inbound`: the contact sent it to the account. */
export type SubscriptionDirection = 'outbound' | 'inbound'

/** RFC 6121 §A.1; `+out` and `+in` are the pending requests. */
export const STATES = ['none', 'none+out', 'none+in', 'none+out+in', 'to', 'to+in', 'from', 'from+out', 'both'] as const
export type State = (typeof STATES)[number]

/** What becomes of one stanza in one state. */
export interface Cell {
  readonly next: State
  /** Routed to the contact when outbound, delivered to the account when inbound. */
  readonly pass: boolean
  /** The server answers `subscribed` for the account (§3.1.3). */
  readonly reply: boolean
  /** Pre-approval (§3.4) is noted or taken back; undefined leaves it. */
  readonly approved: boolean | undefined
}

type Row = Readonly<Record<State, Cell>>
const pass = (next: State, approved?: boolean): Cell => ({ next, pass: true, reply: false, approved })
const drop = (next: State, approved?: boolean): Cell => ({ next, pass: false, reply: false, approved })
const reply = (next: State): Cell => ({ next, pass: false, reply: true, approved: undefined })

/** RFC 6121 §A.2 and §A.3, with what §3.4 adds for outbound `subscribed` and `unsubscribed`. */
const TABLE: Readonly<Record<SubscriptionDirection, Readonly<Record<SubscriptionType, Row>>>> = {
  outbound: {
    subscribe: {
      none: pass('none+out'),
      'none+out': pass('none+out'),
      'none+in': pass('none+out+in'),
      'none+out+in': pass('none+out+in'),
      to: pass('to'),
      'to+in': pass('to+in'),
      from: pass('from+out'),
      'from+out': pass('from+out'),
      both: pass('both'),
    },
    unsubscribe: {
      none: pass('none'),
      'none+out': pass('none'),
      'none+in': pass('none+in'),
      'none+out+in': pass('none+in'),
      to: pass('none'),
      'to+in': pass('none+in'),
      from: pass('from'),
      'from+out': pass('from'),
      both: pass('from'),
    },
    subscribed: {
      none: drop('none', true),
      'none+out': drop('none+out', true),
      'none+in': pass('from'),
      'none+out+in': pass('from+out'),
      to: drop('to', true),
      'to+in': pass('both'),
      from: drop('from'),
      'from+out': drop('from+out'),
      both: drop('both'),
    },
    unsubscribed: {
      none: drop('none', false),
      'none+out': drop('none+out', false),
      'none+in': pass('none', false),
      'none+out+in': pass('none+out', false),
      to: drop('to', false),
      'to+in': pass('to', false),
      from: pass('none', false),
      'from+out': pass('none+out', false),
      both: pass('to', false),
    },
  },
  inbound: {
    subscribe: {
      none: pass('none+in'),
      'none+out': pass('none+out+in'),
      'none+in': drop('none+in'),
      'none+out+in': drop('none+out+in'),
      to: pass('to+in'),
      'to+in': drop('to+in'),
      from: reply('from'),
      'from+out': reply('from+out'),
      both: reply('both'),
    },
    unsubscribe: {
      none: drop('none'),
      'none+out': drop('none+out'),
      'none+in': pass('none'),
      'none+out+in': pass('none+out'),
      to: drop('to'),
      'to+in': pass('to'),
      from: pass('none'),
      'from+out': pass('none+out'),
      both: pass('to'),
    },
    subscribed: {
      none: drop('none'),
      'none+out': pass('to'),
      'none+in': drop('none+in'),
      'none+out+in': pass('to+in'),
      to: drop('to'),
      'to+in': drop('to+in'),
      from: drop('from'),
      'from+out': pass('both'),
      both: drop('both'),
    },
    unsubscribed: {
      none: drop('none'),
      'none+out': pass('none'),
      'none+in': drop('none+in'),
      'none+out+in': pass('none+in'),
      to: pass('none'),
      'to+in': pass('none+in'),
      from: drop('from'),
      'from+out': pass('from'),
      both: pass('from'),
    },
  },
}
/** RFC 6121 §3.4.3: an inbound `subscribe` of a contact who was approved beforehand. */
const PREAPPROVED: Readonly<Partial<Row>> = { none: reply('from'), 'none+out': reply('from+out'), to: reply('both') }

/** The cell of RFC 6121 Appendix A; `approved` is the contact's pre-approval. */
export function cellOf(
  direction: SubscriptionDirection,
  type: SubscriptionType,
  state: State,
  approved: boolean,
): Cell {
  const preapproved = approved && direction === 'inbound' && type === 'subscribe' ? PREAPPROVED[state] : undefined
  return preapproved ?? TABLE[direction][type][state]
}

type Pending = Pick<RosterItem, 'subscription' | 'pendingOut' | 'pendingIn'>
/** `none` for no item. */
export function stateOf(item: Pending | undefined): State {
  if (item === undefined) return 'none'
  const { subscription, pendingOut: out } = item
  const asked = item.pendingIn !== undefined
  switch (subscription) {
    case 'none':
      if (out) return asked ? 'none+out+in' : 'none+out'
      return asked ? 'none+in' : 'none'
    case 'to':
      return asked ? 'to+in' : 'to'
    case 'from':
      return out ? 'from+out' : 'from'
    case 'both':
      return 'both'
  }
}
export const subscriptionOf = (state: State): Subscription => state.split('+')[0] as Subscription
export const isPendingOut = (state: State): boolean => state.includes('+out')
export const isPendingIn = (state: State): boolean => state.endsWith('+in')

/** True for `from` and `both`: the contact sees the account's presence. */
export const seesUs = (item: RosterItem | undefined): boolean =>
  item !== undefined && (item.subscription === 'from' || item.subscription === 'both')
/** True for `to` and `both`: the account sees the contact's presence. */
export const isSeen = (item: RosterItem | undefined): boolean =>
  item !== undefined && (item.subscription === 'to' || item.subscription === 'both')
