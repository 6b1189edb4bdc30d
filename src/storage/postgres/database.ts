import { Pool, type PoolClient, type QueryConfig, type QueryResult, types } from 'pg'
import { type Database, type Param, type Row, StoreError, type Transaction } from '../sql.ts'
import { isCollision, isLost, storeError } from './errors.ts'

/** Longest wait for a free connection, in ms. */
const CONNECT_TIMEOUT = 5_000
/** Longest run of one statement, in ms: the server's own limit, and later ours, for a server that does not answer at all. */
const STATEMENT_TIMEOUT = 15_000
const ANSWER_TIMEOUT = STATEMENT_TIMEOUT + 5_000
const IDLE_TIMEOUT = 60_000
/** The longest that a timer can have. */
const NO_TIMEOUT = 2 ** 31 - 1
const MAX_WAITING = 4_096
const MAX_TRIES = 10

/** int8 and numeric, which the driver gives as text because they may exceed 2^53; ours do not. */
const WIDE_NUMBERS: ReadonlySet<number> = new Set([20, 1700])

const BYTES = types.builtins.BYTEA
/** No Buffer, as on SQLite: its methods would work here and not there. */
const plainBytes = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)

/**
 * What every connection of ours is told. Our statements are few, keyed and prepared: planned once, by index even while a table
 * is young and its statistics say that a scan is cheap. A server that acknowledges before its log is on disk is overruled.
 */
const SESSION = `
  set plan_cache_mode = force_generic_plan; set enable_seqscan = off;
  select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database?…`, as libpq and `pg` read it. */
  readonly url: string
  readonly connections?: number
  /** Longest wait for the answer to a statement, in ms. */
  readonly answerMs?: number
}

/** `pg` behind `Database`: a pool, each text a named prepared statement, faults told apart. */
export class PostgresDatabase implements Database {
  readonly dialect = 'postgres'
  readonly #pool: Pool
  readonly #answerMs: number
  readonly #names = new Map<string, string>()

  constructor({ url, connections = 10, answerMs = ANSWER_TIMEOUT }: PostgresOptions) {
    this.#answerMs = answerMs
    this.#pool = new Pool({
      connectionString: url,
      max: connections,
      application_name: 'fernruf',
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      statement_timeout: STATEMENT_TIMEOUT,
      idleTimeoutMillis: IDLE_TIMEOUT,
      keepAlive: true,
      types: {
        getTypeParser: (oid: number, format?: 'text' | 'binary') => {
          if (WIDE_NUMBERS.has(oid)) return Number
          const parse = types.getTypeParser(oid, format)
          return oid === BYTES ? (text: string) => plainBytes(parse(text)) : parse
        },
      },
      // oxlint-disable-next-line typescript/no-misused-promises -- the pool awaits it
      onConnect: async (client) => {
        await client.query(SESSION)
      },
    })
    // A connection that breaks while nobody uses it: the pool drops it, and whoever comes next gets a new one.
    this.#pool.on('error', () => {})
  }

  query<R = Row>(text: string, params: readonly Param[] = []): Promise<R[]> {
    return this.#lend((client) => this.#ask<R>(client, text, params))
  }

  transaction<T>(work: (sql: Transaction) => Promise<T>): Promise<T> {
    return this.#lend((client) => this.#transact(client, work))
  }

  async close(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end()
  }

  /** Lends a connection, which goes back to the pool unless it is broken; collisions with others are tried again. */
  async #lend<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#pool.waitingCount >= MAX_WAITING)
      throw new StoreError('unavailable', new Error('too many wait for a connection'))
    for (let tries = 1; ; tries++) {
      const client = await this.#pool.connect().catch((error: unknown) => {
        throw storeError(error)
      })
      let broken = false
      const onError = () => {
        broken = true
      }
      client.on('error', onError)
      try {
        return await use(client)
      } catch (error) {
        broken ||= isLost(error)
        if (!(error instanceof StoreError && isCollision(error.cause)) || tries === MAX_TRIES) throw error
      } finally {
        client.off('error', onError)
        client.release(broken)
      }
    }
  }

  async #transact<T>(client: PoolClient, work: (sql: Transaction) => Promise<T>): Promise<T> {
    await this.#ask(client, 'begin', [])
    try {
      const result = await work({
        dialect: this.dialect,
        query: (text, params = []) => this.#ask(client, text, params),
        script: (text) => this.#script(client, text),
      })
      await this.#commit(client)
      return result
    } catch (error) {
      // What matters is why we roll back; where the connection is lost, the server does it alone.
      if (!isLost(error)) await answered(client, { text: 'rollback' }, this.#answerMs).catch(() => {})
      throw error
    }
  }

  /** PostgreSQL answers COMMIT in a failed transaction with success and the tag ROLLBACK. */
  async #commit(client: PoolClient): Promise<void> {
    const result = await answered(client, { name: 'commit', text: 'commit' }, this.#answerMs)
    if (result.command !== 'COMMIT')
      throw new StoreError('refused', new Error('a statement of the transaction had failed'))
  }

  async #script(client: PoolClient, text: string): Promise<void> {
    await answered(client, { text: `set local statement_timeout = 0; ${text}` }, NO_TIMEOUT)
  }

  async #ask<R>(client: PoolClient, text: string, params: readonly Param[]): Promise<R[]> {
    const query = { name: this.#name(text), text, values: [...params] }
    return (await answered<R & Row>(client, query, this.#answerMs)).rows
  }

  #name(text: string): string {
    const name = this.#names.get(text) ?? `s${this.#names.size}`
    this.#names.set(text, name)
    return name
  }
}

/**
 * The answer to one statement. Not by the driver's promises and time limit, for which it assigns functions to a property: V8 puts
 * such a function among the old objects at once (`bench/results/README.md`), and all that hung on a statement would stay
 * until the next full collection. @throws StoreError
 */
function answered<R extends Row>(client: PoolClient, query: QueryConfig, ms: number): Promise<QueryResult<R>> {
  const { promise, resolve, reject } = Promise.withResolvers<QueryResult<R>>()
  const late = setTimeout(() => reject(storeError(new Error('no answer in time'))), ms)
  client.query<R>(query, (error: Error | null, result) => {
    clearTimeout(late)
    if (error === null) resolve(result)
    else reject(storeError(error))
  })
  return promise
}
