import { parseDateTime } from '../xmpp/date-time.ts'
import { type BareJid, type Domain, domainOf, parseJid } from '../xmpp/jid.ts'
import { NS_CLIENT, NS_DELAY, NS_SID } from '../xmpp/ns.ts'
import { type Message, Stanza } from '../xmpp/stanza.ts'
import type { TokenizerLimits } from '../xmpp/tokenizer.ts'
import { elementsIn } from './fragments.ts'

/** A stanza to `to` as the other server keeps it; undefined where it is none. */
export function stanzaOf(text: string, to: BareJid, limits: TokenizerLimits): Stanza | undefined {
  try {
    const [raw, ...more] = elementsIn(text, limits)
    const from = parseJid(raw?.from ?? '')
    if (raw === undefined || more.length > 0 || from === undefined || raw.ns !== NS_CLIENT) return undefined
    if (raw.name !== 'message' && raw.name !== 'presence' && raw.name !== 'iq') return undefined
    return Stanza.received(raw.name, raw, from, to)
  } catch {
    return undefined
  }
}
/** A time as the databases write it, with or without its zone (then UTC); undefined for none. */
export function timeOf(text: string | null | undefined): number | undefined {
  const [, day, time, fraction = '', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,9})?([+-]\d\d(?::?\d\d)?)?$/.exec(text ?? '') ?? []
  if (day === undefined || time === undefined) return undefined
  const offset = zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`
  return parseDateTime(`${day}T${time}${fraction}${offset}`)?.getTime()
}
/**
 * The message without what the other server said of it, which ours says anew, and without what others said in its place: ids that claim to
 * be given here (XEP-0359 §3). When it came is what the server's own mark says, if that can be.
 */
export function unmarked(
  message: Message,
  domains: ReadonlySet<Domain>,
  otherwise: readonly (number | undefined)[],
  now: number,
): { message: Message; at: number } {
  const times: (number | undefined)[] = []
  const isOurs = (jid: string | undefined): boolean => {
    const by = jid === undefined ? undefined : parseJid(jid)
    return by !== undefined && domains.has(domainOf(by))
  }
  const kept = message.element.children.filter((c) => {
    if (typeof c === 'string') return true
    if (c.name === 'stanza-id' && c.ns === NS_SID) return !isOurs(c.attrs.by)
    if (c.name !== 'delay' || c.ns !== NS_DELAY || !isOurs(c.attrs.from)) return true
    times.push(parseDateTime(c.attrs.stamp ?? '')?.getTime())
    return false
  })
  const at = [...times, ...otherwise].find((time) => time !== undefined && time <= now) ?? now
  if (kept.length === message.element.children.length) return { message, at }
  const { kind, type, id, from, to, lang } = message
  return { message: Stanza.of({ kind, type, id, from, to, lang }, ...kept), at }
}
