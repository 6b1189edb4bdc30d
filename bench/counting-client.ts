import type { Element } from '../src/xmpp/element.ts'
import { bind, type Login, logIn, NS_SM } from '../test/helpers/login.ts'
import { type ConnectionSettings, DEADLINE_MS, describe, XmppConnection } from '../test/helpers/xmpp-connection.ts'

/** A client with stream management that reads whatever comes at once and answers the server's questions. */
export class CountingClient {
  readonly jid: string
  readonly #connection: XmppConnection
  readonly #hears: (stanza: Element) => void
  readonly #reading: Promise<void>
  #handled = 0
  #answered: (() => void) | undefined
  #end: string | undefined

  private constructor(connection: XmppConnection, jid: string, hears: (stanza: Element) => void) {
    this.#connection = connection
    this.jid = jid
    this.#hears = hears
    this.#reading = this.#read()
  }
  static async open(
    settings: ConnectionSettings,
    login: Login,
    resource: string,
    hears: (stanza: Element) => void = () => {},
  ): Promise<CountingClient> {
    const c = await XmppConnection.open(settings)
    await logIn(c, login)
    const jid = await bind(c, resource)
    c.write(`<enable xmlns='${NS_SM}'/>`)
    const answer = await c.element()
    if (answer.name !== 'enabled') throw new Error(`${jid}: no stream management`)
    return new CountingClient(c, jid, hears)
  }

  send(xml: string): void {
    this.#connection.write(xml)
  }
  /** Until the server has dealt with all that was sent, and all that it wrote to this client before has come. @throws Error */
  async roundTrip(): Promise<void> {
    this.#connection.write(`<r xmlns='${NS_SM}'/>`)
    await new Promise<void>((resolve, reject) => {
      const late = (): void => reject(new Error(`${this.jid}: no answer (${this.#end ?? 'still connected'})`))
      const timer = setTimeout(late, DEADLINE_MS)
      this.#answered = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
  async close(): Promise<void> {
    this.#connection.write('</stream:stream>')
    await this.#reading
  }

  async #read(): Promise<void> {
    for (;;) {
      const incoming = await this.#connection.nextEver()
      if (incoming.kind === 'closed') {
        this.#end = describe(incoming)
        return
      }
      if (incoming.kind !== 'element') continue
      const e = incoming.element
      if (e.ns !== NS_SM) {
        this.#handled++
        this.#hears(e)
      } else if (e.name === 'r') this.#connection.write(`<a xmlns='${NS_SM}' h='${this.#handled}'/>`)
      else if (e.name === 'a') this.#answered?.()
    }
  }
}
