import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StartError } from '../../util/start-error.ts'

/** WAL with `synchronous=FULL`: a commit is on disk before it is answered (https://sqlite.org/pragma.html#pragma_synchronous). */
const PRAGMAS = `
  pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma recursive_triggers = on;
  pragma busy_timeout = 5000; pragma temp_store = memory; pragma cache_size = -16000; pragma journal_size_limit = 16777216;
  pragma secure_delete = on`

export interface OpenFile {
  readonly database: DatabaseSync
  /** Closes the database, then lets the folder go. */
  close(): void
}

/**
 * Opens `fernruf.db` in the folder, or a database in memory. The folder is held by an exclusive transaction on a second file,
 * `lock`: it ends with the process, however that ends. @throws StartError
 */
export function openFile(folder: string | undefined): OpenFile {
  if (folder === undefined) {
    const database = configured(':memory:')
    return { database, close: () => database.close() }
  }
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new StartError(`data_dir ${folder} cannot be made: ${reason(error)}`)
  }
  const lock = hold(folder)
  try {
    const database = configured(join(folder, 'fernruf.db'))
    return {
      database,
      close: () => {
        database.close()
        lock.close()
      },
    }
  } catch (error) {
    lock.close()
    throw new StartError(`data_dir ${folder}: fernruf.db cannot be opened: ${reason(error)}`)
  }
}

function hold(folder: string): DatabaseSync {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
    lock.exec('pragma journal_mode = delete; begin exclusive; pragma user_version = 1')
    return lock
  } catch (error) {
    lock?.close()
    if (isBusy(error)) throw new StartError(`data_dir ${folder} is in use by another instance of fernruf`)
    throw new StartError(`data_dir ${folder} cannot be written: ${reason(error)}`)
  }
}

function configured(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true })
  try {
    database.exec(PRAGMAS)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === 5
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error))
