import { createHash, X509Certificate } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls'
import { SaxesParser } from 'saxes'
import type { Element } from '../../src/xmpp/element.ts'
import { attributesOf, write } from './match-element.ts'
import type { Log } from './transcript.ts'

export const NS_STREAMS = 'http://etherx.jabber.org/streams'
export const NS_STREAM_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams'
export const NS_TLS = 'urn:ietf:params:xml:ns:xmpp-tls'

/** How long anything that must come may take. Generous: a loaded machine is no failure. */
export const DEADLINE_MS = 10_000

export type Incoming =
  | { readonly kind: 'header'; readonly attrs: Readonly<Record<string, string>> }
  | { readonly kind: 'element'; readonly element: Element }
  | { readonly kind: 'footer' }
  | { readonly kind: 'closed'; readonly error: Error | undefined }

export interface ConnectionSettings {
  readonly port: number
  readonly host?: string
  readonly domain: string
  /** Direct TLS (XEP-0368) instead of STARTTLS. */
  readonly directTls?: boolean
  /** PEM of a client certificate shown in TLS. */
  readonly certificate?: { readonly cert: string; readonly key: string }
  readonly tls?: ConnectionOptions
  /** An address of this machine to connect from; loopback has many. */
  readonly localAddress?: string
  readonly log?: Log
}

interface Growing {
  name: string
  ns: string
  attrs: Record<string, string>
  children: (Growing | string)[]
}

/**
 * A client's end of one stream, as low as a test needs it: bytes out, elements in. What comes in is read by a strict parser
 * that shares nothing with the server's.
 */
export class XmppConnection {
  readonly settings: ConnectionSettings
  readonly #log: Log
  readonly #arrived: Incoming[] = []
  #waiting: ((incoming: Incoming) => void) | undefined
  #socket: Socket | TLSSocket
  #parser = new SaxesParser({ xmlns: true })
  #decoder = new TextDecoder('utf-8', { fatal: true })
  #ended = false
  #paused = false

  private constructor(settings: ConnectionSettings, socket: Socket | TLSSocket) {
    this.settings = settings
    this.#log = settings.log ?? (() => {})
    this.#socket = socket
    this.#attach(socket)
    this.#newParser()
  }

  /** Connects; with `directTls` through the handshake. No header is sent yet. */
  static async open(settings: ConnectionSettings): Promise<XmppConnection> {
    const host = settings.host ?? '127.0.0.1'
    if (settings.directTls !== true) {
      const socket = connectTcp({ host, port: settings.port, noDelay: true, ...from(settings) })
      await once(socket, 'connect')
      return new XmppConnection(settings, socket)
    }
    const tcp = connectTcp({ host, port: settings.port, noDelay: true, ...from(settings) })
    const socket = connectTls({ socket: tcp, ALPNProtocols: ['xmpp-client'], ...tlsOptions(settings) })
    await once(socket, 'secureConnect')
    return new XmppConnection(settings, socket)
  }

  get tls(): TLSSocket | undefined {
    return this.#socket instanceof TLSSocket ? this.#socket : undefined
  }
  /** True once the socket is gone. */
  get ended(): boolean {
    return this.#ended
  }

