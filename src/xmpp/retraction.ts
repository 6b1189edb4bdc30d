import { formatDateTime } from './date-time.ts'
import { child, el } from './element.ts'
import { bareOf, type Jid, parseJid } from './jid.ts'
import { NS_CLIENT, NS_DELAY, NS_RETRACT } from './ns.ts'
import { escapeText, serialize } from './serialize.ts'
import { type Message, readOwn, Stanza, typeOf } from './stanza.ts'

const NS_MUC_USER = 'http://jabber.org/protocol/muc#user'

/** A wish to take an earlier message back (XEP-0424 §3). */
export interface Retraction {
  /** The earlier message's own `id`. */
  readonly of: string
  /** The wish's `id`. */
  readonly id: string
  readonly from: Jid
  /** It came through a room, where people share an address but for the resource. */
  readonly isInRoom: boolean
}

/** Undefined when the message is no retraction, or one without the ids that XEP-0424 §4 demands. Rooms' own are theirs to do. */
export function retractionOf(message: Message): Retraction | undefined {
  const { type, id, from } = message
  if (type !== 'chat' && type !== 'normal') return undefined
  const of = message.payload('retract', NS_RETRACT)?.attrs.id
  if (of === undefined || id === undefined) return undefined
  return { of, id, from, isInRoom: message.has('x', NS_MUC_USER) }
}

/**
 * What is left of a stored message that is taken back (XEP-0424 §4): addresses, type and id. Undefined when the wish is not about
 * it or is not its author's (§5: the same bare address, in a room the same full one), and for what has to stay: retractions, and
 * what is left of a message already.
 */
export function tombstoneOf(payload: Uint8Array, retraction: Retraction, at: Date): Uint8Array | undefined {
  const { id, from, to, element, type } = readOwn(payload)
  const author = from === undefined ? undefined : parseJid(from)
  if (id !== retraction.of || author === undefined || bareOf(author) !== bareOf(retraction.from)) return undefined
  const isInRoom = retraction.isInRoom || child(element, 'x', NS_MUC_USER) !== undefined
  if (isInRoom && author !== retraction.from) return undefined
  if (child(element, 'retract', NS_RETRACT) !== undefined || child(element, 'retracted', NS_RETRACT) !== undefined)
    return undefined
  const mark = el('retracted', NS_RETRACT, { id: retraction.id, stamp: formatDateTime(at) })
  const receiver = to === undefined ? undefined : parseJid(to)
  return Stanza.of({ kind: 'message', type: typeOf('message', type), id, from: author, to: receiver }, mark).bytes
}

/** Whether one message was sent twice, the second time perhaps with a note of its delay. */
export function isRepeated(one: Uint8Array, other: Uint8Array): boolean {
  return contentOf(one).equals(contentOf(other))
}
const NOTHING = Buffer.alloc(0)
function contentOf(payload: Uint8Array): Buffer {
  const { element, content } = readOwn(payload)
  if (child(element, 'delay', NS_DELAY) === undefined) return content ?? NOTHING
  const kept = element.children.filter((c) => typeof c === 'string' || c.ns !== NS_DELAY)
  return Buffer.from(kept.map((c) => (typeof c === 'string' ? escapeText(c) : serialize(c, NS_CLIENT))).join(''))
}
