import type { StoredEntry } from '../inbox/store.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { el } from '../xmpp/element.ts'
import { type BareJid, domainOf, parseJid } from '../xmpp/jid.ts'
import { NS_DELAY } from '../xmpp/ns.ts'
import { type Message, readOwn, Stanza } from '../xmpp/stanza.ts'
import { stanzaId } from '../xmpp/stanza-id.ts'

/**
 * A stored entry as it goes out to the account's sessions: with its id where it is archived (XEP-0359), and the time at which it
 * was received (XEP-0203). @throws Error when it cannot be read
 */
export function readStored(entry: StoredEntry, account: BareJid): Message {
  const raw = readOwn(entry.payload)
  const from = raw.from === undefined ? undefined : parseJid(raw.from)
  const to = raw.to === undefined ? undefined : parseJid(raw.to)
  if (from === undefined) throw new Error('a stored stanza without sender')
  const message: Message = Stanza.received('message', raw, from, to)
  const stamp = formatDateTime(new Date(entry.at))
  const delay = el('delay', NS_DELAY, { from: domainOf(account), stamp })
  return (entry.archived ? message.adding(stanzaId(account, entry.id)) : message).adding(delay)
}
