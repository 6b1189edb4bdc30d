import { connect, type TLSSocket } from 'node:tls'
import { type Agent, JXT, type Stanzas, type Transport, type TransportConfig } from 'stanza'

type Registry = ConstructorParameters<Agent['transports'][string]>[2]

/** Direct TLS for stanza, which itself brings WebSocket and BOSH only; XML, login and everything above remain its own. */
export class TlsTransport implements Transport {
  hasStream = false
  stream?: Stanzas.Stream
  authenticated = false
  readonly #client: Agent
  readonly #registry: Registry
  #config: TransportConfig | undefined
  #parser: InstanceType<typeof JXT.StreamParser> | undefined
  #socket: TLSSocket | undefined

  constructor(client: Agent, _sm: unknown, registry: Registry) {
    this.#client = client
    this.#registry = registry
  }

  connect(config: TransportConfig): void {
    this.#config = config
    const { hostname, port } = new URL(config.url ?? '')
    const socket = connect({
      host: hostname,
      port: Number(port),
      servername: config.server,
      ALPNProtocols: ['xmpp-client'],
    })
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.once('secureConnect', () => {
      this.#client.sm.started = false
      this.#client.emit('connected')
      this.#open()
    })
    socket.on('data', (text: string) => this.#parser?.write(text))
    socket.once('error', (error) => this.#client.emit('stream:error', { condition: 'connection-timeout' }, error))
    socket.once('close', () => {
      this.#socket = undefined
      if (this.#client.transport === this) this.#client.emit('--transport-disconnected')
    })
  }
  disconnect(cleanly = true): void {
    if (cleanly && this.hasStream) this.#socket?.end('</stream:stream>')
    else this.#socket?.destroy()
    this.hasStream = false
  }
  restart(): void {
    this.#open()
  }
  async send(name: string, data?: JXT.JSONData): Promise<void> {
    const text = data === undefined ? undefined : this.#registry.export(name, data)?.toString()
    if (text === undefined) return
    if (this.#socket === undefined) throw new Error('not connected')
    this.#socket.write(text)
  }

  /** Each stream is a document of its own. */
  #open(): void {
    const { server = '', lang = 'en', acceptLanguages = [] } = this.#config ?? {}
    const parser = new JXT.StreamParser({
      acceptLanguages,
      lang,
      registry: this.#registry,
      rootKey: 'stream',
      wrappedStream: true,
      allowComments: false,
    })
    this.#parser = parser
    parser.on('data', (read: { event?: string; kind: string; stanza: Stanzas.Stream }) => {
      if (read.event === 'stream-start') {
        this.hasStream = true
        this.stream = read.stanza
        this.#client.emit('stream:start', read.stanza)
      } else if (read.event === 'stream-end') {
        this.#client.emit('stream:end')
        this.disconnect()
      } else this.#client.emit('stream:data', read.stanza, read.kind)
    })
    parser.on('error', (error: Error) => {
      this.#client.emit('stream:error', { condition: 'invalid-xml' }, error)
      this.disconnect(false)
    })
    this.#socket?.write(
      `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' ` +
        `to='${server}' version='1.0' xml:lang='${lang}'>`,
    )
  }
}
