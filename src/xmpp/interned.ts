import * as ns from './ns.ts'
import { type Octets, octetsOf } from './octets.ts'
import type { QName } from './tokenizer.ts'

/** A text and its octets. */
interface Word {
  readonly text: string
  readonly octets: Uint8Array
  /** The names this is the local part of. */
  readonly names: FrequentName[]
}
/** How a tag begins: a name, and maybe the declaration of its namespace. */
export interface TagStart {
  readonly name: QName
  readonly declares: boolean
  readonly octets: Octets
}
/** A name, and how a tag of it may begin, the longest first. */
interface FrequentName {
  readonly name: QName
  readonly starts: readonly TagStart[]
}

/** A fixed set of ASCII words, found by their octets: a hit costs a comparison and no allocation. */
class Words {
  readonly #buckets: (Word[] | undefined)[] = []
  readonly #mask: number

  constructor(texts: Iterable<string>) {
    const distinct = new Set(texts)
    this.#mask = 2 ** Math.ceil(Math.log2(distinct.size * 4)) - 1
    this.#buckets = Array.from({ length: this.#mask + 1 }, () => undefined)
    for (const text of distinct) {
      const octets = Buffer.from(text, 'latin1')
      const at = this.#hash(octets, 0, octets.length)
      const bucket = this.#buckets[at]
      const word = { text, octets: new Uint8Array(octets), names: [] }
      if (bucket === undefined) this.#buckets[at] = [word]
      else bucket.push(word)
    }
  }
  #hash(buf: Uint8Array, start: number, end: number): number {
    const middle = buf[(start + end) >> 1] as number
    return ((end - start) * 37 + (buf[start] as number) * 5 + middle * 131 + (buf[end - 1] as number) * 17) & this.#mask
  }
  find(buf: Uint8Array, start: number, end: number): Word | undefined {
    if (start === end) return undefined
    const bucket = this.#buckets[this.#hash(buf, start, end)]
    if (bucket === undefined) return undefined
    for (let i = 0; i < bucket.length; i++) {
      const word = bucket[i] as Word
      if (areOctets(word.octets, buf, start, end)) return word
    }
    return undefined
  }
}

function areOctets(octets: Uint8Array, buf: Uint8Array, start: number, end: number): boolean {
  const length = octets.length
  if (length !== end - start) return false
  for (let i = 0; i < length; i++) if (octets[i] !== buf[start + i]) return false
  return true
}
/** Whether the octets are the ASCII text. */
export function equals(text: string, buf: Uint8Array, start: number, end: number): boolean {
  const length = text.length
  if (length !== end - start) return false
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== buf[start + i]) return false
  return true
}

/** Up to so many octets are made a text in JavaScript: the call out of it takes as long as 24 of them. */
const SHORT = 24

/** A text that comes once, of octets known to be ASCII. */
export function asciiText(buf: Buffer, start: number, end: number): string {
  if (end - start > SHORT) return buf.toString('latin1', start, end)
  const codes: number[] = []
  for (let p = start; p < end; p++) codes.push(buf[p] as number)
  return String.fromCharCode(...codes)
}

