import { NS_CLIENT, NS_RECEIPTS, NS_RETRACT } from '../xmpp/ns.ts'
import type { Message } from '../xmpp/stanza.ts'

const NS_HINTS = 'urn:xmpp:hints'
const NS_CHAT_STATES = 'http://jabber.org/protocol/chatstates'
const NS_MARKERS = 'urn:xmpp:chat-markers:0'
const NS_MUC_USER = 'http://jabber.org/protocol/muc#user'

/** What is done with a message besides passing it on. */
export type Worth =
  /** An entry of both archives, and somebody has to take it. */
  | 'archived'
  /** Somebody has to take it; no archive has it. */
  | 'kept'
  /** Only for whoever is there now; nobody is told when nobody is. */
  | 'fleeting'
  /** Not kept, but its sender is told when nobody could be given it. */
  | 'direct'

/**
 * Payloads that mean something later too, by themselves: by namespace, or where a namespace has others as well, by name and
 * namespace. XEP-0313 §5.1.1 asks for bodies; the rest is what people would miss (encrypted bodies) or what says something of an
 * earlier message that the archive holds.
 */
const LASTING: ReadonlySet<string> = new Set([
  // Encrypted bodies: RFC 3923, XEP-0373, XEP-0027, XEP-0384.
  'urn:ietf:params:xml:ns:xmpp-e2e',
  'urn:xmpp:openpgp:0',
  'jabber:x:encrypted',
  'jabber:x:signed',
  'urn:xmpp:omemo:2',
  'eu.siacs.conversations.axolotl',
  // Links and files: XEP-0066, XEP-0447.
  'jabber:x:oob',
  'urn:xmpp:sfs:0',
  // Invitations: XEP-0249.
  'jabber:x:conference',
  // What changes or answers an earlier message: XEP-0308, XEP-0422, XEP-0424, XEP-0425, XEP-0444, XEP-0461.
  'urn:xmpp:message-correct:0',
  'urn:xmpp:fasten:0',
  NS_RETRACT,
  'urn:xmpp:message-moderate:1',
  'urn:xmpp:reactions:0',
  'urn:xmpp:reply:0',
  'http://kontalk.org/extensions/message#group',
])
/** XEP-0184 and XEP-0333: what was received or read; not the wish to be told. */
const isReport = (name: string, ns: string): boolean =>
  ns === NS_RECEIPTS ? name === 'received' : ns === NS_MARKERS && name !== 'markable'

/**
 * Whether a message becomes an entry of logs (DESIGN.md section 5; XEP-0160 §3, XEP-0313 §5.1.1, XEP-0334 §4). Decided by its
 * type and the names of its payloads alone. Of hints that contradict each other, the one that keeps less counts; none counts
 * against a retraction, which the archive must have (XEP-0424 §5): a tombstone names it, and who was away learns of it there.
 */
export function worthOf(message: Message): Worth {
  const { type } = message
  // XEP-0334 §5: the hints of an error are those of the message that it answers.
  if (type === 'error' || type === 'headline') return 'fleeting'
  if (type === 'groupchat') return 'direct'
  let isLasting = false
  let isFleeting = true
  let isPermanent = true
  let isStored = true
  let isState = false
  let isOfRoom = false
  for (const { name, ns } of message.children) {
    if (ns === NS_HINTS) {
      if (name === 'no-store') isStored = false
      else if (name === 'no-permanent-store') isPermanent = false
      else if (name === 'store') isLasting = true
    } else if (ns === NS_CLIENT ? name === 'body' : LASTING.has(ns) || isReport(name, ns)) {
      if (ns === NS_RETRACT && name === 'retract') return 'archived'
      isLasting = true
    } else if (ns === NS_CHAT_STATES) {
      isState = true
    } else if (ns === NS_MUC_USER) {
      isOfRoom = true
    } else if (ns !== NS_CLIENT) {
      isFleeting = false
    }
  }
  if (!isStored) return 'fleeting'
  // XEP-0045 §7.8.2: an invitation. Rooms mark private messages in the same way, chat states among them (§7.5).
  if (isOfRoom && !isState) isLasting = true
  if (isLasting) return isPermanent ? 'archived' : 'kept'
  return isFleeting ? 'fleeting' : 'direct'
}
