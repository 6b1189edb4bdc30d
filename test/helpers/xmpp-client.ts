import type { Element } from '../../src/xmpp/element.ts'
import { bind, type Login, logIn, NS_SM } from './login.ts'
import { difference, parse, write } from './match-element.ts'
import { type ConnectionSettings, describe, XmppConnection } from './xmpp-connection.ts'

/** A server's question whether the device is there (XEP-0199). */
const isPing = (e: Element): boolean =>
  e.name === 'iq' && e.attrs.type === 'get' && e.children.some((c) => typeof c !== 'string' && c.ns === 'urn:xmpp:ping')

export interface ClientSettings extends ConnectionSettings {
  readonly login: Login
  /** Undefined: the server chooses. */
  readonly resource: string | undefined
  /** False: presence is left out of what the client hears, so that message stories need not spell it. */
  readonly hearsPresence?: boolean
  /** True: the server's `<r/>` and pings are heard like stanzas and left unanswered. */
  readonly manualAcks?: boolean
  /** The other clients of the story, for `receivesNothing`. */
  readonly others?: () => readonly XmppClient[]
}

/** A device in a story. Verbs throw with what went wrong; the story adds the transcript. */
export class XmppClient {
  readonly #settings: ClientSettings
  #connection: XmppConnection | undefined
  readonly #held: Element[] = []
  #jid = ''
  #probes = 0
  #awaitsEcho = false
  #enabled = false
  #smid: string | undefined
  #received = 0
  #acked = 0
  readonly #unacked: string[] = []

  constructor(settings: ClientSettings) {
    this.#settings = settings
  }

