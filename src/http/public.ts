import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import type { Address } from '../config/units.ts'
import type { HttpAnswer, HttpRequest, Route } from '../contract/route.ts'
import type { Proxies } from '../net/proxies.ts'
import { readProxyHeader } from '../net/proxy-protocol.ts'
import { StoreError } from '../storage/sql.ts'
import { networkOf } from '../util/network.ts'
import { RateLimit } from '../util/rate-limit.ts'
import { type HttpListener, listen } from './listener.ts'
import { Routes } from './routes.ts'

export interface PublicLimits {
  readonly maxHeaderBytes: number
  readonly headerTimeoutMs: number
  /** For a whole request with its body. */
  readonly requestTimeoutMs: number
  /** Silence in the middle of a request or an answer. */
  readonly idleTimeoutMs: number
  readonly connections: number
  readonly connectionsPerAddress: number
  readonly requestsPerAddress: { readonly count: number; readonly perMs: number }
}
/** Why a connection or a request was turned away, for the metric. */
export type Refusal = 'connections' | 'connections-of-address' | 'proxy-header' | 'handshake' | 'rate'

export interface PublicOptions {
  readonly listen: readonly Address[]
  readonly https: readonly Address[]
  /** Connections from trusted proxies must begin with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean
  readonly proxies: Proxies
  readonly limits: PublicLimits
  readonly routes: readonly Route[]
  /** The certificate as it is now. */
  readonly secureContext: () => SecureContext
  /** Awaited before a handshake's own work. */
  readonly turn: () => Promise<void>
  readonly log: Logger
  readonly answered: (route: string, status: number) => void
  readonly refused: (why: Refusal) => void
}

/** The listening public server. */
export interface PublicHttp {
  readonly addresses: readonly { readonly kind: 'http' | 'https'; readonly address: Address }[]
  readonly connections: number
  /** Stops accepting, lets running requests end, drops idle connections. */
  close(): Promise<void>
}

/** Listens on every address; routes answer, everything else is refused. @throws StartError when an address cannot be had */
export async function listenPublic(options: PublicOptions): Promise<PublicHttp> {
  const site = new Site(options)
  const listeners: HttpListener[] = []
  const addresses: { readonly kind: 'http' | 'https'; readonly address: Address }[] = []
  const close = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.close()))
  }
  try {
    for (const [kind, key] of [
      ['http', 'listen'],
      ['https', 'https'],
    ] as const) {
      for (const address of options[key]) {
        const listener = await listen(site.server(kind), `http.public.${key}`, address)
        listeners.push(listener)
        addresses.push({ kind, address: listener.address })
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    addresses,
    get connections() {
      return site.connections
    },
    close,
  }
}

/** No sniffing, nothing runs, nothing is framed, nothing is kept: what a route wants otherwise it says. */
const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}
/** XEP-0363 section 9. */
const OPEN_HEADERS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
}
const KEEP_ALIVE_MS = 15_000
/** Of a body that nobody wanted: so much, and so long, is swallowed, so that the answer is read before the connection ends. */
const SWALLOWED_BYTES = 1_048_576
const SWALLOWED_MS = 2_000

class Site {
  readonly #options: PublicOptions
  readonly #routes: Routes
  readonly #rate: RateLimit
  /** Whose connection it is, where a proxy has said so. */
  readonly #sources = new WeakMap<Socket, string>()
  readonly #byNetwork = new Map<string, number>()
  connections = 0

  constructor(options: PublicOptions) {
    this.#options = options
    this.#routes = new Routes(options.routes)
    this.#rate = new RateLimit(options.limits.requestsPerAddress)
  }

