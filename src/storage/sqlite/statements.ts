import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** A database with its statements prepared once each. */
export class Statements {
  readonly #database: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Parameters are `$1`…`$n`, which SQLite would take for names: they become `?1`…`?n`. */
  get(text: string): StatementSync {
    let statement = this.#prepared.get(text)
    if (statement === undefined) {
      statement = this.#database.prepare(text.replaceAll(/\$(\d+)/g, '?$1'))
      this.#prepared.set(text, statement)
    }
    return statement
  }

  script(text: string): void {
    this.#database.exec(text)
  }

  /** Runs `work` in one transaction, which writes from the start. */
  transaction<T>(work: () => T): T {
    this.get('begin immediate').run()
    try {
      const result = work()
      this.get('commit').run()
      return result
    } catch (error) {
      if (this.#database.isTransaction) this.get('rollback').run()
      throw error
    }
  }
}
