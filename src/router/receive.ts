import type { Session } from '../contract/session.ts'
import { parseJid } from '../xmpp/jid.ts'
import { NS_CLIENT } from '../xmpp/ns.ts'
import { type Kind, Stanza, typeOf } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { StreamError } from '../xmpp/stream-error.ts'
import type { RawElement } from '../xmpp/tokenizer.ts'

const IQ_TYPES: ReadonlySet<string> = new Set(['get', 'set', 'result', 'error'])
const PRESENCE_TYPES: ReadonlySet<string> = new Set([
  '',
  'unavailable',
  'subscribe',
  'subscribed',
  'unsubscribe',
  'unsubscribed',
  'probe',
  'error',
])
/** An id longer than this is nobody's honest id, and it is echoed, stored and logged. */
const MAX_ID = 1024

/** What came of a client's element: a stanza to route, with the error it is to be answered with where it is malformed. */
export interface Received {
  readonly stanza: Stanza
  readonly fault: StanzaError | undefined
}

/**
 * A client's stanza with its `from` stamped (RFC 6120 §8.1.2.1) and its shape checked (§8.2.3, RFC 6121 §4.7.1).
 * @throws StreamError unsupported-stanza-type, invalid-from
 */
export function receiveFromClient(raw: RawElement, session: Session): Received {
  if (raw.ns !== NS_CLIENT || !isKind(raw.name)) throw new StreamError('unsupported-stanza-type')
  const kind = raw.name
  if (raw.from !== undefined) {
    const claimed = parseJid(raw.from)
    if (claimed !== session.jid && claimed !== session.account)
      throw new StreamError('invalid-from', 'A stanza may only come from this session.')
  }
  const to = raw.to === undefined ? undefined : parseJid(raw.to)
  const stanza = Stanza.received<Kind>(kind, raw, isSubscription(kind, raw.type) ? session.account : session.jid, to)
  return { stanza, fault: faultOf(stanza, raw, raw.to !== undefined && to === undefined) }
}

function isKind(name: string): name is Kind {
  return name === 'message' || name === 'presence' || name === 'iq'
}
/** RFC 6121 §3.1.2: subscription stanzas leave from the bare JID. */
function isSubscription(kind: Kind, type: string | undefined): boolean {
  return (
    kind === 'presence' &&
    (type === 'subscribe' || type === 'subscribed' || type === 'unsubscribe' || type === 'unsubscribed')
  )
}
function faultOf(stanza: Stanza, raw: RawElement, isToMalformed: boolean): StanzaError | undefined {
  if (isToMalformed) return new StanzaError('jid-malformed', { text: 'The address in to is none.' })
  if (raw.id !== undefined && raw.id.length > MAX_ID)
    return new StanzaError('policy-violation', { text: 'The id is too long.' })
  if (stanza.kind === 'iq') {
    if (!IQ_TYPES.has(stanza.type))
      return new StanzaError('bad-request', { text: 'An iq needs a type: get, set, result or error.' })
    if (stanza.id === undefined) return new StanzaError('bad-request', { text: 'An iq needs an id.' })
    if ((stanza.type === 'get' || stanza.type === 'set') && stanza.children.length !== 1)
      return new StanzaError('bad-request', { text: 'A request needs exactly one child element.' })
  } else if (stanza.kind === 'presence' && !PRESENCE_TYPES.has(typeOf('presence', raw.type))) {
    return new StanzaError('bad-request', { text: 'There is no such type of presence.' })
  }
  return undefined
}