  /** A server for one address, not listening yet. */
  server(kind: 'http' | 'https'): Server {
    const { limits } = this.#options
    const server = createServer({
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headerTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: Math.min(limits.headerTimeoutMs, 5_000),
      keepAliveTimeout: KEEP_ALIVE_MS,
      requireHostHeader: true,
      insecureHTTPParser: false,
      noDelay: true,
    })
    server.timeout = limits.idleTimeoutMs
    server.maxRequestsPerSocket = 10_000
    const safely = (socket: Socket, work: Promise<void>): void => {
      work.catch((error: unknown) => {
        this.#options.log.error({ err: error }, 'answer could not be sent')
        socket.destroy()
      })
    }
    const serve = (request: IncomingMessage, response: ServerResponse): void =>
      safely(request.socket, this.#serve(request, response))
    server.on('request', serve)
    // Whether the body is wanted is known when the route reads it.
    server.on('checkContinue', serve)
    server.on('checkExpectation', (request, response) =>
      safely(request.socket, this.#send(request, response, undefined, plain(417, 'no such expectation'))),
    )
    // Node's own listener takes over once it is known whose connection it is.
    const [take] = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      this.#accept(socket, kind).then(
        (ready) => ready !== undefined && take?.call(server, ready),
        () => socket.destroy(),
      )
    })
    return server
  }

  /** Undefined when the connection was turned away. */
  async #accept(raw: Socket, kind: 'http' | 'https'): Promise<Socket | undefined> {
    const { limits, proxies, proxyProtocol, refused } = this.#options
    const refuse = (why: Refusal): undefined => {
      refused(why)
      raw.destroy()
    }
    // Until somebody owns the socket, a reset must not bring the process down.
    raw.on('error', () => undefined)
    const peer = raw.remoteAddress
    if (peer === undefined) return undefined
    if (this.connections >= limits.connections) return refuse('connections')
    this.connections++
    raw.once('close', () => this.connections--)
    let source = peer
    if (proxyProtocol && proxies.trusts(peer)) {
      try {
        source = (await readProxyHeader(raw, limits.headerTimeoutMs)) ?? peer
      } catch {
        return refuse('proxy-header')
      }
    }
    if (!proxies.trusts(source) && !this.#enter(raw, networkOf(source))) return refuse('connections-of-address')
    if (kind === 'http') {
      this.#sources.set(raw, source)
      return raw
    }
    try {
      const secured = await this.#secure(raw)
      this.#sources.set(secured, source)
      return secured
    } catch {
      return refuse('handshake')
    }
  }
  #enter(raw: Socket, network: string): boolean {
    const open = this.#byNetwork.get(network) ?? 0
    if (open >= this.#options.limits.connectionsPerAddress || raw.destroyed) return false
    this.#byNetwork.set(network, open + 1)
    raw.once('close', () => {
      const left = (this.#byNetwork.get(network) ?? 1) - 1
      if (left === 0) this.#byNetwork.delete(network)
      else this.#byNetwork.set(network, left)
    })
    return true
  }
  async #secure(raw: Socket): Promise<TLSSocket> {
    const { limits, secureContext, turn } = this.#options
    const timer = setTimeout(() => raw.destroy(), limits.headerTimeoutMs)
    try {
      await turn()
      const socket = new TLSSocket(raw, {
        isServer: true,
        secureContext: secureContext(),
        ALPNProtocols: ['http/1.1'],
      })
      await new Promise<void>((resolve, reject) => {
        socket.once('secure', resolve)
        socket.once('error', reject)
        socket.once('close', () => reject(new Error('closed in the TLS handshake')))
      })
      return socket
    } finally {
      clearTimeout(timer)
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { proxies, log } = this.#options
    let route: Route | undefined
    let answer: HttpAnswer
    try {
      const peer = this.#sources.get(request.socket) ?? ''
      const forwarded = request.headers['x-forwarded-for']
      const ip = proxies.clientOf(peer, Array.isArray(forwarded) ? forwarded.join(',') : forwarded)
      const network = networkOf(ip)
      if (!this.#rate.has(network)) {
        this.#options.refused('rate')
        answer = { ...plain(429, 'too many requests'), headers: { ...TEXT, 'retry-after': '60' } }
      } else {
        this.#rate.spend(network)
        const target = targetOf(request.url ?? '')
        const found = target === undefined ? undefined : this.#routes.find(target.path)
        route = found?.route
        answer =
          target === undefined
            ? plain(400, 'no such path')
            : found === undefined
              ? plain(404, 'there is nothing here')
              : await answerOf(found.route, requestOf(request, response, found.params, target.query, ip))
      }
    } catch (error) {
      if (error === request.errored) answer = plain(400, 'the request did not come to its end')
      else {
        log.error({ err: error, route: route?.name }, 'http request failed')
        const isAway = error instanceof StoreError && error.fault === 'unavailable'
        answer = isAway ? plain(503, 'try again later') : plain(500, 'internal error')
      }
    }
    await this.#send(request, response, route, answer)
  }

  async #send(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route | undefined,
    { status, headers, body }: HttpAnswer,
  ): Promise<void> {
    this.#options.answered(route?.name ?? 'none', status)
    const isStream = body instanceof Readable
    if (response.destroyed || response.headersSent) {
      if (isStream) body.destroy()
      return
    }
    if (!request.complete) this.#swallow(request, response)
    response.writeHead(status, {
      ...SAFE_HEADERS,
      ...(route?.isOpen === true ? OPEN_HEADERS : {}),
      ...(isStream || status === 204 || status === 304 ? {} : { 'content-length': lengthOf(body) }),
      ...headers,
    })
    if (!isStream) return void response.end(body)
    if (request.method === 'HEAD') {
      body.destroy()
      return void response.end()
    }
    try {
      await pipeline(body, response)
    } catch (error) {
      // Who goes away in the middle is nobody's fault; the file that ends too early is ours.
      if (!request.socket.destroyed) this.#options.log.warn({ err: error, route: route?.name }, 'answer broken off')
      response.destroy()
    }
  }

  /** Reads a bit on, since a connection closed with bytes unread loses the answer; who sends much more is cut off. */
  #swallow(request: IncomingMessage, response: ServerResponse): void {
    let swallowed = 0
    const cut = (): void => void request.socket.destroy()
    request.on('data', (chunk: Buffer) => {
      swallowed += chunk.length
      if (swallowed > SWALLOWED_BYTES) cut()
    })
    request.on('error', () => undefined)
    response.once('finish', () => {
      if (request.complete) return
      const timer = setTimeout(cut, SWALLOWED_MS)
      request.once('close', () => clearTimeout(timer))
    })
  }
}

