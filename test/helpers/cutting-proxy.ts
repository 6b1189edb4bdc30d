import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** `ReadyForQuery`, the last message of each of PostgreSQL's answers (PostgreSQL, chapter Message Formats). */
const READY = 0x5a

/** A stretch of network before a PostgreSQL server, which may be cut. */
export interface CuttingProxy {
  readonly url: string
  /** The server does what it is asked next and answers, but the answer is lost with the connection. */
  cutNextAnswer(): void
  /** Nothing gets through any more, and nothing breaks; until `flows`. */
  stalls(): void
  /** All connections break and new ones are refused; until `flows`. */
  refuses(): Promise<void>
  /** Each piece of an answer takes so many ms; until `flows`. */
  crawls(ms: number): void
  flows(): Promise<void>
  close(): Promise<void>
}

export async function cuttingProxy(databaseUrl: string): Promise<CuttingProxy> {
  const behind = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let armed = false
  let isStalled = false
  let delayMs = 0
  const server = createServer((client) => {
    const upstream = connect(Number(behind.port), behind.hostname)
    let cutting = false
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      if (isStalled) socket.pause()
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (data) => {
      cutting ||= armed
      armed = false
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (!cutting && delayMs === 0) client.write(data)
      else if (!cutting) {
        upstream.pause()
        setTimeout(() => {
          client.write(data)
          if (!isStalled) upstream.resume()
        }, delayMs)
      } else if (data.at(-6) === READY) client.destroy()
    })
  })
  const listen = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }
  await listen(0)
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    cutNextAnswer: () => {
      armed = true
    },
    stalls: () => {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    refuses: stop,
    crawls: (ms) => {
      delayMs = ms
    },
    flows: async () => {
      isStalled = false
      delayMs = 0
      for (const socket of sockets) socket.resume()
      if (!server.listening) await listen(port)
    },
    close: stop,
  }
}
