/**
 * XEP-0033: Extended Stanza Addressing; how Kontalk's groups travel.
 *
 * A message to the service becomes one for each address, and each of them an ordinary message of its sender: block lists, the
 * archive, delivery and errors are those of a message sent by itself.
 */
import { z } from 'zod'
import { size } from '../config/units.ts'
import { defineFeature } from '../contract/feature.ts'
import { child, type Element, el } from '../xmpp/element.ts'
import { domainOf, type Jid, localOf, parseJid } from '../xmpp/jid.ts'
import { type Message, Stanza } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_ADDRESS = 'http://jabber.org/protocol/address'
const ADDRESSES = { name: 'addresses', ns: NS_ADDRESS } as const
const LOCAL = 'multicast'
/** Those that get the message. */
const RECIPIENTS: ReadonlySet<string> = new Set(['to', 'cc', 'bcc'])
/** Those that say something to who gets it. */
const HEADERS: ReadonlySet<string> = new Set(['replyto', 'replyroom', 'noreply'])

interface Recipient {
  readonly jid: Jid
  /** Only to be seen by himself; undefined for all others. */
  readonly bcc: Element | undefined
}
interface Addressed {
  readonly recipients: readonly Recipient[]
  /** What everybody is told. */
  readonly shown: readonly Element[]
}

export default defineFeature({
  name: 'multicast',
  xeps: [
    {
      number: 33,
      version: '1.2.1',
      status: 'partial',
      note: 'messages of own accounts; where there are but addresses of the type to, recipients do not get the list',
    },
  ],
  requires: ['disco'],
  config: z
    .strictObject({
      max_addresses: z
        .int('expected a whole number')
        .min(1, 'expected at least 1')
        .default(100)
        .describe('Addresses of one message.'),
      max_total: size().prefault('8MiB').describe('Bytes of one message, times its addresses.'),
    })
    .prefault({}),
  disco: { server: [NS_ADDRESS] },
  metrics: {
    copies: {
      type: 'counter',
      name: 'fernruf_multicast_copies_total',
      help: 'Messages that one message to many became.',
    },
  },
  uses: ['disco'],
  setup: ({ config, metrics, ports: { disco } }) => {
    function spread(message: Message): readonly Message[] {
      const { recipients, shown } = addressedBy(message, config.max_addresses)
      for (const { jid } of recipients) if (isOurs(jid)) throw new StanzaError('not-allowed', { text: OWN_SERVICE })
      const { kind, type, id, from, to, lang } = message
      const rest = message.element.children.filter((c) => typeof c === 'string' || c.ns !== NS_ADDRESS)
      const made = (addresses: readonly Element[]): Message => {
        const list = addresses.length === 0 ? [] : [el(ADDRESSES.name, NS_ADDRESS, {}, ...addresses)]
        const one = Stanza.of({ kind, type, id, from, to, lang }, ...list, ...rest)
        // Written once, and shared by all that are made of it.
        if (one.content.length * recipients.length <= config.max_total) return one
        throw new StanzaError('not-acceptable', { text: 'The message is too large for so many addresses.' })
      }
      const common = made(shown)
      metrics.copies.inc(recipients.length)
      return recipients.map(({ jid, bcc }) => (bcc === undefined ? common : made([...shown, bcc])).with({ to: jid }))
    }
    /** The domain, or a service of it: what is sent there would be spread again. */
    function isOurs(jid: Jid): boolean {
      if (!disco.domains.has(domainOf(jid))) return false
      const local = localOf(jid)
      return local === undefined || disco.services.some((service) => service.local === local)
    }

    const handler = { ...ADDRESSES, spread }
    return {
      services: [
        { local: LOCAL, name: 'Multicast service', category: 'service', type: 'multicast', features: [NS_ADDRESS] },
      ],
      // COMPAT(Kontalk for Android): at multicast@ the domain; the desktop client and the XEP: at the domain.
      messages: [handler, { ...handler, local: LOCAL }],
    }
  },
})

const OWN_SERVICE = 'An address is that of a service, which takes no messages to pass on.'
const malformed = (text: string): StanzaError => new StanzaError('bad-request', { text })

/** @throws StanzaError bad-request, jid-malformed, not-acceptable */
function addressedBy(message: Message, maxAddresses: number): Addressed {
  if (message.children.filter(({ ns }) => ns === NS_ADDRESS).length !== 1)
    throw malformed('There is to be one list of addresses.')
  const list = child(message.element, ADDRESSES.name, NS_ADDRESS)
  const all = list?.children.filter((c): c is Element => typeof c !== 'string' && c.ns === NS_ADDRESS) ?? []
  if (all.length > maxAddresses)
    throw new StanzaError('not-acceptable', { text: `No more than ${maxAddresses} addresses.` })
  const recipients = new Map<Jid, Recipient>()
  const visible: Element[] = []
  let isPlain = true
  for (const address of all) {
    const { type = '', delivered } = address.attrs
    if (address.name !== 'address' || !(RECIPIENTS.has(type) || HEADERS.has(type)))
      throw malformed('There is an address of a type that does not exist, or that only rooms may use.')
    const jid = jidOf(address)
    if (type !== 'to' || address.attrs.desc !== undefined || address.attrs.node !== undefined) isPlain = false
    const isRecipient = jid !== undefined && RECIPIENTS.has(type)
    // §4.5 «MUST NOT deliver to an address that was marked»: somebody has done so.
    if (isRecipient && delivered !== 'true' && !recipients.has(jid))
      recipients.set(jid, { jid, bcc: type === 'bcc' ? address : undefined })
    if (type !== 'bcc') visible.push(isRecipient ? markedDelivered(address) : address)
  }
  if (recipients.size === 0) throw malformed('There is nobody to send it to.')
  // Kontalk's apps know their groups by what is inside the message; their own server takes the list off.
  return { recipients: [...recipients.values()], shown: isPlain ? [] : visible }
}
/** Undefined for `noreply` alone. */
function jidOf({ attrs: { jid, uri, type } }: Element): Jid | undefined {
  if (uri !== undefined) throw new StanzaError('jid-malformed', { text: 'Only addresses of XMPP are served.' })
  if (jid === undefined && type === 'noreply') return undefined
  const parsed = jid === undefined ? undefined : parseJid(jid)
  if (parsed === undefined) throw new StanzaError('jid-malformed', { text: 'One of the addresses is none.' })
  return parsed
}
/** §4.5: whoever gets it sends it to nobody of the list again. */
function markedDelivered(address: Element): Element {
  return el(address.name, NS_ADDRESS, { ...address.attrs, delivered: 'true' })
}
