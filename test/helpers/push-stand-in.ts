import { createHmac, timingSafeEqual } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An operator's gateway for wake-ups on loopback; it checks signature and form of all that comes. */
export interface PushStandIn {
  /** The section `features.push`. */
  readonly config: { readonly webhook: object; readonly sender_id: string }
  readonly secret: string
  /** Bodies that came, in order. */
  readonly seen: readonly string[]
  /** What was wrong with them; to be empty at a test's end. */
  readonly faults: readonly string[]
  /** Tokens that were woken, in order. */
  readonly woken: readonly string[]
  /** What it answers to a token. */
  status: (token: string) => number
  /** Settles when the token has been woken so many times in all. */
  wakes(token: string, times?: number): Promise<void>
  close(): void
}

const MAX_AGE_SECONDS = 60

export async function startPushGateway(): Promise<PushStandIn> {
  const secret = 'the secret of the gateway'
  const seen: string[] = []
  const faults: string[] = []
  const woken: string[] = []
  const events = new EventEmitter().setMaxListeners(100)
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const time = String(request.headers['fernruf-timestamp'])
      const expected = `v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`
      const given = String(request.headers['fernruf-signature'])
      if (given.length !== expected.length || !timingSafeEqual(Buffer.from(given), Buffer.from(expected)))
        faults.push('signature')
      if (Math.abs(Date.now() / 1000 - Number(time)) > MAX_AGE_SECONDS) faults.push('time')
      const { token, ...rest } = JSON.parse(body) as { token: string }
      const fixed = { provider: 'gcm', action: 'org.kontalk.CHECK_MESSAGES', collapse_key: 'new', priority: 'high' }
      if (JSON.stringify(rest) !== JSON.stringify(fixed)) faults.push(`form ${body}`)
      seen.push(body)
      woken.push(token)
      response.writeHead(gateway.status(token)).end()
      events.emit('woken')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/wake`
  const gateway: PushStandIn = {
    config: { webhook: { url, secret }, sender_id: '123456789012' },
    secret,
    seen,
    faults,
    woken,
    status: () => 204,
    wakes: async (token, times = 1) => {
      while (woken.filter((one) => one === token).length < times) await once(events, 'woken')
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  return gateway
}
