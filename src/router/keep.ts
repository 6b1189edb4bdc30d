import { NS_CLIENT, NS_RECEIPTS } from '../xmpp/ns.ts'
import type { Message } from '../xmpp/stanza.ts'

const NS_HINTS = 'urn:xmpp:hints'
const NS_CHAT_STATES = 'http://jabber.org/protocol/chatstates'
/** Namespaces whose payload is worth keeping by itself: encrypted bodies, receipts, markers, what changes an earlier message. */
const KEPT: ReadonlySet<string> = new Set([
  NS_RECEIPTS,
  'urn:ietf:params:xml:ns:xmpp-e2e',
  'urn:xmpp:openpgp:0',
  'jabber:x:encrypted',
  'jabber:x:signed',
  'jabber:x:oob',
  'jabber:x:conference',
  'urn:xmpp:omemo:2',
  'eu.siacs.conversations.axolotl',
  'urn:xmpp:chat-markers:0',
  'urn:xmpp:message-retract:1',
  'urn:xmpp:message-moderate:1',
  'urn:xmpp:reactions:0',
  'http://kontalk.org/extensions/message#group',
  'http://jabber.org/protocol/muc#user',
])

/** What is done with a message besides passing it on. */
export type Keeping =
  /** It is an entry, which somebody has to take, and part of the archives. */
  | 'archived'
  /** It is an entry until it is taken. */
  | 'kept'
  /** Only for whoever is there now; nobody is told when nobody is. */
  | 'fleeting'
  /** Not kept, but its sender is told when nobody could be given it. */
  | 'direct'

/**
 * Whether a message becomes an entry of the recipient's log (DESIGN.md section 5; XEP-0160 §3, XEP-0334 §4). Decided by the names
 * of its payloads alone.
 */
export function keepingOf(message: Message): Keeping {
  const { type } = message
  if (type === 'error' || type === 'headline') return 'fleeting'
  if (type === 'groupchat') return 'direct'
  let isKept = false
  let isFleeting = true
  let isPermanent = true
  for (const { name, ns } of message.children) {
    if (ns === NS_HINTS) {
      if (name === 'no-store') return 'fleeting'
      if (name === 'no-permanent-store') isPermanent = false
      else if (name === 'store') isKept = true
    } else if (ns === NS_CLIENT ? name === 'body' : KEPT.has(ns)) {
      isKept = true
    } else if (ns !== NS_CHAT_STATES && ns !== NS_CLIENT) {
      isFleeting = false
    }
  }
  if (isKept) return isPermanent ? 'archived' : 'kept'
  return isFleeting ? 'fleeting' : 'direct'
}
