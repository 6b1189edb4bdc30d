import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { generate } from 'selfsigned'
import { secureServerSocket } from '../src/net/secure.ts'
import { publish, spread, table } from './report.ts'
import type { Task } from './tls-gather-client.ts'

const CONNECTIONS = 20
const BYTES = 300

type Secure = (raw: Socket) => Promise<TLSSocket>

/**
 * What do other clients pay for Kontalk's certificates? CPU of the server's thread per handshake and per echoed message, with
 * TLS started at once, after a look at the ClientHello, and with records gathered. Options: `--rounds N --secs S --handshakes N
 * --out FILE`.
 */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      secs: { type: 'string', default: '0.4' },
      handshakes: { type: 'string', default: '150' },
      out: { type: 'string' },
    },
  })
  const ways = await waysOf()
  const figures = new Map([...ways.keys()].map((way) => [way, { handshake: [] as number[], message: [] as number[] }]))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [way, secure] of ways) {
      const of = figures.get(way)
      const ms = Number(values.secs) * 1000
      of?.handshake.push(
        await measured(secure, (port) => ({ kind: 'handshakes', port, count: Number(values.handshakes) })),
      )
      of?.message.push(
        await measured(secure, (port) => ({ kind: 'echo', port, connections: CONNECTIONS, bytes: BYTES, ms })),
      )
    }
  }
  const rows = [...figures].map(([way, { handshake, message }]) => [way, spread(handshake, 0), spread(message, 2)])
  const text = [
    '# TLS: a look at the ClientHello, and gathered records',
    `Node ${process.version}, OpenSSL ${process.versions.openssl}, TLS 1.3, P-256, ${CONNECTIONS} connections echoing ${BYTES} bytes; CPU of the server's thread, median (lowest to highest) of ${values.rounds} rounds.`,
    table(['way', 'µs per handshake', 'µs per message'], rows),
  ].join('\n\n')
  await publish(text, values.out)
}

async function waysOf(): Promise<ReadonlyMap<string, Secure>> {
  const own = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec', curve: 'P-256' })
  const options = { cert: own.cert, key: own.private, sessionIdContext: 'bench' }
  const context = createSecureContext(options)
  const ticketless = createSecureContext({ ...options, secureOptions: 0x4000 })
  const atOnce = { isServer: true, secureContext: context, requestCert: true, rejectUnauthorized: false }
  return new Map<string, Secure>([
    ['at once', async (raw) => new TLSSocket(raw, atOnce)],
    ['looked at', (raw) => secureServerSocket(raw, { context, ticketless, always: false })],
    ['gathered', (raw) => secureServerSocket(raw, { context, ticketless, always: true })],
  ])
}

/** µs of this thread per unit of the task's work. */
async function measured(secure: Secure, task: (port: number) => Task): Promise<number> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (raw) => {
    raw.on('error', () => undefined)
    secure(raw).then(
      (socket) => {
        socket.on('error', () => undefined)
        socket.on('data', (chunk) => socket.write(chunk))
      },
      () => undefined,
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const workerData = task((server.address() as AddressInfo).port)
  const worker = new Worker(new URL('./tls-gather-client.ts', import.meta.url), { workerData })
  let begun = process.threadCpuUsage()
  const count = await new Promise<number>((resolve, reject) => {
    worker.on('error', reject)
    worker.on('message', (message: 'ready' | number) => {
      if (message === 'ready') begun = process.threadCpuUsage()
      else resolve(message)
    })
  })
  const { user, system } = process.threadCpuUsage(begun)
  await worker.terminate()
  server.close()
  return (user + system) / count
}
