import { connect, createServer, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { listening } from './listening.ts'

/**
 * A proxy before a TLS server that hands on the client's records one by one: each only after the server has read the one before.
 * `accepted` gives the server's side of a connection.
 */
export async function splittingProxy(
  port: number,
  accepted: () => Promise<Socket>,
): Promise<{ port: number; close(): void }> {
  const server = createServer((client) => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    upstream.pipe(client)
    const peer = accepted()
    const records: Buffer[] = []
    let rest = Buffer.alloc(0)
    let written = 0
    let isSending = false
    const send = async (): Promise<void> => {
      const socket = await peer
      for (let next = records.shift(); next !== undefined; next = records.shift()) {
        upstream.write(next)
        written += next.length
        while (socket.bytesRead < written && !socket.destroyed) await turn()
      }
      isSending = false
    }
    client.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      for (let size = recordSize(rest); size <= rest.length; size = recordSize(rest)) {
        records.push(rest.subarray(0, size))
        rest = rest.subarray(size)
      }
      if (isSending) return
      isSending = true
      void send()
    })
    client.on('end', () => upstream.end())
  })
  return { port: await listening(server), close: () => server.close() }
}

const recordSize = (bytes: Buffer): number => (bytes.length < 5 ? Infinity : 5 + bytes.readUInt16BE(3))
