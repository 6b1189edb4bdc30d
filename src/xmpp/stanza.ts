import { child, type Element, el, textOf } from './element.ts'
import type { Jid } from './jid.ts'
import { NS_CLIENT, NS_STANZA_ERRORS } from './ns.ts'
import { escapeText, serialize } from './serialize.ts'
import { insertedAtEnd, stanzaBytes } from './stanza-bytes.ts'
import type { StanzaError } from './stanza-error.ts'
import { type QName, type RawElement, Tokenizer } from './tokenizer.ts'

export type Kind = 'message' | 'presence' | 'iq'

interface Fields<K extends Kind> {
  readonly kind: K
  readonly type: string
  readonly id: string | undefined
  readonly from: Jid
  readonly to: Jid | undefined
  readonly lang?: string | undefined
}
const NOTHING = Buffer.alloc(0)
/** For our own output: the bounds are those of a program's mistake, not of a peer. */
const OWN_LIMITS = {
  maxBytes: 2 ** 26,
  maxDepth: 256,
  maxElements: 2 ** 20,
  maxAttributes: 1_024,
  maxNamespaces: 1_024,
}
const OWN_ROOT = Buffer.from(`<x xmlns='${NS_CLIENT}'>`)

/** Reads one stanza as `Stanza.bytes` wrote it. @throws StreamError when it is none */
export function readOwn(bytes: Uint8Array): RawElement {
  const tokenizer = new Tokenizer(OWN_LIMITS)
  tokenizer.push(OWN_ROOT)
  tokenizer.next()
  tokenizer.push(Buffer.from(bytes))
  const raw = tokenizer.next()
  if (raw?.token !== 'element') throw new Error('a stanza of ours cannot be read')
  return raw
}
const elementOf = (bytes: Uint8Array): Element => readOwn(bytes).element

/** The type a stanza has when it names none (RFC 6121 §4.7.1, §5.2.2); '' for available presence. */
export function typeOf(kind: Kind, type: string | undefined): string {
  if (kind === 'message')
    return type === 'chat' || type === 'error' || type === 'groupchat' || type === 'headline' ? type : 'normal'
  return type ?? ''
}

/**
 * A routed stanza: `from` is always stamped or verified before anything else sees it (RFC 6120 §8.1.2). Its content is kept as
 * the canonical bytes received, or as a tree, whichever it was made from; the other is derived on first use.
 */
export class Stanza<K extends Kind = Kind> {
  readonly kind: K
  /** '' for available presence; `normal` for a message without a known type. */
  readonly type: string
  readonly id: string | undefined
  readonly from: Jid
  readonly to: Jid | undefined
  readonly lang: string | undefined
  #content: Buffer | undefined
  #source: RawElement | Element | undefined
  #children: readonly QName[]
  #bytes: Buffer | undefined

  private constructor(
    fields: Fields<K>,
    content: Buffer | undefined,
    source: RawElement | Element | undefined,
    children: readonly QName[],
  ) {
    this.kind = fields.kind
    this.type = fields.type
    this.id = fields.id
    this.from = fields.from
    this.to = fields.to
    this.lang = fields.lang
    this.#content = content
    this.#source = source
    this.#children = children
  }

  /** From a stanza as it came in; its canonical content is shared, not copied. */
  static received<K extends Kind>(kind: K, raw: RawElement, from: Jid, to: Jid | undefined): Stanza<K> {
    const fields = { kind, type: typeOf(kind, raw.type), id: raw.id, from, to, lang: raw.lang }
    return new Stanza(fields, raw.content, raw, raw.children)
  }

  /** From payloads built here. */
  static of<K extends Kind>(
    fields: Omit<Fields<K>, 'id'> & { readonly id?: string | undefined },
    ...children: readonly (Element | string)[]
  ): Stanza<K> {
    const tree = el(fields.kind, NS_CLIENT, {}, ...children)
    const names = children.filter((c): c is Element => typeof c !== 'string')
    return new Stanza({ ...fields, id: fields.id }, children.length === 0 ? NOTHING : undefined, tree, names)
  }

  /** From canonical content bytes, as another node or the store hands them over. */
  static stored<K extends Kind>(fields: Fields<K>, content: Buffer, children: readonly QName[]): Stanza<K> {
    return new Stanza(fields, content, undefined, children)
  }

