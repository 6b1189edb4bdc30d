import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { parentPort, workerData } from 'node:worker_threads'

/** What the client's thread is asked to do. */
export type Task =
  | { readonly kind: 'handshakes'; readonly port: number; readonly count: number }
  | {
      readonly kind: 'echo'
      readonly port: number
      readonly connections: number
      readonly bytes: number
      readonly ms: number
    }

const opened = async (port: number): Promise<TLSSocket> => {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  return socket
}

/** Messages that came back. */
async function echo({ port, connections, bytes, ms }: Extract<Task, { kind: 'echo' }>): Promise<number> {
  const message = Buffer.alloc(bytes, 'x')
  const sockets = await Promise.all(Array.from({ length: connections }, () => opened(port)))
  parentPort?.postMessage('ready')
  const end = performance.now() + ms
  let count = 0
  await Promise.all(
    sockets.map(async (socket) => {
      let missing = 0
      socket.on('data', (chunk) => {
        missing -= chunk.length
        if (missing > 0) return
        count++
        if (performance.now() >= end) socket.destroy()
        else {
          missing = bytes
          socket.write(message)
        }
      })
      missing = bytes
      socket.write(message)
      await once(socket, 'close')
    }),
  )
  return count
}

/** One after the other, so that the server's share is not mixed with waiting. */
async function handshakes({ port, count }: Extract<Task, { kind: 'handshakes' }>): Promise<number> {
  for (let i = 0; i < count; i++) {
    const socket = await opened(port)
    socket.destroy()
  }
  return count
}

const task = workerData as Task
parentPort?.postMessage(task.kind === 'echo' ? await echo(task) : await handshakes(task))