  /** Sends bytes as they are. */
  write(data: string | Uint8Array): void {
    this.#log('sends', typeof data === 'string' ? data : `${data.length} bytes`)
    this.#socket.write(data)
  }
  /** Sends bytes one by one, each in a write of its own, waiting until each has left. */
  async drip(data: string | Uint8Array): Promise<void> {
    for (const byte of Buffer.from(data)) {
      if (this.#ended) return
      await new Promise<void>((done) => this.#socket.write(Uint8Array.of(byte), () => done()))
    }
  }
  /** Settles when everything written so far has left this process, or the connection has ended. */
  async drained(): Promise<void> {
    if (this.#ended || this.#socket.writableLength === 0) return
    // The callback is called with an error when the socket is destroyed meanwhile.
    await new Promise<void>((done) => this.#socket.write('', () => done()))
  }
  /** Stops reading, so that the server's writes pile up. */
  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }
  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  /** The next thing that comes. @throws Error when nothing comes in time */
  next(): Promise<Incoming> {
    const first = this.#arrived.shift()
    if (first !== undefined) return Promise.resolve(first)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = undefined
        reject(new Error(`nothing came within ${DEADLINE_MS} ms`))
      }, DEADLINE_MS)
      this.#waiting = (incoming) => {
        clearTimeout(timer)
        this.#waiting = undefined
        resolve(incoming)
      }
    })
  }
  /** The next thing that comes, however long it takes. */
  nextEver(): Promise<Incoming> {
    const first = this.#arrived.shift()
    if (first !== undefined) return Promise.resolve(first)
    return new Promise((resolve) => {
      this.#waiting = (incoming) => {
        this.#waiting = undefined
        resolve(incoming)
      }
    })
  }
  /** The next element. @throws Error when something else comes, or a stream error */
  async element(): Promise<Element> {
    const incoming = await this.next()
    if (incoming.kind !== 'element') throw new Error(`expected an element, got ${describe(incoming)}`)
    return incoming.element
  }

  /** Sends a stream header and reads the server's. @returns the attributes of the server's header */
  async openStream(attrs: Readonly<Record<string, string>> = {}): Promise<Readonly<Record<string, string>>> {
    this.#newParser()
    this.write(streamHeader({ to: this.settings.domain, ...attrs }))
    const incoming = await this.next()
    if (incoming.kind !== 'header') throw new Error(`expected a stream header, got ${describe(incoming)}`)
    return incoming.attrs
  }
  async features(): Promise<Element> {
    const e = await this.element()
    if (e.name !== 'features' || e.ns !== NS_STREAMS) throw new Error(`expected features, got ${write(e)}`)
    return e
  }
  /** Header, features, STARTTLS, handshake; the next header is the caller's. */
  async startTls(): Promise<void> {
    await this.openStream()
    const features = await this.features()
    if (!features.children.some((c) => typeof c !== 'string' && c.name === 'starttls' && c.ns === NS_TLS))
      throw new Error('the server offers no STARTTLS')
    this.write(`<starttls xmlns='${NS_TLS}'/>`)
    const answer = await this.element()
    if (answer.name !== 'proceed' || answer.ns !== NS_TLS) throw new Error(`expected proceed, got ${write(answer)}`)
    await this.upgrade()
  }
  /** The TLS handshake on the connection as it is. */
  async upgrade(): Promise<void> {
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('close')
    const secure = connectTls({ socket: plain, ...tlsOptions(this.settings) })
    await once(secure, 'secureConnect')
    this.#socket = secure
    this.#attach(secure)
    this.#newParser()
  }

  /** Reads on until the stream ends with this error and the connection is closed. @throws Error when anything else ends it */
  async endsWith(condition: string): Promise<Element> {
    let error: Element | undefined
    for (;;) {
      const incoming = await this.next()
      if (incoming.kind === 'element' && incoming.element.name === 'error' && incoming.element.ns === NS_STREAMS)
        error = incoming.element
      else if (incoming.kind === 'closed') break
    }
    if (error === undefined) throw new Error(`the connection was closed without the stream error ${condition}`)
    const names = error.children
      .filter((c): c is Element => typeof c !== 'string' && c.ns === NS_STREAM_ERRORS)
      .map((c) => c.name)
    if (!names.includes(condition)) throw new Error(`expected the stream error ${condition}, got ${write(error)}`)
    return error
  }
  /** Reads on until the connection is closed, whatever comes before. */
  async closes(): Promise<void> {
    while ((await this.next()).kind !== 'closed');
  }

  /** Ends the connection at once, as a lost network does. */
  destroy(): void {
    this.#log('does', '(connection lost)')
    this.#socket.destroy()
  }
  /** Sends a TCP FIN without closing the stream. */
  half(): void {
    this.#socket.end()
  }

  /** Channel binding data as RFC 9266 (`tls-exporter`) or RFC 5929 (`tls-server-end-point`) define them. */
  channelBinding(type: 'tls-exporter' | 'tls-server-end-point'): Uint8Array {
    const tls = this.tls
    if (tls === undefined) throw new Error('no TLS, no channel binding')
    if (type === 'tls-exporter') return tls.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
    const der = new X509Certificate(tls.getPeerCertificate().raw).raw
    return createHash('sha256').update(der).digest()
  }

  #attach(socket: Socket | TLSSocket): void {
    let failure: Error | undefined
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => {
      this.#ended = true
      this.#put({ kind: 'closed', error: failure })
    })
    if (this.#paused) socket.pause()
  }
  #put(incoming: Incoming): void {
    this.#log('hears', describe(incoming))
    if (this.#waiting !== undefined) this.#waiting(incoming)
    else this.#arrived.push(incoming)
  }
  #read(chunk: Buffer): void {
    if (this.#ended) return
    try {
      this.#parser.write(this.#decoder.decode(chunk, { stream: true }))
    } catch (error) {
      this.#ended = true
      this.#put({ kind: 'closed', error: new Error('the server sent bad XML', { cause: error }) })
      this.#socket.destroy()
    }
  }
  #newParser(): void {
    const path: Growing[] = []
    this.#decoder = new TextDecoder('utf-8', { fatal: true })
    const parser = new SaxesParser({ xmlns: true })
    this.#parser = parser
    parser.on('error', (error) => {
      throw error
    })
    parser.on('opentag', (tag) => {
      const attrs = attributesOf(tag)
      const e: Growing = { name: tag.local, ns: tag.uri, attrs, children: [] }
      if (path.length > 1) path.at(-1)?.children.push(e)
      path.push(e)
      if (path.length === 1) this.#put({ kind: 'header', attrs })
    })
    parser.on('text', (text) => {
      if (path.length > 1) path.at(-1)?.children.push(text)
    })
    parser.on('closetag', () => {
      const e = path.pop()
      if (path.length === 0) this.#put({ kind: 'footer' })
      else if (path.length === 1 && e !== undefined) this.#put({ kind: 'element', element: e })
    })
  }
}

