import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { StartError } from '../util/start-error.ts'
import type { Database, Sql, Transaction } from './sql.ts'

/** Any number that nobody else uses for an advisory lock: the letters `fern`. */
const LOCK = 0x6665726e

interface Migration {
  readonly number: number
  readonly name: string
  readonly text: string
  readonly checksum: string
  readonly breaking: boolean
}
interface Applied {
  readonly number: number
  readonly name: string
  readonly checksum: string
  readonly breaking: number
}

/**
 * Brings the database up to `schema/<dialect>/NNNN-name.sql`, each file in a transaction of its own; returns the names applied.
 * Several processes may do so at once: one works, the others find it done. @throws StartError, StoreError
 */
export async function migrate(
  database: Database,
  schema = new URL('../../schema/', import.meta.url),
): Promise<readonly string[]> {
  const migrations = await readMigrations(new URL(`${database.dialect}/`, schema))
  check(migrations, await database.transaction(appliedUnderLock))
  const done: string[] = []
  for (const migration of migrations) {
    if (await database.transaction((sql) => apply(sql, migration))) done.push(migration.name)
  }
  return done
}

/** False when somebody has applied it already. */
async function apply(sql: Transaction, { number, name, text, checksum, breaking }: Migration): Promise<boolean> {
  const applied = await appliedUnderLock(sql)
  if (applied.some((row) => row.number === number)) return false
  await sql.script(text)
  await sql.query('insert into migration (number, name, checksum, breaking, at) values ($1, $2, $3, $4, $5)', [
    number,
    name,
    checksum,
    Number(breaking),
    Date.now(),
  ])
  return true
}

/** On SQLite the transaction itself is the lock, and the data folder's. */
async function appliedUnderLock(sql: Sql): Promise<readonly Applied[]> {
  if (sql.dialect === 'postgres') await sql.query('select pg_advisory_xact_lock($1)', [LOCK])
  await sql.query(`create table if not exists migration (
    number int primary key, name text not null, checksum text not null, breaking int not null, at bigint not null)`)
  return sql.query<Applied>('select number, name, checksum, breaking from migration order by number')
}

/** A later release may have added to the database; only what it declares as breaking keeps us out. */
function check(migrations: readonly Migration[], applied: readonly Applied[]): void {
  const known = new Map(migrations.map((migration) => [migration.number, migration]))
  for (const { number, name, checksum, breaking } of applied) {
    const ours = known.get(number)
    if (ours === undefined && breaking !== 0) {
      throw new StartError(
        `the database is newer than this release of fernruf: it has ${name}, which older releases cannot use`,
      )
    }
    if (ours !== undefined && ours.checksum !== checksum) {
      throw new StartError(
        `migration ${ours.name} is not the one that this database was made with (${name}): restore the file`,
      )
    }
  }
}

async function readMigrations(folder: URL): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => /^\d{4}-[a-z0-9-]+\.sql$/.test(file)).sort()
  return Promise.all(files.map((file) => readMigration(folder, file)))
}

async function readMigration(folder: URL, file: string): Promise<Migration> {
  const text = (await readFile(new URL(file, folder), 'utf8')).replaceAll('\r\n', '\n')
  return {
    number: Number.parseInt(file, 10),
    name: file.slice(0, -'.sql'.length),
    text,
    checksum: createHash('sha256').update(text).digest('hex'),
    breaking: /^-- breaking: yes/m.test(text),
  }
}
