import type { Config } from '../config/schema.ts'
import { PostgresDatabase } from '../storage/postgres/database.ts'
import type { Database } from '../storage/sql.ts'
import { SqliteDatabase } from '../storage/sqlite/database.ts'

/** The database of the config, without migrations. @throws StartError when the embedded one cannot be had */
export async function openDatabase(config: Config): Promise<Database> {
  if (config.database === undefined) return await SqliteDatabase.open(config.data_dir)
  return new PostgresDatabase({ url: config.database.url.reveal(), connections: 1 })
}
