import { createServer, isIPv6, type Server, type Socket } from 'node:net'
import { listenFault } from '../util/start-error.ts'

export interface ConnectionLimits {
  readonly total: number
  readonly perAddress: number
  readonly beforeLogin: number
  readonly beforeLoginPerAddress: number
}

/** Counts the connections of this process, by address and by whether they have logged in. */
export class ConnectionCounts {
  readonly #limits: ConnectionLimits
  readonly #byNetwork = new Map<string, { open: number; before: number }>()
  #open = 0
  #before = 0

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
  }
  get open(): number {
    return this.#open
  }
  get beforeLogin(): number {
    return this.#before
  }
  /** False when one of the limits is reached; else the connection counts, as not logged in. */
  enter(network: string): boolean {
    const counts = this.#byNetwork.get(network) ?? { open: 0, before: 0 }
    const { total, perAddress, beforeLogin, beforeLoginPerAddress } = this.#limits
    if (this.#open >= total || this.#before >= beforeLogin) return false
    if (counts.open >= perAddress || counts.before >= beforeLoginPerAddress) return false
    counts.open++
    counts.before++
    this.#open++
    this.#before++
    this.#byNetwork.set(network, counts)
    return true
  }
  /** Once per connection, when it has logged in or ends before. */
  settled(network: string): void {
    const counts = this.#byNetwork.get(network)
    if (counts !== undefined) counts.before--
    this.#before--
  }
  left(network: string): void {
    const counts = this.#byNetwork.get(network)
    if (counts !== undefined && --counts.open === 0) this.#byNetwork.delete(network)
    this.#open--
  }
}

/** Listens on one address; `key` is the config key it comes from. @throws StartError when it cannot be had */
export async function listen(
  address: { readonly host: string; readonly port: number },
  key: string,
  accept: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 120_000, allowHalfOpen: true })
  server.on('connection', (socket) => {
    // Until somebody owns the socket, a reset must not bring the process down.
    socket.on('error', () => undefined)
    accept(socket)
  })
  await new Promise<void>((resolve, reject) => {
    const where = `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`
    server.once('error', (error) => reject(listenFault(key, where, error)))
    server.listen({ host: address.host, port: address.port, backlog: 1_024 }, resolve)
  })
  return server
}
