import { parentPort, workerData } from 'node:worker_threads'
import { StartError } from '../../util/start-error.ts'
import type { Row } from '../sql.ts'
import { commitBatch } from './commit-batch.ts'
import { type OpenFile, openFile } from './open-file.ts'
import { unpack } from './packed-batch.ts'
import type { Opened, Reply, Request, WorkerOptions } from './protocol.ts'
import { Statements } from './statements.ts'

/** Result codes (https://sqlite.org/rescode.html) by which SQLite says no to the statement itself. */
const REFUSALS: ReadonlySet<number> = new Set([1, 18, 19, 20, 25])

function reply(statements: Statements, file: OpenFile, request: Request): Reply {
  try {
    switch (request.kind) {
      case 'query':
        return { rows: statements.get(request.text).all(...request.params) as readonly Row[] }
      case 'script':
        statements.script(request.text)
        return { rows: [] }
      case 'commit':
        return { rows: commitBatch(statements, unpack(request.batch)) }
      case 'close':
        file.close()
        return { rows: [] }
    }
  } catch (error) {
    return faultOf(error)
  }
}

function faultOf(error: unknown): Reply {
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof Error && 'errcode' in error && typeof error.errcode === 'number')) {
    return { fault: 'refused', message }
  }
  return { fault: REFUSALS.has(error.errcode & 0xff) ? 'refused' : 'unavailable', message }
}

/** Opens the database and serves the main thread: an array of requests in, the array of their replies out. */
function serve(port: NonNullable<typeof parentPort>, { folder }: WorkerOptions): void {
  let file: OpenFile
  try {
    file = openFile(folder)
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    port.postMessage({ startError: error.message } satisfies Opened)
    return
  }
  const statements = new Statements(file.database)
  port.on('message', (requests: readonly Request[]) => {
    port.postMessage(requests.map((request) => reply(statements, file, request)))
    if (requests.at(-1)?.kind === 'close') port.close()
  })
  port.postMessage({ startError: undefined } satisfies Opened)
}

if (parentPort !== null) serve(parentPort, workerData as WorkerOptions)
