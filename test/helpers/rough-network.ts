import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Random } from './random.ts'

/** Bytes after which a connection meets its fate. */
const LIFE_BYTES: readonly [number, number] = [500, 60_000]
const DELAY_MS = 40

/** A stretch of network before a server. */
export interface RoughNetwork {
  readonly port: number
  /** Connections that it cut or truncated so far. */
  readonly cuts: number
  /** Whether it does what it does; until told it is calm. */
  rough(isRough: boolean): void
  close(): Promise<void>
}

/** Passes bytes on to 127.0.0.1, in their order: some late, and each connection only up to a random byte. */
export async function roughNetwork(port: number, random: Random): Promise<RoughNetwork> {
  const sockets = new Set<Socket>()
  let isRough = false
  let cuts = 0
  const server = createServer((client) => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    client.setNoDelay(true)
    let left = random.between(...LIFE_BYTES)
    const isTruncated = random.chance(0.5)
    const cut = (): void => {
      client.destroy()
      upstream.destroy()
    }
    const pass = (from: Socket, to: Socket): void => {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        // What was passed on still arrives; then the end of it.
        if (!to.destroyed) to.end()
      })
      const forward = (data: Buffer): void => {
        if (isRough) left -= data.length
        if (left <= 0) {
          cuts++
          if (isTruncated && !to.destroyed) to.write(data.subarray(0, random.between(0, data.length)), cut)
          else cut()
          return
        }
        if (!to.destroyed && !to.write(data)) {
          from.pause()
          to.once('drain', () => from.resume())
        }
      }
      from.on('data', (data) => {
        if (!isRough || !random.chance(0.1)) {
          forward(data)
          return
        }
        from.pause()
        setTimeout(
          () => {
            from.resume()
            forward(data)
          },
          random.between(0, DELAY_MS),
        )
      })
    }
    pass(client, upstream)
    pass(upstream, client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get cuts() {
      return cuts
    },
    rough: (is) => {
      isRough = is
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
