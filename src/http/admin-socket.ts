import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import { type Admin, AdminError, type AdminFault } from '../contract/admin.ts'
import { StartError } from '../util/start-error.ts'
import { CALLS, perform } from './admin-calls.ts'
import { boundedServer, closed, listening } from './listener.ts'

/** Longer requests are refused; the largest call is a secret key. */
export const MAX_BODY = 64 * 1024
/** `sockaddr_un.sun_path` of Linux, less its end. */
const MAX_PATH = 107

const STATUS: Readonly<Record<AdminFault, number>> = { invalid: 400, 'not-found': 404, exists: 409, unavailable: 503 }

/** Where the running server of a data folder listens for its operator. */
export const socketPath = (dataDir: string): string => join(dataDir, 'admin.sock')

/**
 * Serves an Admin to this user alone (mode 0600): `POST /<call>` with a JSON list of arguments.
 * @throws StartError when another server listens there
 */
export async function serveAdmin(dataDir: string, admin: Admin): Promise<{ close(): Promise<void> }> {
  const path = socketPath(dataDir)
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new StartError(`data_dir: ${path} is too long for a socket, which may have ${MAX_PATH} bytes`)
  }
  if (await isAnswered(path)) throw new StartError(`data_dir: another server is running on ${dataDir}`)
  const server = boundedServer({ maxHeaderBytes: 4096, headerTimeoutMs: 10_000 }, (request, response) => {
    answer(admin, request).then(
      (result) => send(response, 200, { result }),
      (error: unknown) => refuse(response, error),
    )
  })
  try {
    // With a database of its own the server keeps nothing here but the socket.
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    rmSync(path, { force: true })
    await listening(server, () => {
      const umask = process.umask(0o177)
      try {
        server.listen(path)
      } finally {
        process.umask(umask)
      }
    })
    chmodSync(path, 0o600)
  } catch (error) {
    throw new StartError(`data_dir: the operator's socket cannot be made in ${dataDir} (${String(error)})`, {
      cause: error,
    })
  }
  return { close: () => closed(server) }
}

/** True when somebody accepts connections at the path; a socket left behind by a crash has nobody. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function answer(admin: Admin, request: IncomingMessage): Promise<unknown> {
  const name = request.url?.slice(1) ?? ''
  if (request.method !== 'POST' || !isCall(name)) throw new AdminError('not-found', 'there is no such call')
  const body = await read(request)
  try {
    return await perform(admin, name, JSON.parse(body))
  } catch (error) {
    if (error instanceof SyntaxError) throw new AdminError('invalid', 'the arguments are no JSON', { cause: error })
    if (error instanceof z.ZodError)
      throw new AdminError('invalid', `the arguments of ${name} do not fit`, { cause: error })
    throw error
  }
}

const isCall = (name: string): name is keyof Admin => Object.hasOwn(CALLS, name)

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY) throw new AdminError('invalid', `a call may have ${MAX_BODY} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function refuse(response: ServerResponse, error: unknown): void {
  const known =
    error instanceof AdminError ? error : new AdminError('unavailable', 'the server failed; its log says why')
  send(response, STATUS[known.fault], { fault: known.fault, message: known.message })
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  })
  response.end(text)
}
