import { connect, createServer } from 'node:net'
import { listening } from '../test/helpers/listening.ts'

/** Octets a TCP segment carries over a mobile network, with room for headers and tunnels. */
export const SEGMENT = 1_400

/** What came from a TLS server, as a network sees it. */
export interface Traffic {
  /** With the records' headers and seals, without those of TCP and IP. */
  readonly bytes: number
  /** TLS records; the server makes one, or more when it is long, of what it writes at once. */
  readonly records: number
  /** TCP segments of at most `SEGMENT` octets, where each record begins a new one. */
  readonly segments: number
}
export const NO_TRAFFIC: Traffic = { bytes: 0, records: 0, segments: 0 }

export const since = (a: Traffic, b: Traffic): Traffic => ({
  bytes: b.bytes - a.bytes,
  records: b.records - a.records,
  segments: b.segments - a.segments,
})

/** A proxy before a port of direct TLS that counts what the server sends. */
export class TlsMeter {
  /** Of all connections so far; may be set back, to forget what does not count. */
  traffic = NO_TRAFFIC
  readonly port: number
  readonly #server: ReturnType<typeof createServer>

  private constructor(server: ReturnType<typeof createServer>, port: number) {
    this.#server = server
    this.port = port
  }
  static async before(port: number): Promise<TlsMeter> {
    const server = createServer()
    const meter = new TlsMeter(server, await listening(server))
    server.on('connection', (client) => {
      const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
      client.setNoDelay(true)
      client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
      upstream.on('error', () => client.destroy())
      client.pipe(upstream)
      let rest = Buffer.alloc(0)
      upstream.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk])
        for (let size = recordSize(rest); size <= rest.length; size = recordSize(rest)) {
          meter.#count(size)
          rest = rest.subarray(size)
        }
      })
      upstream.pipe(client)
    })
    return meter
  }
  close(): void {
    this.#server.close()
  }
  #count(size: number): void {
    const { bytes, records, segments } = this.traffic
    this.traffic = { bytes: bytes + size, records: records + 1, segments: segments + Math.ceil(size / SEGMENT) }
  }
}

/** RFC 8446 §5.1: a header of five octets, the last two of which are the length. */
const recordSize = (bytes: Buffer): number => (bytes.length < 5 ? Infinity : 5 + bytes.readUInt16BE(3))