const TEXT = { 'content-type': 'text/plain; charset=utf-8' }
const plain = (status: number, text: string): HttpAnswer => ({ status, headers: TEXT, body: `${text}\n` })
const lengthOf = (body: string | Uint8Array | undefined): number =>
  typeof body === 'string' ? Buffer.byteLength(body) : (body?.length ?? 0)

/** Undefined for what is no path: an absolute address, an asterisk, characters that RFC 3986 does not allow in one. */
function targetOf(url: string): { readonly path: string; readonly query: URLSearchParams } | undefined {
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  if (!/^\/[\w\-.~!$&'()*+,;=:@%/]*$/.test(path)) return undefined
  return { path, query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)) }
}

const HOST = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::\d*)?$/i
function requestOf(
  request: IncomingMessage,
  response: ServerResponse,
  params: HttpRequest['params'],
  query: URLSearchParams,
  ip: string,
): HttpRequest {
  return {
    method: request.method ?? '',
    params,
    query,
    host: HOST.exec(request.headers.host ?? '')?.[1]?.toLowerCase() ?? '',
    ip,
    header: (name) => {
      const value = request.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    body: () => {
      if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue()
      // Who stops reading still has an answer to give.
      return request.iterator({ destroyOnReturn: false })
    },
  }
}

function answerOf(route: Route, request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
  const { method } = request
  const answer =
    method === 'GET' || method === 'HEAD'
      ? route.get
      : method === 'PUT'
        ? route.put
        : method === 'POST'
          ? route.post
          : undefined
  if (answer !== undefined) return answer(request)
  const allow = [
    ...(route.get === undefined ? [] : ['GET', 'HEAD']),
    ...(route.put === undefined ? [] : ['PUT']),
    ...(route.post === undefined ? [] : ['POST']),
    'OPTIONS',
  ].join(', ')
  if (method !== 'OPTIONS') return { ...plain(405, `only ${allow}`), headers: { ...TEXT, allow } }
  return {
    status: 204,
    headers: {
      allow,
      ...(route.isOpen === true
        ? {
            'access-control-allow-methods': allow,
            'access-control-allow-headers': 'content-type, range',
            'access-control-max-age': '86400',
          }
        : {}),
    },
  }
}
