import { createServer, type RequestListener, type Server } from 'node:http'
import { type Address, formatAddress } from '../config/units.ts'
import { listenFault } from '../util/start-error.ts'

export interface HttpLimits {
  readonly maxHeaderBytes: number
  readonly headerTimeoutMs: number
}

/** A listening HTTP server. */
export interface HttpListener {
  readonly address: Address
  /** Stops accepting, lets running requests end, drops idle connections. */
  close(): Promise<void>
}

/** An HTTP server bounded in header size, time and connections. */
export function boundedServer(limits: HttpLimits, answer: RequestListener): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headerTimeoutMs,
      requestTimeout: limits.headerTimeoutMs + 5_000,
      connectionsCheckingInterval: Math.min(limits.headerTimeoutMs, 5_000),
      keepAliveTimeout: 5_000,
    },
    answer,
  )
  server.maxConnections = 256
  server.maxRequestsPerSocket = 1_000
  return server
}

/** @param key the config key, for the message. @throws StartError when the address cannot be had */
export async function listen(server: Server, key: string, address: Address): Promise<HttpListener> {
  try {
    await listening(server, () => server.listen({ host: address.host, port: address.port }))
  } catch (error) {
    throw listenFault(key, formatAddress(address), error)
  }
  const bound = server.address()
  return {
    address: { host: address.host, port: typeof bound === 'object' && bound !== null ? bound.port : address.port },
    close: () => closed(server),
  }
}

/** Settles when the server listens, or rejects with what stopped it. */
export function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    start()
  })
}

/** Settles when the last request has been answered; who takes longer than two seconds is cut off. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), 2_000)
    server.close(() => {
      clearTimeout(cut)
      resolve()
    })
    server.closeIdleConnections()
  })
}
