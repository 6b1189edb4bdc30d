import type { Element } from '../../src/xmpp/element.ts'
import type { FaultLedger } from './fault-ledger.ts'
import { bind, logIn, NS_SM } from './login.ts'
import { write } from './match-element.ts'
import type { Random } from './random.ts'
import { type ConnectionSettings, XmppConnection } from './xmpp-connection.ts'

/** Messages under way of one device. */
const WINDOW = 6
const ACK_EVERY = 7

/** How a device loses its connection. */
export type Cut = 'lost' | 'inside a stanza' | 'half closed'

/** A device of a fault test, ours or somebody else's. */
export interface Device {
  /** `<account>-<number>`. */
  readonly name: string
  readonly account: string
  readonly isOnline: boolean
  /** True when the server has acknowledged all that it sent. */
  readonly isSettled: boolean
  /** Connects, resumes where it can; settles when it is online, or has failed to come. */
  comes(): Promise<void>
  /** Loses its connection. */
  cuts(how: Cut): void
  /** Closes its stream and settles when it has gone. */
  leaves(): Promise<void>
  /** Sends as much as it may. */
  fills(): void
}

export interface DeviceSettings {
  readonly account: string
  readonly number: number
  readonly password: string
  readonly connection: ConnectionSettings
  readonly ledger: FaultLedger
  readonly random: Random
  /** To whom the next message goes; undefined: there is none to send now. */
  readonly next: (from: string) => string | undefined
  /** True while connections may be lost by no will of the device. */
  readonly isDisturbed: () => boolean
  /** It is online, or no longer. */
  readonly changed: () => void
}

/** A stanza that was sent and is not covered by an `h`. */
interface Unacknowledged {
  readonly xml: string
  /** Undefined: no message. */
  readonly message: { readonly id: string; readonly to: string } | undefined
}

/** A client of ours with XEP-0198, which counts strictly and does unkind things. */
export class FaultDevice implements Device {
  readonly name: string
  readonly account: string
  readonly #settings: DeviceSettings
  #connection: XmppConnection | undefined
  #isOnline = false
  /** Connections that end by its will. */
  readonly #going = new WeakSet<XmppConnection>()
  #gone = Promise.resolve()
  #smid: string | undefined
  /** Of the counted stream: one object for its whole life. */
  #stream: object = {}
  #handled = 0
  #acknowledged = 0
  #unacknowledged: Unacknowledged[] = []

  constructor(settings: DeviceSettings) {
    this.account = settings.account
    this.name = `${settings.account}-${settings.number}`
    this.#settings = settings
  }
  get isOnline(): boolean {
    return this.#isOnline
  }
  get isSettled(): boolean {
    return this.#unacknowledged.every(({ message }) => message === undefined)
  }

