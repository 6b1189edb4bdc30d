import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import test, { type TestContext } from 'node:test'
import { Client } from 'pg'
import { openStores, type StoreOptions, type Stores } from '../../src/storage/open.ts'
import { SEAL_BYTES } from '../../src/util/seal.ts'
import { KeyFile } from './operator-keys.ts'
import { sealedStores } from './sealed-stores.ts'

/** Where databases may be made and dropped, as `postgres://user@host:port/postgres`. */
const SERVER = process.env['FERNRUF_TEST_POSTGRES']
/** Any number that nobody else uses for an advisory lock. */
const TEMPLATE_LOCK = 7_300_311

export interface TestStores extends Stores {
  readonly dialect: 'postgres' | 'sqlite'
  /** By how much a stored payload is longer than what was given. */
  readonly overhead: number
  /** Undefined on SQLite. */
  readonly databaseUrl: string | undefined
  /** The same database through connections of its own; on SQLite, which has one, these stores. */
  second(): Promise<Stores>
}

/** Set by a file that runs a suite of others once more with its messages sealed. */
const IS_SEALED = process.env.FERNRUF_TEST_SEALED === '1'
const OVERHEAD = IS_SEALED ? SEAL_BYTES : 0

/** One test for each dialect, each on an empty database of its own; without a server PostgreSQL's is skipped with the reason. */
export function withStores(
  name: string,
  work: (stores: TestStores, t: TestContext) => Promise<void>,
  options: Pick<StoreOptions, 'now' | 'connections'> = {},
): void {
  test(`${name} (sqlite)`, async (t) => {
    const opened = await openStores({ databaseUrl: undefined, dataDir: ':memory:', ...options })
    t.after(() => opened.close())
    await opened.migrate()
    const stores = IS_SEALED ? await sealedStores(opened, new KeyFile(t)) : opened
    await work(
      {
        ...stores,
        dialect: 'sqlite',
        overhead: OVERHEAD,
        databaseUrl: undefined,
        second: () => Promise.resolve(stores),
      },
      t,
    )
  })
  withPostgres(name, async (databaseUrl, t) => {
    const file = IS_SEALED ? new KeyFile(t) : undefined
    const open = async () => {
      const stores = await openStores({ databaseUrl, dataDir: '', ...options })
      t.after(() => stores.close())
      return file === undefined ? stores : await sealedStores(stores, file)
    }
    await work({ ...(await open()), dialect: 'postgres', overhead: OVERHEAD, databaseUrl, second: open }, t)
  })
}

/** One test on a migrated PostgreSQL database of its own. */
export function withPostgres(name: string, work: (databaseUrl: string, t: TestContext) => Promise<void>): void {
  const skip = SERVER === undefined ? 'FERNRUF_TEST_POSTGRES names no server' : false
  test(`${name} (postgres)`, { skip }, async (t) => {
    const { url, drop } = await clonePostgres()
    // After the hooks of the test itself, which close what it opened.
    await work(url, t).finally(() => t.after(drop))
  })
}

/** A new migrated database, cloned from a template that is made once per state of `schema/postgres`. */
export async function clonePostgres(): Promise<{ readonly url: string; drop(): Promise<void> }> {
  if (SERVER === undefined) throw new Error('FERNRUF_TEST_POSTGRES names no server')
  const name = `fernruf_test_${randomUUID().replaceAll('-', '')}`
  await onServer(async (client) => {
    const template = await templateFor(client)
    await client.query(`create database ${name} template ${template}`)
  })
  return {
    url: urlOf(name),
    drop: () => onServer((client) => client.query(`drop database if exists ${name} with (force)`)),
  }
}

/** Made under another name first: the template is there only when it is finished. */
async function templateFor(client: Client): Promise<string> {
  const name = `fernruf_template_${(await schemaChecksum()).slice(0, 16)}`
  await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
  const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
  if (rowCount === 0) {
    const draft = `${name}_draft`
    await client.query(`drop database if exists ${draft} with (force)`)
    await client.query(`create database ${draft} template template0`)
    const stores = await openStores({ databaseUrl: urlOf(draft), dataDir: '', connections: 1 })
    await stores.migrate()
    await stores.close()
    await client.query(`alter database ${draft} rename to ${name}`)
  }
  await client.query('select pg_advisory_unlock($1)', [TEMPLATE_LOCK])
  return name
}

async function schemaChecksum(): Promise<string> {
  const folder = new URL('../../schema/postgres/', import.meta.url)
  const hash = createHash('sha256')
  for (const file of (await readdir(folder)).toSorted()) hash.update(await readFile(new URL(file, folder)))
  return hash.digest('hex')
}

function urlOf(database: string): string {
  const url = new URL(SERVER ?? '')
  url.pathname = `/${database}`
  return url.href
}

async function onServer(work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: SERVER })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
