import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** `ReadyForQuery`, the last message of each of PostgreSQL's answers (PostgreSQL, chapter Message Formats). */
const READY = 0x5a

/** A stretch of network before a PostgreSQL server, which may be cut. */
export interface CuttingProxy {
  readonly url: string
  /** The server does what it is asked next and answers, but the answer is lost with the connection. */
  cutNextAnswer(): void
  close(): Promise<void>
}

export async function cuttingProxy(databaseUrl: string): Promise<CuttingProxy> {
  const behind = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let armed = false
  const server = createServer((client) => {
    const upstream = connect(Number(behind.port), behind.hostname)
    let cutting = false
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => other.destroy())
    }
    client.on('data', (data) => {
      cutting ||= armed
      armed = false
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (!cutting) client.write(data)
      else if (data.at(-6) === READY) client.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return {
    url: url.href,
    cutNextAnswer: () => {
      armed = true
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
