import { Worker } from 'node:worker_threads'
import { StartError } from '../../util/start-error.ts'
import type { CommittedLogs, PlannedBatch } from '../batch-plan.ts'
import { type Database, type Param, type Row, StoreError, type Transaction } from '../sql.ts'
import { handedOver, pack } from './packed-batch.ts'
import type { Opened, Reply, Request, WorkerOptions } from './protocol.ts'

const MAX_PENDING = 4_096

interface Asked {
  readonly request: Request
  readonly resolve: (rows: readonly Row[]) => void
  readonly reject: (error: StoreError) => void
}

/**
 * SQLite in a worker thread behind `Database`. One connection: requests run in the order given, and while a transaction is
 * open everybody else waits. What is asked in one turn of the event loop crosses in one message.
 */
export class SqliteDatabase implements Database {
  readonly dialect = 'sqlite'
  readonly #worker: Worker
  readonly #outbox: Asked[] = []
  readonly #sent: Asked[][] = []
  #pending = 0
  /** Resolves when the open transaction has ended. */
  #transaction: Promise<void> | undefined
  #lost: Error | undefined

  /** Opens the database in `folder`, or one in memory. @throws StartError */
  static async open(folder: string | undefined): Promise<SqliteDatabase> {
    const own = import.meta.url
    const worker = new Worker(new URL(own.endsWith('.ts') ? './worker.ts' : './worker.js', own), {
      workerData: { folder } satisfies WorkerOptions,
      // Options meant for the program's own entry, such as --input-type, would keep the thread from starting.
      execArgv: [],
    })
    const { promise, resolve, reject } = Promise.withResolvers<Opened>()
    worker.once('message', resolve)
    worker.once('error', reject)
    const { startError } = await promise
    worker.off('error', reject)
    if (startError !== undefined) {
      await worker.terminate()
      throw new StartError(startError)
    }
    return new SqliteDatabase(worker)
  }

  private constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (replies: readonly Reply[]) => this.#onReplies(replies))
    worker.on('error', (error) => this.#onLost(error))
    worker.on('exit', () => this.#onLost(new Error('the database is closed')))
  }

  async query<R = Row>(text: string, params: readonly Param[] = []): Promise<R[]> {
    return (await this.#whenFree(() => this.#ask({ kind: 'query', text, params }))) as R[]
  }

  /** Runs a whole batch of the log in one message and one transaction. */
  async commitBatch(batch: PlannedBatch): Promise<CommittedLogs> {
    const rows = await this.#whenFree(() => this.#ask({ kind: 'commit', batch: pack(batch) }))
    return new Map(
      rows.map((row) => [Number(row.account_id), { head: Number(row.head), prior: Number(row.prior) }] as const),
    )
  }

  transaction<T>(work: (sql: Transaction) => Promise<T>): Promise<T> {
    return this.#whenFree(async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#transaction = promise
      try {
        return await this.#transact(work)
      } finally {
        this.#transaction = undefined
        resolve()
      }
    })
  }

  async close(): Promise<void> {
    if (this.#lost !== undefined) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#worker.once('exit', () => resolve())
    await this.#whenFree(() => this.#ask({ kind: 'close' }))
    await promise
  }

  async #transact<T>(work: (sql: Transaction) => Promise<T>): Promise<T> {
    const ask = (text: string, params: readonly Param[]) => this.#ask({ kind: 'query', text, params })
    await ask('begin immediate', [])
    try {
      const result = await work({
        dialect: this.dialect,
        query: async <R>(text: string, params: readonly Param[] = []) => (await ask(text, params)) as R[],
        script: async (text) => {
          await this.#ask({ kind: 'script', text })
        },
      })
      await ask('commit', [])
      return result
    } catch (error) {
      // Some faults (a full disk) have ended the transaction already; what matters is why we roll back.
      await ask('rollback', []).catch(() => {})
      throw error
    }
  }

  /** Begins as soon as no transaction is open; nothing may come between that look and the first request of `begin`. */
  async #whenFree<T>(begin: () => Promise<T>): Promise<T> {
    if (this.#pending >= MAX_PENDING) throw new StoreError('unavailable', new Error('too many requests wait'))
    this.#pending++
    try {
      while (this.#transaction !== undefined) await this.#transaction
    } finally {
      this.#pending--
    }
    return begin()
  }

  #ask(request: Request): Promise<readonly Row[]> {
    if (this.#lost !== undefined) return Promise.reject(new StoreError('unavailable', this.#lost))
    const { promise, resolve, reject } = Promise.withResolvers<readonly Row[]>()
    this.#pending++
    if (this.#outbox.push({ request, resolve, reject }) === 1) queueMicrotask(() => this.#flush())
    return promise
  }

  #flush(): void {
    const asked = this.#outbox.splice(0)
    if (asked.length === 0) return
    this.#sent.push(asked)
    const requests = asked.map(({ request }) => request)
    this.#worker.postMessage(
      requests,
      requests.flatMap((request) => (request.kind === 'commit' ? handedOver(request.batch) : [])),
    )
  }

  #onReplies(replies: readonly Reply[]): void {
    const asked = this.#sent.shift() ?? []
    this.#pending -= asked.length
    for (const [i, { resolve, reject }] of asked.entries()) {
      const reply = replies[i]
      if (reply === undefined) reject(new StoreError('unavailable', new Error('the database did not answer')))
      else if ('rows' in reply) resolve(reply.rows)
      else reject(new StoreError(reply.fault, new Error(reply.message)))
    }
  }

  #onLost(error: Error): void {
    this.#lost ??= error
    for (const { reject } of [...this.#sent.splice(0).flat(), ...this.#outbox.splice(0)]) {
      reject(new StoreError('unavailable', this.#lost))
    }
  }
}
