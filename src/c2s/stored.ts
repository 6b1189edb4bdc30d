import type { StoredEntry } from '../inbox/store.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { el } from '../xmpp/element.ts'
import { type Domain, parseJid } from '../xmpp/jid.ts'
import { NS_CLIENT, NS_DELAY } from '../xmpp/ns.ts'
import { type Message, Stanza } from '../xmpp/stanza.ts'
import { Tokenizer } from '../xmpp/tokenizer.ts'

/** Our own output, so the bounds are those of a program's mistake, not of a peer. */
const LIMITS = { maxBytes: 2 ** 26, maxDepth: 256, maxElements: 2 ** 20, maxAttributes: 1_024, maxNamespaces: 1_024 }
const ROOT = Buffer.from(`<x xmlns='${NS_CLIENT}'>`)

/** A stored entry as it goes out: with the time it was received (XEP-0203), unless it carries one of ours. Undefined: unreadable. */
export function readStored(entry: StoredEntry, domain: Domain): Message | undefined {
  const tokenizer = new Tokenizer(LIMITS)
  tokenizer.push(ROOT)
  tokenizer.push(Buffer.from(entry.payload))
  tokenizer.next()
  const raw = tokenizer.next()
  if (raw?.token !== 'element' || raw.name !== 'message' || raw.from === undefined) return undefined
  const from = parseJid(raw.from)
  const to = raw.to === undefined ? undefined : parseJid(raw.to)
  if (from === undefined) return undefined
  const message = Stanza.received('message', raw, from, to)
  return message.adding(el('delay', NS_DELAY, { from: domain, stamp: formatDateTime(new Date(entry.at)) }))
}
