import { Random } from '../test/helpers/random.ts'

const CHAT_STATES = 'http://jabber.org/protocol/chatstates'
const RECEIPTS = 'urn:xmpp:receipts'
const CAPS =
  "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://app.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>"
const HOUR = 3_600

export const CONTACTS = 40
/** Of these the presence changes much more often: phones in trains. */
const RESTLESS = 5

export const KINDS = ['presence', 'chat state', 'message', 'own message', 'receipt', 'headline', 'error'] as const
export type Kind = (typeof KINDS)[number]

/** Something that concerns a device that is not looked at. */
export interface DayEvent {
  /** Seconds since midnight. */
  readonly at: number
  readonly kind: Kind
  /** A contact's number, or the account's other device. */
  readonly by: number | 'desk'
  readonly id: string
  readonly xml: string
}
export interface Addresses {
  readonly bare: string
  readonly desk: string
  readonly phone: string
  readonly contacts: readonly string[]
}

/** It must not wait, nor get lost. */
export const isImportant = (kind: Kind): boolean => kind !== 'presence' && kind !== 'chat state'

/**
 * The day of one account with forty contacts, from seven to eleven in the evening with some messages at night: presences, chats
 * with contacts that another device of the account leads, messages that come in groups, headlines and errors. The same seed gives
 * the same day; `mark` begins all its ids.
 */
export function simulatedDay(seed: number, mark: string, { bare, desk, phone, contacts }: Addresses): DayEvent[] {
  const random = new Random(seed)
  const events: (Pick<DayEvent, 'at' | 'kind' | 'by'> & { readonly xml: (id: string) => string })[] = []
  const happens = (at: number, kind: Kind, by: DayEvent['by'], xml: (id: string) => string): void =>
    void events.push({ at, kind, by, xml })
  const daytime = (): number => random.between(7 * HOUR, 23 * HOUR)
  const anyone = (): number => random.between(0, CONTACTS - 1)

  for (const by of [...contacts.keys(), 'desk'] as const) {
    const changes = typeof by === 'number' && by < RESTLESS ? random.between(40, 90) : random.between(4, 20)
    const times = Array.from({ length: changes }, daytime).toSorted((a, b) => a - b)
    let before = 'online'
    for (const at of times) {
      // The other device stays connected.
      const others = ['online', 'away', 'xa', 'dnd', ...(by === 'desk' ? [] : ['gone'])].filter((s) => s !== before)
      before = others[random.between(0, others.length - 1)] ?? 'online'
      const state = before
      happens(at, 'presence', by, (id) => presence(id, state))
    }
  }

  const message = (at: number, by: DayEvent['by'], kind: Kind, to: string, content: (id: string) => string): void =>
    happens(at, kind, by, (id) => `<message to='${to}' type='chat' id='${id}'>${content(id)}</message>`)
  /** A message with a body, and its receipt a second later. */
  const says = (at: number, by: DayEvent['by'], contact: number, ours: string): void => {
    const theirs = contacts[contact] ?? ''
    const words = 'Wherefore art thou '.repeat(random.between(1, 8)).trim()
    const [kind, to] = by === 'desk' ? (['own message', theirs] as const) : (['message', ours] as const)
    message(at, by, kind, to, (id) => {
      const origin = `<origin-id xmlns='urn:xmpp:sid:0' id='${id}'/><request xmlns='${RECEIPTS}'/>`
      return `<body>${words} ${id}</body>${state('active')}${origin}`
    })
    const [receiver, sender] = by === 'desk' ? ([contact, desk] as const) : (['desk', theirs] as const)
    message(at + 1, receiver, 'receipt', sender, (id) => `<received xmlns='${RECEIPTS}' id='r${id}'/>`)
  }
  for (let chats = 15; chats > 0; chats--) {
    const contact = anyone()
    const theirs = contacts[contact] ?? ''
    // Half of the clients lock on to the device that answers.
    const ours = random.chance(0.5) ? bare : desk
    let at = daytime()
    for (let turns = random.between(2, 8); turns > 0; turns--) {
      const [by, to] = random.chance(0.5) ? ([contact, ours] as const) : (['desk', theirs] as const)
      message(at, by, 'chat state', to, () => state('composing'))
      if (random.chance(0.3)) {
        message(at + 8, by, 'chat state', to, () => state('paused'))
        message(at + 14, by, 'chat state', to, () => state('composing'))
        at += 14
      }
      at += random.between(5, 30)
      says(at, by, contact, ours)
      at += random.between(10, 90)
    }
    message(at + 60, contact, 'chat state', ours, () => state('inactive'))
  }
  for (let groups = 6; groups > 0; groups--) {
    const contact = anyone()
    let at = random.between(0, 24 * HOUR - 60)
    for (let count = random.between(3, 6); count > 0; count--, at += random.between(1, 8))
      says(at, contact, contact, bare)
  }
  for (let count = 8; count > 0; count--)
    happens(daytime(), 'headline', anyone(), (id) => {
      const content = `<subject>News</subject><body>The Capulets give a feast tonight. ${id}</body>`
      return `<message to='${bare}' type='headline' id='${id}'>${content}</message>`
    })
  for (let count = 5; count > 0; count--)
    happens(daytime(), 'error', anyone(), (id) => {
      const condition = `<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`
      return `<message to='${phone}' type='error' id='${id}'><error type='cancel'>${condition}</error></message>`
    })

  return events
    .toSorted((a, b) => a.at - b.at)
    .map((event, i) => {
      const id = `${mark}${String(i).padStart(5, '0')}`
      return { ...event, id, xml: event.xml(id) }
    })
}

/** `online`, `gone`, or a <show/>. */
export function presence(id: string, state: string): string {
  if (state === 'gone') return `<presence id='${id}' type='unavailable'/>`
  const show = state === 'online' ? '' : `<show>${state}</show>`
  return `<presence id='${id}'>${show}<status>Somewhere in Verona</status>${CAPS}</presence>`
}
const state = (name: string): string => `<${name} xmlns='${CHAT_STATES}'/>`