  /** The bound full JID. */
  get jid(): string {
    return this.#jid
  }
  get bare(): string {
    return this.#jid.slice(0, this.#jid.indexOf('/'))
  }
  get domain(): string {
    return this.#settings.domain
  }
  get connection(): XmppConnection {
    if (this.#connection === undefined) throw new Error('not connected')
    return this.#connection
  }
  /** Bound and connected. */
  get online(): boolean {
    return this.#jid !== '' && this.#connection !== undefined && !this.#connection.ended
  }
  /** It has asked for acknowledgements on this stream. */
  get countsStanzas(): boolean {
    return this.#enabled
  }
  /** Id to resume the stream by; undefined before `enablesAcks`. */
  get smid(): string | undefined {
    return this.#smid
  }
  /** Stanzas handled since `enablesAcks`, as told to the server by `h`. */
  get handled(): number {
    return this.#received
  }
  /** The highest `h` the server has told. */
  get acknowledged(): number {
    return this.#acked
  }
  /** Stanzas sent since `enablesAcks`. */
  get sent(): number {
    return this.#acked + this.#unacked.length
  }

  /** Connects, authenticates, binds. */
  async connects(): Promise<void> {
    await this.authenticates()
    this.#jid = await bind(this.connection, this.#settings.resource)
  }
  /** Connects and authenticates. @returns the stream features */
  async authenticates(): Promise<Element> {
    this.#enabled = false
    this.#held.length = 0
    this.#connection = await XmppConnection.open(this.#settings)
    return await logIn(this.#connection, this.#settings.login)
  }
  /** Sends presence and waits until it comes back, which it does to the device that sent it (RFC 6121 §4.2.2). */
  async isAvailable(presence: { readonly priority?: number } = {}): Promise<void> {
    const content = presence.priority === undefined ? '' : `<priority>${presence.priority}</priority>`
    this.#awaitsEcho = true
    await this.sends(`<presence>${content}</presence>`)
    while (this.#awaitsEcho) {
      const e = await this.#read()
      if (e !== undefined) this.#held.push(e)
    }
  }

  async sends(xml: string): Promise<void> {
    const text = xml.trim()
    if (this.#enabled && /^<(message|presence|iq)[\s>/]/.test(text)) this.#unacked.push(text)
    this.connection.write(text)
    await this.connection.drained()
  }
  /** The next stanza is this one. */
  async receives(xml: string): Promise<Element> {
    const expected = parse(xml)
    const actual = await this.#next()
    const d = difference(expected, actual)
    if (d !== undefined) throw new Error(`${this.#jid}: ${d}\nexpected ${write(expected)}\ngot      ${write(actual)}`)
    return actual
  }
  /** The next stanzas are these, in whatever order. */
  async receivesAnyOrder(...xmls: readonly string[]): Promise<void> {
    const open = xmls.map(parse)
    while (open.length > 0) {
      const actual = await this.#next()
      const at = open.findIndex((expected) => difference(expected, actual) === undefined)
      if (at < 0)
        throw new Error(
          `${this.#jid}: unexpected ${write(actual)}\nstill open:\n${open.map((e) => write(e)).join('\n')}`,
        )
      open.splice(at, 1)
    }
  }
  /** The next stanza, whatever it is. */
  async receivesAny(): Promise<Element> {
    return this.#next()
  }
  /**
   * Nothing was on its way: proven by a round trip to the server and, since stanzas between two addresses keep their order, by
   * one request from each other client of the story. From those who are `shut` out, by a block on either side, nothing comes
   * through: what they sent before is known to be dealt with when a request that goes the same way has been refused.
   */
  async receivesNothing({ shut = [] }: { readonly shut?: readonly XmppClient[] } = {}): Promise<void> {
    const before = this.#held.length
    for (const other of shut) await other.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, this.#jid)
    await this.#roundTrip()
    for (const other of this.#settings.others?.() ?? [])
      if (other !== this && other.online && !shut.includes(other)) await this.#hearsFlushOf(other)
    const [first] = this.#held
    if (this.#held.length > before || first !== undefined)
      throw new Error(`${this.#jid}: expected nothing, got ${this.#held.map((e) => write(e)).join('\n')}`)
  }
  /** Asks and returns the answer; what else comes meanwhile stays to be received. */
  async asks(type: 'get' | 'set', payload: string, to?: string): Promise<Element> {
    const id = `ask-${++this.#probes}`
    await this.sends(`<iq type='${type}' id='${id}'${to === undefined ? '' : ` to='${to}'`}>${payload}</iq>`)
    return this.#holdUntil(
      (e) => e.name === 'iq' && e.attrs.id === id && e.attrs.type !== 'get' && e.attrs.type !== 'set',
    )
  }
  /** Asks to end the stream and waits until the server has closed it. */
  async disconnects(): Promise<void> {
    this.connection.write('</stream:stream>')
    await this.connection.closes()
  }
  /** Loses its connection without a word. */
  drops(): void {
    this.connection.destroy()
  }
  /** The server ends the stream with this error. */
  async isDisconnected(condition: string): Promise<void> {
    await this.connection.endsWith(condition)
  }

  /** XEP-0198 §3. @returns <enabled/> */
  async enablesAcks({ resume, max }: { readonly resume?: boolean; readonly max?: string } = {}): Promise<Element> {
    const asked = `${resume === true ? ` resume='true'` : ''}${max === undefined ? '' : ` max='${max}'`}`
    this.connection.write(`<enable xmlns='${NS_SM}'${asked}/>`)
    // Counting starts with the request on our side and with the answer on theirs.
    this.#enabled = true
    this.#acked = 0
    this.#unacked.length = 0
    const answer = await this.#holdUntil((e) => e.ns === NS_SM && (e.name === 'enabled' || e.name === 'failed'))
    this.#received = 0
    this.#smid = answer.attrs.id
    return answer
  }
  /** Waits until the server has acknowledged everything sent; it may do so unasked. */
  async isAcknowledged(): Promise<void> {
    if (this.#unacked.length === 0) return
    this.connection.write(`<r xmlns='${NS_SM}'/>`)
    while (this.#unacked.length > 0) {
      const e = await this.#read()
      if (e !== undefined) this.#held.push(e)
    }
  }
  /** Tells the server what was received. */
  acks(h: number = this.#received): void {
    this.connection.write(`<a xmlns='${NS_SM}' h='${h}'/>`)
  }
  /** Asks and returns the `h` of the next answer. */
  async asksForAck(): Promise<number> {
    const before = this.#answers
    this.connection.write(`<r xmlns='${NS_SM}'/>`)
    while (this.#answers === before) {
      const e = await this.#read()
      if (e !== undefined) this.#held.push(e)
    }
    return this.#acked
  }
  /** Connects anew and resumes the stream; resends what the server had not got. @returns <resumed/> or <failed/> */
  async resumes(previous: { readonly id?: string; readonly h?: number } = {}): Promise<Element> {
    const id = previous.id ?? this.#smid
    const handled = this.#received
    await this.authenticates()
    this.connection.write(`<resume xmlns='${NS_SM}' previd='${id}' h='${previous.h ?? handled}'/>`)
    const answer = await this.connection.element()
    if (answer.name === 'resumed') {
      this.#enabled = true
      this.#received = previous.h ?? handled
      this.#ackTo(Number(answer.attrs.h))
      for (const stanza of this.#unacked) this.connection.write(stanza)
    }
    return answer
  }

  #answers = 0
  #ackTo(h: number): void {
    if (h - this.#acked > this.#unacked.length)
      throw new Error(`${this.#jid}: the server acknowledges ${h} of ${this.sent} stanzas`)
    this.#unacked.splice(0, h - this.#acked)
    this.#acked = h
  }
  async #next(): Promise<Element> {
    const held = this.#held.shift()
    if (held !== undefined) return held
    for (;;) {
      const e = await this.#read()
      if (e !== undefined) return e
    }
  }
  /** Reads one element off the wire; undefined when it was none of the story's business. */
  async #read(): Promise<Element | undefined> {
    const incoming = await this.connection.next()
    if (incoming.kind !== 'element') throw new Error(`${this.#jid}: expected a stanza, got ${describe(incoming)}`)
    const e = incoming.element
    if (e.ns === NS_SM) {
      if (e.name === 'a') {
        this.#answers++
        this.#ackTo(Number(e.attrs.h))
        return undefined
      }
      if (e.name === 'r' && this.#settings.manualAcks !== true) {
        this.acks()
        return undefined
      }
      return e
    }
    if (this.#enabled && e.ns === 'jabber:client') this.#received++
    if (isPing(e) && e.attrs.from === this.domain && this.#settings.manualAcks !== true) {
      this.connection.write(`<iq type='result' id='${e.attrs.id}' to='${this.domain}'/>`)
      if (this.#enabled) this.#unacked.push('')
      return undefined
    }
    if (this.#awaitsEcho && e.name === 'presence' && e.attrs.from === this.#jid) {
      this.#awaitsEcho = false
      return undefined
    }
    if (e.name === 'presence' && this.#settings.hearsPresence !== true) return undefined
    if (e.name === 'iq' && (e.attrs.id ?? '').startsWith('flush-') && e.attrs.type !== 'get') return undefined
    return e
  }
  async #holdUntil(wanted: (e: Element) => boolean): Promise<Element> {
    for (;;) {
      const e = await this.#read()
      if (e === undefined) continue
      if (wanted(e)) return e
      this.#held.push(e)
    }
  }
  async #roundTrip(): Promise<void> {
    const id = `probe-${++this.#probes}`
    await this.sends(`<iq type='get' id='${id}' to='${this.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await this.#holdUntil((e) => e.name === 'iq' && e.attrs.id === id)
  }
  async #hearsFlushOf(other: XmppClient): Promise<void> {
    const id = `flush-${++this.#probes}`
    await other.sends(`<iq type='get' id='${id}' to='${this.#jid}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    const request = await this.#holdUntil((e) => e.name === 'iq' && e.attrs.id === id)
    await this.sends(`<iq type='result' id='${id}' to='${request.attrs.from}'/>`)
  }
}
