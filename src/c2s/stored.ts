import type { StoredEntry } from '../inbox/store.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { el } from '../xmpp/element.ts'
import { type Domain, parseJid } from '../xmpp/jid.ts'
import { NS_DELAY } from '../xmpp/ns.ts'
import { type Message, readOwn, Stanza } from '../xmpp/stanza.ts'

/** A stored entry as it goes out: with the time at which it was received (XEP-0203). @throws Error when it cannot be read */
export function readStored(entry: StoredEntry, domain: Domain): Message {
  const raw = readOwn(entry.payload)
  const from = raw.from === undefined ? undefined : parseJid(raw.from)
  const to = raw.to === undefined ? undefined : parseJid(raw.to)
  if (from === undefined) throw new Error('a stored stanza without sender')
  const message = Stanza.received('message', raw, from, to)
  return message.adding(el('delay', NS_DELAY, { from: domain, stamp: formatDateTime(new Date(entry.at)) }))
}