/** Names that come often; others are right too, only made anew each time. By namespace, the local names. */
const FREQUENT: Readonly<Record<string, string>> = {
  [ns.NS_CLIENT]: 'message presence iq body subject thread error show status priority',
  [ns.NS_SERVER]: 'message presence iq body subject thread error show status priority',
  [ns.NS_STREAMS]: 'stream features error',
  [ns.NS_TLS]: 'starttls proceed failure',
  [ns.NS_SASL]: 'auth response challenge success failure abort',
  [ns.NS_BIND]: 'bind resource',
  [ns.NS_SESSION]: 'session',
  [ns.NS_SM]: 'r a enable enabled resume resumed failed',
  [ns.NS_DISCO_INFO]: 'query',
  [ns.NS_DISCO_ITEMS]: 'query',
  [ns.NS_DATA]: 'x',
  [ns.NS_REGISTER]: 'query',
  [ns.NS_DELAY]: 'delay',
  [ns.NS_PING]: 'ping',
  [ns.NS_RECEIPTS]: 'request received',
  [ns.NS_ROSTER]: 'query',
  [ns.NS_PUBKEY]: 'pubkey',
  'http://jabber.org/protocol/chatstates': 'active inactive composing paused gone',
  'urn:xmpp:chat-markers:0': 'markable received displayed acknowledged',
  'urn:xmpp:hints': 'store no-store no-copy no-permanent-store',
  'urn:xmpp:sid:0': 'stanza-id origin-id',
  'urn:xmpp:carbons:2': 'enable disable private sent received',
  'urn:xmpp:forward:0': 'forwarded',
  'urn:xmpp:mam:2': 'query prefs fin result metadata',
  'urn:xmpp:csi:0': 'active inactive',
  'urn:xmpp:eme:0': 'encryption',
  'urn:xmpp:message-correct:0': 'replace',
  'http://jabber.org/protocol/caps': 'c',
  'http://jabber.org/protocol/commands': 'command',
  'http://jabber.org/protocol/pubsub': 'pubsub',
  'http://jabber.org/protocol/pubsub#event': 'event',
  'http://jabber.org/protocol/muc': 'x',
  'http://jabber.org/protocol/muc#user': 'x',
  'http://jabber.org/protocol/address': 'addresses',
  'jabber:x:oob': 'x',
  'jabber:x:signed': 'x',
  'jabber:x:encrypted': 'x',
  'jabber:iq:last': 'query',
  'jabber:iq:version': 'query',
  'jabber:iq:private': 'query',
  'jabber:server:dialback': 'result verify',
  'urn:ietf:params:xml:ns:xmpp-e2e': 'e2e',
  'urn:xmpp:openpgp:0': 'openpgp',
  'urn:xmpp:blocking': 'blocklist block unblock',
  'vcard-temp': 'vCard',
  'vcard-temp:x:update': 'x',
  'eu.siacs.conversations.axolotl': 'encrypted',
}
const TYPES =
  'chat normal error groupchat headline get set result unavailable subscribe subscribed unsubscribe unsubscribed probe'

const ATTRIBUTES =
  'to from id type xmlns xml:lang jid name subscription ask node ver hash stamp var label code by action status sid ' +
  'seconds max h resume previd location queryid xmlns:stream encoding affiliation role'

const namespaces = new Words(Object.keys(FREQUENT))
const values = new Words(TYPES.split(' '))
const attributes = new Words(ATTRIBUTES.split(' '))
const locals = names()

function names(): Words {
  const words = new Words(Object.values(FREQUENT).flatMap((list) => list.split(' ')))
  const all = Object.entries(FREQUENT).flatMap(([uri, list]) => list.split(' ').map((name) => ({ name, ns: uri })))
  const octets = octetsOf(all.flatMap(({ name, ns }) => [`${name} xmlns='${ns}'`, `${name} xmlns="${ns}"`, name]))
  for (const [i, name] of all.entries()) {
    const local = Buffer.from(name.name, 'latin1')
    const word = words.find(local, 0, local.length) as Word
    Object.freeze(name)
    const starts = octets.slice(3 * i, 3 * i + 3).map((o, j) => ({ name, declares: j < 2, octets: o }))
    word.names.push({ name, starts })
  }
  return words
}

/** The namespace's name when it is a frequent one, written without references. */
export function knownNamespace(buf: Uint8Array, start: number, end: number): string | undefined {
  return namespaces.find(buf, start, end)?.text
}
/** The value when it is one of the stanza types. */
export function knownType(buf: Uint8Array, start: number, end: number): string | undefined {
  return values.find(buf, start, end)?.text
}
/** An attribute's name as written. */
export function attributeName(buf: Buffer, start: number, end: number): string {
  return attributes.find(buf, start, end)?.text ?? buf.toString('utf8', start, end)
}
export function localName(buf: Buffer, start: number, end: number): string {
  return locals.find(buf, start, end)?.text ?? buf.toString('utf8', start, end)
}
/** One object per frequent name. */
export function qualifiedName(buf: Buffer, start: number, end: number, uri: string): QName {
  const word = locals.find(buf, start, end)
  if (word === undefined) return { name: buf.toString('utf8', start, end), ns: uri }
  for (const { name } of word.names) if (name.ns === uri) return name
  return { name: word.text, ns: uri }
}
export function frequentName(buf: Uint8Array, start: number, end: number, uri: string): FrequentName | undefined {
  return locals.find(buf, start, end)?.names.find(({ name }) => name.ns === uri)
}
