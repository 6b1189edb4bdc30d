import type { Element } from '../../src/xmpp/element.ts'
import type { Ledger } from './kill-ledger.ts'
import { bind, logIn, NS_SM } from './login.ts'
import { write } from './match-element.ts'
import { type ConnectionSettings, XmppConnection } from './xmpp-connection.ts'

/** Messages under way of one sender. */
const WINDOW = 40
const ASK_EVERY = 8

interface Device {
  readonly settings: ConnectionSettings
  readonly name: string
  readonly password: string
  readonly ledger: Ledger
}

/** Connects, authenticates; resumes when there is something to resume. @returns `h` of the lost stream when the server told it */
async function connects(
  device: Device,
  smid: string | undefined,
  handled: number,
): Promise<[XmppConnection, number | undefined]> {
  const connection = await XmppConnection.open(device.settings)
  await logIn(connection, { username: device.name, password: device.password })
  let h: number | undefined
  if (smid !== undefined) {
    connection.write(`<resume xmlns='${NS_SM}' previd='${smid}' h='${handled}'/>`)
    const answer = await connection.element()
    if (answer.name !== 'failed') throw new Error(`a stream came back to life after kill -9: ${write(answer)}`)
    h = answer.attrs.h === undefined ? undefined : Number(answer.attrs.h)
  }
  await bind(connection, 'device')
  return [connection, h]
}

async function enables(connection: XmppConnection): Promise<string | undefined> {
  connection.write(`<enable xmlns='${NS_SM}' resume='true'/>`)
  const answer = await connection.element()
  if (answer.name !== 'enabled') throw new Error(`expected enabled, got ${write(answer)}`)
  return answer.attrs.id
}

/** Sends numbered messages to receivers in turn, with XEP-0198, and after each crash again what was not acknowledged. */
export class Sender {
  readonly #device: Device
  readonly #receivers: readonly string[]
  readonly #numbers: number[]
  #turn = 0
  #smid: string | undefined
  /** Ids of messages that the server has not acknowledged, in order. */
  #unacked: string[] = []
  #acked = 0

  constructor(device: Device, receivers: readonly string[]) {
    this.#device = device
    this.#receivers = receivers
    this.#numbers = receivers.map(() => 0)
  }

  /** Sends until the connection is lost, or nothing is unacknowledged and `more` says no. @throws Error when refused */
  async lives(more: () => boolean): Promise<void> {
    const [connection, h] = await connects(this.#device, this.#smid, 0)
    // A lower bound: what it covers need not be sent again.
    if (h !== undefined && h > this.#acked) this.#ackTo(h)
    this.#smid = await enables(connection)
    this.#acked = 0
    for (const id of this.#unacked) this.#send(connection, id)
    if (this.#unacked.length > 0) connection.write(`<r xmlns='${NS_SM}'/>`)
    for (;;) {
      this.#fill(connection, more)
      if (this.#unacked.length === 0 && !more()) break
      const incoming = await connection.next()
      if (incoming.kind !== 'element') return
      this.#hear(connection, incoming.element)
    }
    this.#smid = undefined
    connection.write('</stream:stream>')
    await connection.closes()
  }

  #fill(connection: XmppConnection, more: () => boolean): void {
    let sent = 0
    while (this.#unacked.length < WINDOW && more()) {
      const turn = this.#turn++ % this.#receivers.length
      const number = this.#numbers[turn] ?? 0
      this.#numbers[turn] = number + 1
      const id = `${this.#device.name}-${this.#receivers[turn]}-${number}`
      this.#unacked.push(id)
      this.#send(connection, id)
      if (++sent % ASK_EVERY === 0) connection.write(`<r xmlns='${NS_SM}'/>`)
    }
  }
  #send(connection: XmppConnection, id: string): void {
    const receiver = id.split('-')[1]
    this.#device.ledger.sends(id)
    connection.write(
      `<message to='${receiver}@${this.#device.settings.domain}' type='chat' id='${id}'><body>A message of the kill test</body></message>`,
    )
  }
  #hear(connection: XmppConnection, e: Element): void {
    if (e.ns === NS_SM && e.name === 'a') this.#ackTo(Number(e.attrs.h))
    else if (e.ns === NS_SM && e.name === 'r') connection.write(`<a xmlns='${NS_SM}' h='0'/>`)
    else throw new Error(`${this.#device.name} got ${write(e)}`)
  }
  #ackTo(h: number): void {
    const count = h - this.#acked
    if (count < 0 || count > this.#unacked.length)
      throw new Error(`${this.#device.name}: h ${h} after ${this.#acked}, with ${this.#unacked.length} under way`)
    for (const id of this.#unacked.splice(0, count)) this.#device.ledger.acknowledges(id)
    this.#acked = h
  }
}

/** Receives with XEP-0198. */
export class Receiver {
  readonly #device: Device
  #smid: string | undefined
  #handled = 0

  constructor(device: Device) {
    this.#device = device
  }

  /** Receives until the connection is lost, or until `enough` settles; then it leaves with everything acknowledged. */
  async lives(enough?: Promise<void>): Promise<void> {
    const [connection] = await connects(this.#device, this.#smid, this.#handled)
    this.#smid = await enables(connection)
    this.#handled = 0
    connection.write('<presence/>')
    let leaving = false
    void enough?.then(() => {
      leaving = true
      if (connection.ended) return
      connection.write(`<a xmlns='${NS_SM}' h='${this.#handled}'/></stream:stream>`)
    })
    for (;;) {
      const incoming = await connection.nextEver()
      if (incoming.kind === 'element') this.#hear(connection, incoming.element)
      else if (incoming.kind === 'closed') break
      else if (incoming.kind === 'footer' && !leaving)
        throw new Error(`${this.#device.name}: the server closed the stream`)
    }
    if (leaving) this.#smid = undefined
  }

  #hear(connection: XmppConnection, e: Element): void {
    if (e.ns === NS_SM) {
      if (e.name === 'r') connection.write(`<a xmlns='${NS_SM}' h='${this.#handled}'/>`)
      return
    }
    if (e.ns !== 'jabber:client') throw new Error(`${this.#device.name} got ${write(e)}`)
    this.#handled++
    if (e.name === 'iq' && e.attrs.type === 'get')
      connection.write(`<iq type='result' id='${e.attrs.id}' to='${e.attrs.from}'/>`)
    if (e.name !== 'message') return
    const delayed = e.children.some((c) => typeof c !== 'string' && c.name === 'delay' && c.ns === 'urn:xmpp:delay')
    this.#device.ledger.arrives(e.attrs.id ?? '', delayed)
    if (this.#handled % 7 === 0) connection.write(`<a xmlns='${NS_SM}' h='${this.#handled}'/>`)
  }
}