export function streamHeader(attrs: Readonly<Record<string, string>>): string {
  const all = { version: '1.0', xmlns: 'jabber:client', 'xmlns:stream': NS_STREAMS, ...attrs }
  const written = Object.entries(all).filter(([, v]) => v !== '')
  return `<?xml version='1.0'?><stream:stream ${written.map(([k, v]) => `${k}='${v}'`).join(' ')}>`
}

export function describe(incoming: Incoming): string {
  if (incoming.kind === 'element') return write(incoming.element)
  if (incoming.kind === 'header')
    return `<stream:stream ${Object.entries(incoming.attrs)
      .map(([k, v]) => `${k}='${v}'`)
      .join(' ')}>`
  if (incoming.kind === 'footer') return '</stream:stream>'
  return `(closed${incoming.error === undefined ? '' : `: ${incoming.error.message}: ${String(incoming.error.cause ?? '')}`})`
}

const from = (settings: ConnectionSettings): { readonly localAddress?: string } =>
  settings.localAddress === undefined ? {} : { localAddress: settings.localAddress }

const tlsOptions = (settings: ConnectionSettings): ConnectionOptions => ({
  servername: settings.domain,
  rejectUnauthorized: false,
  ...settings.certificate,
  ...settings.tls,
})

function once(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} within ${DEADLINE_MS} ms`)), DEADLINE_MS)
    const failed = (error: Error): void => {
      clearTimeout(timer)
      reject(error)
    }
    const closed = (): void => failed(new Error(`closed before ${event}`))
    socket.once('error', failed)
    socket.once('close', closed)
    socket.once(event, () => {
      clearTimeout(timer)
      socket.off('error', failed)
      socket.off('close', closed)
      resolve()
    })
  })
}
