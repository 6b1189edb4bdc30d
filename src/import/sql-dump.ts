import {
  BACKQUOTE,
  BACKSLASH,
  CLOSE,
  COMMA,
  DOLLAR,
  DOT,
  DOUBLE,
  DumpText,
  DumpValue,
  END,
  HASH,
  LF,
  MAX_COLUMNS,
  MINUS,
  OPEN,
  QUOTE,
  type Reading,
  SEMICOLON,
  SLASH,
  STAR,
  stopsAt,
  TAB,
} from './dump-text.ts'

/** One row of a table, by the names of its columns. */
export interface DumpRow {
  readonly table: string
  readonly values: ReadonlyMap<string, string | null>
}

/** In the definition of a table, what is no column. */
const NO_COLUMNS: ReadonlySet<string> = new Set([
  'check',
  'constraint',
  'exclude',
  'foreign',
  'fulltext',
  'index',
  'key',
  'like',
  'primary',
  'spatial',
  'unique',
])
const COPY_STOPS = stopsAt(TAB, LF, BACKSLASH)
const COPY_ESCAPES: ReadonlyMap<number, number> = new Map(
  ['b\b', 'f\f', 'n\n', 'r\r', 't\t', 'v\v'].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)]),
)
interface Table {
  readonly columns: readonly string[]
}

/**
 * Reads a plain SQL dump as mysqldump (or mariadb-dump) and pg_dump write it, with `INSERT` or `COPY`, and gives the rows of some
 * tables. Linear in its size however it is cut; keeps one row at a time. What is not understood stops it.
 */
export class SqlDump {
  readonly #wanted: ReadonlySet<string>
  readonly #tables = new Map<string, Table>()
  readonly #reading: Reading<void>
  readonly #text: DumpText = new DumpText()
  #rows: DumpRow[] = []
  #delimiter = ';'

  /** `wanted`: tables, lower case, without their schema. */
  constructor(wanted: Iterable<string>) {
    this.#wanted = new Set(wanted)
    this.#reading = this.#statements()
  }