  /** Names of the payloads, in order, without building the tree. */
  get children(): readonly QName[] {
    return this.#children
  }
  has(name: string, ns: string): boolean {
    for (const c of this.#children) if (c.name === name && c.ns === ns) return true
    return false
  }
  /** Built from the received bytes on first use; passing a stanza on does not need it. */
  get element(): Element {
    const source = this.#source
    if (source !== undefined && !('token' in source)) return source
    const element = source === undefined ? elementOf(this.bytes) : source.element
    this.#source = element
    return element
  }
  /** The payload of that name. Builds the tree only when there is one. */
  payload(name: string, ns: string): Element | undefined {
    return this.has(name, ns) ? child(this.element, name, ns) : undefined
  }
  /** What stands between the tags, canonical XML for a stream whose default namespace is `jabber:client`. */
  get content(): Buffer {
    this.#content ??= Buffer.from(
      this.element.children.map((c) => (typeof c === 'string' ? escapeText(c) : serialize(c, NS_CLIENT))).join(''),
    )
    return this.#content
  }
  /** The whole stanza as it leaves on a client stream; made once however many sessions it goes to. */
  get bytes(): Buffer {
    this.#bytes ??= stanzaBytes(this)
    return this.#bytes
  }
  /** The same stanza with other addresses or type; content is shared. */
  with(change: {
    readonly to?: Jid | undefined
    readonly from?: Jid
    readonly type?: string
    readonly id?: string
  }): Stanza<K> {
    const fields = {
      kind: this.kind,
      type: this.type,
      id: this.id,
      from: this.from,
      to: this.to,
      lang: this.lang,
      ...change,
    }
    return new Stanza(fields, this.#content, this.#source, this.#children)
  }
  /** The same stanza without its payloads of a namespace. */
  without(ns: string): Stanza<K> {
    if (!this.#children.some((c) => c.ns === ns)) return this
    const isKept = (c: Element | string): boolean => typeof c === 'string' || c.ns !== ns
    const tree = { ...this.element, children: this.element.children.filter(isKept) }
    return new Stanza(
      this,
      undefined,
      tree,
      this.#children.filter((c) => c.ns !== ns),
    )
  }
  /** The same stanza with one payload more, at the end. */
  adding(payload: Element): Stanza<K> {
    const added = Buffer.from(serialize(payload, NS_CLIENT))
    const whole = this.#bytes === undefined ? undefined : insertedAtEnd(this.#bytes, this, added)
    const content = whole?.content ?? Buffer.concat([this.content, added])
    const source = this.#source
    // Of what came in the tree is not built for this: hardly anybody asks for it, and the bytes have it all.
    const tree =
      source === undefined || 'token' in source ? undefined : { ...source, children: [...source.children, payload] }
    const stanza = new Stanza(this, content, tree, [...this.#children, payload])
    stanza.#bytes = whole?.bytes
    return stanza
  }
}
export type Message = Stanza<'message'>
export type Presence = Stanza<'presence'>
export type Iq = Stanza<'iq'>

/** RFC 6120 §8.2.3: the answer to a request. */
export function resultOf(iq: Iq, payload?: Element): Iq {
  const fields = { kind: 'iq' as const, type: 'result', id: iq.id, from: iq.to ?? bareAsJid(iq.from), to: iq.from }
  return Stanza.of(fields, ...(payload === undefined ? [] : [payload]))
}
function bareAsJid(j: Jid): Jid {
  const slash = j.indexOf('/')
  return (slash < 0 ? j : j.slice(0, slash)) as Jid
}

/** RFC 6120 §8.3: the same kind of stanza back to its sender, with the request's payload echoed for an iq (Kontalk's clients were tested so). */
export function errorReply<K extends Kind>(stanza: Stanza<K>, error: StanzaError, from?: Jid): Stanza<K> {
  const echoed = stanza.kind === 'iq' ? echoOf(stanza.element, error) : []
  const fields = {
    kind: stanza.kind,
    type: 'error',
    id: stanza.id,
    from: from ?? stanza.to ?? bareAsJid(stanza.from),
    to: stanza.from,
  }
  return Stanza.of<K>(fields, ...echoed, errorElement(error))
}
/** What of a request goes back with its error: all its payloads, or what the error says. */
export function echoOf(request: Element, { payload }: StanzaError): readonly Element[] {
  if (payload !== undefined) return payload === null ? [] : [payload]
  return request.children.filter((c) => typeof c !== 'string')
}
export function errorElement(error: StanzaError): Element {
  const parts: Element[] = [el(error.condition, NS_STANZA_ERRORS)]
  if (error.text !== undefined) parts.push(el('text', NS_STANZA_ERRORS, { 'xml:lang': 'en' }, error.text))
  if (error.app !== undefined) parts.push(error.app)
  return el('error', NS_CLIENT, { type: error.type }, ...parts)
}
/** The text of a payload, '' when absent. */
export function payloadText(stanza: Stanza, name: string, ns: string): string {
  const e = stanza.payload(name, ns)
  return e === undefined ? '' : textOf(e)
}