  async comes(): Promise<void> {
    const before = this.#connection
    if (before !== undefined) this.#going.add(before)
    this.#isOnline = false
    let connection: XmppConnection | undefined
    try {
      connection = await XmppConnection.open(this.#settings.connection)
      this.#connection = connection
      await logIn(connection, { username: this.account, password: this.#settings.password })
      if (!(await this.#resumes(connection))) await this.#begins(connection)
    } catch (error) {
      connection?.destroy()
      if (!this.#settings.isDisturbed()) this.#wrong(`could not come: ${String(error)}`)
      return
    }
    this.#isOnline = true
    this.#gone = this.#lives(connection)
    this.#settings.changed()
    this.fills()
  }
  async #resumes(connection: XmppConnection): Promise<boolean> {
    if (this.#smid === undefined) return false
    connection.write(`<resume xmlns='${NS_SM}' previd='${this.#smid}' h='${this.#handled}'/>`)
    const answer = await connection.element()
    const { h } = answer.attrs
    if (h !== undefined && Number(h) > this.#acknowledged) this.#ackTo(Number(h))
    if (answer.name !== 'resumed') {
      this.#settings.ledger.lostStreams++
      return false
    }
    this.#settings.ledger.resumed++
    for (const { xml } of this.#unacknowledged) connection.write(xml)
    return true
  }
  async #begins(connection: XmppConnection): Promise<void> {
    const jid = await bind(connection, `d${this.#settings.number}`)
    connection.write(`<enable xmlns='${NS_SM}' resume='true'/>`)
    const answer = await connection.element()
    if (answer.name !== 'enabled') throw new Error(`expected enabled, got ${write(answer)}`)
    this.#smid = answer.attrs.id
    this.#stream = {}
    this.#handled = 0
    this.#acknowledged = 0
    const again = this.#unacknowledged.flatMap(({ message }) => (message === undefined ? [] : [message]))
    this.#unacknowledged = []
    this.#send(connection, { xml: '<presence/>', message: undefined })
    for (const { to } of again) this.#says(connection, to)
    if (again.length > 0) connection.write(`<r xmlns='${NS_SM}'/>`)
    // What comes before the server knows of the device is not for it.
    for (let e: Element | undefined; e?.name !== 'presence' || e.attrs.from !== jid; ) {
      e = await connection.element()
      this.#hears(connection, e)
    }
  }
  async #lives(connection: XmppConnection): Promise<void> {
    for (;;) {
      const incoming = await connection.nextEver()
      if (incoming.kind === 'closed') break
      if (incoming.kind === 'element' && this.#connection === connection) this.#hears(connection, incoming.element)
    }
    if (this.#connection !== connection) return
    if (!this.#settings.isDisturbed() && !this.#going.has(connection)) this.#wrong('was disconnected')
    this.#isOnline = false
    this.#settings.changed()
  }

  cuts(how: Cut): void {
    const connection = this.#connection
    if (connection === undefined || !this.#isOnline) return
    this.#going.add(connection)
    // Half a message, as a network leaves it.
    if (how === 'inside a stanza') connection.write(`<message to='${this.account}' id='torn'><body>torn`)
    if (how === 'half closed') connection.half()
    else connection.destroy()
  }
  async leaves(): Promise<void> {
    const connection = this.#connection
    if (connection === undefined || !this.#isOnline) return
    this.#going.add(connection)
    this.#smid = undefined
    connection.write(`<a xmlns='${NS_SM}' h='${this.#handled}'/></stream:stream>`)
    await this.#gone
  }

  fills(): void {
    const connection = this.#connection
    if (connection === undefined || !this.#isOnline || this.#going.has(connection)) return
    let sent = 0
    while (this.#unacknowledged.length < WINDOW) {
      const to = this.#settings.next(this.account)
      if (to === undefined) break
      this.#says(connection, to)
      sent++
    }
    if (sent > 0) connection.write(`<r xmlns='${NS_SM}'/>`)
  }
  #says(connection: XmppConnection, to: string): void {
    const id = this.#settings.ledger.sends(this.name, to)
    const address = `${to}@${this.#settings.connection.domain}`
    const xml = `<message to='${address}' type='chat' id='${id}'><body>A message of the fault test</body></message>`
    this.#send(connection, { xml, message: { id, to } })
  }
  #send(connection: XmppConnection, stanza: Unacknowledged): void {
    this.#unacknowledged.push(stanza)
    connection.write(stanza.xml)
  }
  #hears(connection: XmppConnection, e: Element): void {
    if (e.ns === NS_SM) {
      if (e.name === 'a') {
        this.#ackTo(Number(e.attrs.h))
        this.fills()
      } else if (e.name === 'r') connection.write(`<a xmlns='${NS_SM}' h='${this.#handled}'/>`)
      return
    }
    if (e.ns !== 'jabber:client') {
      // Its own resumption ended the stream that stood, and the server's end the others.
      if (!write(e).includes('<conflict') && !this.#settings.isDisturbed()) this.#wrong(`got ${write(e)}`)
      return
    }
    this.#handled++
    if (e.name === 'message') this.#message(e)
    if (this.#settings.random.chance(1 / ACK_EVERY)) connection.write(`<a xmlns='${NS_SM}' h='${this.#handled}'/>`)
  }
  #message(e: Element): void {
    const { id = '', type } = e.attrs
    if (type === 'error') {
      this.#wrong(`was refused ${id}: ${write(e)}`)
      return
    }
    let logId: string | undefined
    let delayed = false
    for (const child of e.children) {
      if (typeof child === 'string') continue
      if (child.ns === 'urn:xmpp:sid:0' && child.name === 'stanza-id') logId = child.attrs.id
      if (child.ns === 'urn:xmpp:delay' && child.attrs.from === this.#settings.connection.domain) delayed = true
    }
    this.#settings.ledger.arrives(this.name, this.#stream, id, logId, delayed)
  }
  #ackTo(h: number): void {
    const count = h - this.#acknowledged
    if (count < 0 || count > this.#unacknowledged.length) {
      this.#wrong(`h ${h} after ${this.#acknowledged}, with ${this.#unacknowledged.length} under way`)
      return
    }
    this.#acknowledged = h
    for (const { message } of this.#unacknowledged.splice(0, count))
      if (message !== undefined) this.#settings.ledger.acknowledges(message.id)
  }
  #wrong(what: string): void {
    this.#settings.ledger.faults.push(`${this.name} ${what}`)
    this.#settings.ledger.happened()
  }
}