  /** The rows that end in this part of the dump. @throws DumpError */
  push(part: Buffer): readonly DumpRow[] {
    this.#text.feed(part)
    return this.#go()
  }
  /** The same when there is nothing more. @throws DumpError where the dump is cut off */
  end(): readonly DumpRow[] {
    this.#text.finish()
    return this.#go()
  }
  /** Tables that were defined in the dump, or had rows. */
  get tables(): ReadonlySet<string> {
    return new Set(this.#tables.keys())
  }
  #go(): readonly DumpRow[] {
    this.#reading.next()
    const rows = this.#rows
    this.#rows = []
    return rows
  }
  *#statements(): Reading<void> {
    for (;;) {
      yield* this.#text.space()
      const c = yield* this.#text.peek()
      if (c === END) return
      // Of psql, such as \connect and \restrict.
      if (c === BACKSLASH) yield* this.#text.line()
      else if (c === SEMICOLON) this.#text.pass()
      else yield* this.#statement((yield* this.#text.word()).toLowerCase())
    }
  }
  *#statement(word: string): Reading<void> {
    if (word === 'insert' || word === 'replace') yield* this.#insert()
    else if (word === 'copy') yield* this.#copy()
    else if (word === 'create') yield* this.#create()
    else if (word === 'delimiter') this.#delimiter = (yield* this.#text.line()) || ';'
    else if (word === '') this.#text.fail('expected a statement')
    else yield* this.#skip()
  }
  *#create(): Reading<void> {
    yield* this.#text.space()
    let word = (yield* this.#text.word()).toLowerCase()
    while (word === 'unlogged' || word === 'temporary') {
      yield* this.#text.space()
      word = (yield* this.#text.word()).toLowerCase()
    }
    if (word !== 'table') return yield* this.#skip()
    yield* this.#text.space()
    let table = yield* this.#text.tableName()
    if (table === 'if') {
      yield* this.#text.keyword('not', 'exists')
      table = yield* this.#text.tableName()
    }
    yield* this.#text.space()
    if ((yield* this.#text.peek()) !== OPEN) return yield* this.#skip()
    this.#text.pass()
    const columns: string[] = []
    for (let c = COMMA; c === COMMA; ) {
      yield* this.#text.space()
      const isQuoted = [BACKQUOTE, DOUBLE].includes(yield* this.#text.peek())
      const name = yield* this.#text.name()
      if (isQuoted || !NO_COLUMNS.has(name)) columns.push(name)
      if (columns.length > MAX_COLUMNS) this.#text.fail('too many columns')
      c = yield* this.#item()
    }
    this.#tables.set(table, { columns })
    yield* this.#skip()
  }
  /** The rest of one part of a definition; the comma or bracket that ends it. */
  *#item(): Reading<number> {
    for (let depth = 0; ; ) {
      yield* this.#text.space()
      const c = yield* this.#text.peek()
      if (c === QUOTE || c === DOUBLE || c === BACKQUOTE) {
        yield* this.#text.quoted(c, c === QUOTE && this.#text.isPostgres !== true)
        continue
      }
      if (c === END) this.#text.fail('a definition without end')
      this.#text.pass()
      if (c === OPEN) depth++
      else if (depth === 0 && (c === COMMA || c === CLOSE)) return c
      else if (c === CLOSE) depth--
    }
  }

  *#insert(): Reading<void> {
    yield* this.#text.space()
    let word = (yield* this.#text.word()).toLowerCase()
    if (word === 'ignore') {
      yield* this.#text.space()
      word = (yield* this.#text.word()).toLowerCase()
    }
    if (word !== 'into') this.#text.fail('expected INTO')
    const table = yield* this.#text.tableName()
    if (!this.#wanted.has(table)) return yield* this.#skip()
    yield* this.#text.space()
    const listed = (yield* this.#text.peek()) === OPEN ? yield* this.#text.names() : undefined
    const columns = listed ?? this.#tables.get(table)?.columns
    if (columns === undefined)
      this.#text.fail(`the columns of ${table} are not told: its definition must be in the dump`)
    if (!this.#tables.has(table)) this.#tables.set(table, { columns })
    yield* this.#text.keyword('values')
    for (;;) {
      yield* this.#text.space()
      yield* this.#text.expect(OPEN)
      const values: (string | null)[] = []
      for (let c = COMMA; c === COMMA; ) {
        values.push(yield* this.#text.value())
        yield* this.#text.space()
        c = yield* this.#text.take()
        if (c !== COMMA && c !== CLOSE) this.#text.fail('expected , or )')
      }
      this.#row(table, columns, values)
      yield* this.#text.space()
      const c = yield* this.#text.take()
      if (c === SEMICOLON) return
      if (c !== COMMA) this.#text.fail('expected , or ;')
    }
  }
  #row(table: string, columns: readonly string[], values: readonly (string | null)[]): void {
    if (values.length !== columns.length)
      this.#text.fail(`a row of ${table} with ${values.length} values for ${columns.length} columns`)
    this.#rows.push({ table, values: new Map(columns.map((name, i) => [name, values[i] ?? null])) })
  }

  *#copy(): Reading<void> {
    const table = yield* this.#text.tableName()
    yield* this.#text.space()
    const listed = (yield* this.#text.peek()) === OPEN ? yield* this.#text.names() : undefined
    const columns = listed ?? this.#tables.get(table)?.columns
    if (columns === undefined) this.#text.fail(`the columns of ${table} are not told`)
    yield* this.#text.keyword('from', 'stdin')
    yield* this.#text.space()
    yield* this.#text.expect(SEMICOLON)
    yield* this.#text.line()
    this.#text.isPostgres = true
    this.#tables.set(table, { columns })
    const isWanted = this.#wanted.has(table)
    for (;;) {
      const values = yield* this.#copied(isWanted)
      if (values === undefined) return
      if (isWanted) this.#row(table, columns, values)
    }
  }
  /** One line of COPY; undefined at the end of them. */
  *#copied(isWanted: boolean): Reading<readonly (string | null)[] | undefined> {
    const text = this.#text
    const values: (string | null)[] = []
    let value = new DumpValue(text, isWanted)
    let isNull = false
    for (;;) {
      value.add(text.run(COPY_STOPS))
      const c = yield* text.peek()
      if (c === END) text.fail('rows without end')
      if (COPY_STOPS[c] === 0) continue
      text.pass()
      if (c !== BACKSLASH) {
        if (values.length >= MAX_COLUMNS) text.fail('too many columns')
        values.push(isNull ? null : text.text(value.bytes))
        if (c === LF) return values
        value = new DumpValue(text, isWanted)
        isNull = false
        continue
      }
      const escaped = yield* text.take()
      if (escaped === END) text.fail('rows without end')
      if (escaped === DOT && values.length === 0 && value.size === 0) {
        yield* text.line()
        return undefined
      }
      if (escaped === 0x4e && value.size === 0) isNull = true
      else value.addByte(COPY_ESCAPES.get(escaped) ?? escaped)
    }
  }

  /** To the end of the statement, past texts, comments and bodies of functions. */
  *#skip(): Reading<void> {
    const text = this.#text
    const [first = SEMICOLON] = Buffer.from(this.#delimiter)
    const stops = stopsAt(first, QUOTE, DOUBLE, BACKQUOTE, DOLLAR, MINUS, HASH, SLASH)
    for (;;) {
      text.run(stops)
      const c = yield* text.peek()
      if (c === END) return
      if (stops[c] === 0) continue
      if (c === QUOTE || c === DOUBLE || c === BACKQUOTE) {
        // MySQL's texts may be in double quotes as well.
        yield* text.quoted(c, c !== BACKQUOTE && text.isPostgres !== true)
        continue
      }
      text.pass()
      if (c === first) {
        if (yield* this.#isDelimiter()) return
      } else if (c === MINUS) {
        if ((yield* text.peek()) === MINUS) yield* text.line()
      } else if (c === HASH && text.isPostgres === false) yield* text.line()
      else if (c === SLASH) {
        if ((yield* text.peek()) === STAR) yield* text.comment()
      } else if (c === DOLLAR && text.isPostgres === true) yield* this.#dollar()
    }
  }
  /** The delimiter's first byte was taken. */
  *#isDelimiter(): Reading<boolean> {
    for (const wanted of Buffer.from(this.#delimiter).subarray(1)) {
      if ((yield* this.#text.peek()) !== wanted) return false
      this.#text.pass()
    }
    return true
  }
  /** `$tag$ … $tag$`; its first `$` was taken. */
  *#dollar(): Reading<void> {
    const tag = yield* this.#text.word()
    if ((yield* this.#text.peek()) !== DOLLAR) return
    this.#text.pass()
    for (;;) {
      const c = yield* this.#text.take()
      if (c === END) this.#text.fail('a body without end')
      if (c !== DOLLAR) continue
      // Of `$a$b$` the middle `$` may begin the end: it is looked at again.
      if ((yield* this.#text.word()) !== tag || (yield* this.#text.peek()) !== DOLLAR) continue
      this.#text.pass()
      return
    }
  }
}
