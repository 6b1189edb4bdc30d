import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Address } from '../config/units.ts'
import { boundedServer, type HttpLimits, type HttpListener, listen } from './listener.ts'

/** One thing the server needs in order to serve. */
export interface Readiness {
  readonly name: string
  /** False, a throw or a rejection: not ready. */
  check(): boolean | Promise<boolean>
}

export interface OpsOptions extends HttpLimits {
  readonly listen: Address
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>
  readonly readiness: readonly Readiness[]
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}
const plain = (status: number, text: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  text: `${text}\n`,
})

/** Metrics and health for the operator: /metrics, /livez, /readyz; no login, nothing else. @throws StartError */
export function listenOps(options: OpsOptions): Promise<HttpListener> {
  const pages = new Map<string, () => Promise<Answer>>([
    ['/metrics', async () => ({ status: 200, ...(await options.metrics()) })],
    ['/livez', async () => plain(200, 'alive')],
    ['/readyz', () => readyz(options.readiness)],
  ])
  const server = boundedServer(options, (request, response) => {
    answer(pages, request).then(
      (result) => send(request, response, result),
      () => send(request, response, plain(500, 'internal error')),
    )
  })
  return listen(server, 'http.ops.listen', options.listen)
}

async function answer(pages: ReadonlyMap<string, () => Promise<Answer>>, request: IncomingMessage): Promise<Answer> {
  const path = request.url?.split('?', 1)[0] ?? ''
  const page = pages.get(path)
  if (page === undefined) return plain(404, `there is ${[...pages.keys()].join(', ')}`)
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'only GET and HEAD')
  return await page()
}

async function readyz(readiness: readonly Readiness[]): Promise<Answer> {
  const missing = await Promise.all(
    readiness.map(async ({ name, check }) => {
      try {
        return (await check()) ? undefined : name
      } catch {
        return name
      }
    }),
  )
  const names = missing.filter((name) => name !== undefined)
  return names.length === 0 ? plain(200, 'ready') : plain(503, `not ready: ${names.join(', ')}`)
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, text }: Answer): void {
  if (status === 405) response.setHeader('allow', 'GET, HEAD')
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
      ? { connection: 'close' }
      : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}
