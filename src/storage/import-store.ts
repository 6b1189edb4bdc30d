import { IMPORT_PARTS, type ImportMark, type ImportPart, type ImportStore } from '../account/import-store.ts'
import type { Account } from '../account/store.ts'
import type { NewAccount } from '../account/verification-store.ts'
import { insertAccount } from './account-store.ts'
import type { Database } from './sql.ts'

interface MarkRow {
  readonly account_id: number
  readonly has_key: number
  readonly has_roster: number
  readonly has_blocks: number
  readonly last_message: number
}
const SET: Readonly<Record<ImportPart, string>> = {
  key: 'update import_mark set has_key = 1 where mark = $1',
  roster: 'update import_mark set has_roster = 1 where mark = $1',
  blocks: 'update import_mark set has_blocks = 1 where mark = $1',
}

/** Table `import_mark` in either dialect. */
export class SqlImportStore implements ImportStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async find(mark: string): Promise<ImportMark | undefined> {
    const [row] = await this.#database.query<MarkRow>(
      'select account_id, has_key, has_roster, has_blocks, last_message from import_mark where mark = $1',
      [mark],
    )
    if (row === undefined) return undefined
    const parts = IMPORT_PARTS.filter((part) => row[`has_${part}`] !== 0)
    return { account: row.account_id, parts: new Set(parts), lastMessage: row.last_message }
  }

  create(mark: string, account: NewAccount): Promise<Account | undefined> {
    return this.#database.transaction(async (sql) => {
      const made = await insertAccount(sql, account, Date.now())
      if (made === undefined) return undefined
      await sql.query('insert into import_mark (mark, account_id) values ($1, $2)', [mark, made.id])
      return made
    })
  }

  async done(mark: string, part: ImportPart): Promise<void> {
    await this.#database.query(SET[part], [mark])
  }

  messages(last: ReadonlyMap<string, number>): Promise<void> {
    return this.#database.transaction(async (sql) => {
      for (const [mark, id] of last)
        await sql.query('update import_mark set last_message = $2 where mark = $1 and last_message < $2', [mark, id])
    })
  }
}
