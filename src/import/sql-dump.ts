/** What a dump is not, or what of it cannot be read; `at`: bytes from its beginning. */
export class DumpError extends Error {
  override readonly name = 'DumpError'
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

/** One row of a table, by the names of its columns. */
export interface DumpRow {
  readonly table: string
  readonly values: ReadonlyMap<string, string | null>
}

const MAX_VALUE = 16 * 1024 * 1024
const MAX_WORD = 256
const MAX_COLUMNS = 1_000

const [
  TAB,
  LF,
  CR,
  SPACE,
  QUOTE,
  DOUBLE,
  HASH,
  DOLLAR,
  OPEN,
  CLOSE,
  STAR,
  COMMA,
  MINUS,
  DOT,
  SLASH,
  SEMICOLON,
  BACKSLASH,
  BACKQUOTE,
] = [...Buffer.from('\t\n\r \'"#$()*,-./;\\`')] as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
]
const END = -1
const isSpace = (c: number): boolean => c === SPACE || c === LF || c === TAB || c === CR
const isWord = (c: number): boolean =>
  (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a) || c === 0x5f || c >= 0x80
/** Of a number, in whatever form the two programs write one. */
const isNumeric = (c: number): boolean => isWord(c) || c === DOT || c === MINUS || c === 0x2b
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
const MYSQL_ESCAPES: ReadonlyMap<number, number> = new Map(
  (['00', 'b\b', 'n\n', 'r\r', 't\t', 'Z\x1a'] as const).map((pair) => [
    pair.charCodeAt(0),
    pair === '00' ? 0 : pair.charCodeAt(1),
  ]),
)
const COPY_ESCAPES: ReadonlyMap<number, number> = new Map(
  ['b\b', 'f\f', 'n\n', 'r\r', 't\t', 'v\v'].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)]),
)
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A part of the reading, which stops where it needs more of the dump. */
type Reading<T> = Generator<undefined, T, undefined>
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
  #rows: DumpRow[] = []
  #buf: Buffer = Buffer.alloc(0)
  #p = 0
  #passed = 0
  #isEnd = false
  #delimiter = ';'
  #isPostgres: boolean | undefined

  /** `wanted`: tables, lower case, without their schema. */
  constructor(wanted: Iterable<string>) {
    this.#wanted = new Set(wanted)
    this.#reading = this.#statements()
  }

  /** The rows that end in this part of the dump. @throws DumpError */
  push(part: Buffer): readonly DumpRow[] {
    this.#passed += this.#p
    this.#buf = part
    this.#p = 0
    return this.#go()
  }
  /** The same when there is nothing more. @throws DumpError where the dump is cut off */
  end(): readonly DumpRow[] {
    this.#isEnd = true
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
  #fail(message: string): never {
    throw new DumpError(message, this.#passed + this.#p)
  }

  /** The next byte, which stays; END after the last. */
  *#peek(): Reading<number> {
    while (this.#p === this.#buf.length) {
      if (this.#isEnd) return END
      yield
    }
    return this.#buf[this.#p] as number
  }
  *#take(): Reading<number> {
    const c = yield* this.#peek()
    if (c !== END) this.#p++
    return c
  }
  *#expect(c: number): Reading<void> {
    if ((yield* this.#peek()) !== c) this.#fail(`expected ${String.fromCharCode(c)}`)
    this.#p++
  }
  /** White space and comments. */
  *#space(): Reading<void> {
    for (;;) {
      const c = yield* this.#peek()
      if (isSpace(c)) this.#p++
      else if (c === MINUS || c === HASH) yield* this.#lineComment()
      else if (c === SLASH) yield* this.#comment()
      else return
    }
  }
  *#lineComment(): Reading<void> {
    if ((yield* this.#take()) === MINUS && (yield* this.#peek()) !== MINUS) this.#fail('unexpected -')
    const line = yield* this.#line()
    if (this.#isPostgres !== undefined) return
    if (/PostgreSQL database/.test(line)) this.#isPostgres = true
    else if (/MySQL|MariaDB|phpMyAdmin/.test(line)) this.#isPostgres = false
  }
  *#comment(): Reading<void> {
    yield* this.#expect(SLASH)
    yield* this.#expect(STAR)
    for (let last = 0; ; ) {
      const c = yield* this.#take()
      if (c === END) this.#fail('a comment without end')
      if (c === SLASH && last === STAR) return
      last = c
    }
  }
  /** The rest of the line, and its end; what is beyond the first letters is passed over. */
  *#line(): Reading<string> {
    let text = ''
    for (;;) {
      const c = yield* this.#take()
      if (c === LF || c === END) return text.trim()
      if (text.length < MAX_WORD) text += String.fromCharCode(c)
    }
  }
  *#word(): Reading<string> {
    let word = ''
    while (isWord(yield* this.#peek())) {
      word += String.fromCharCode(this.#buf[this.#p++] as number)
      if (word.length > MAX_WORD) this.#fail('a word that is too long')
    }
    return word
  }
  *#keyword(...expected: readonly string[]): Reading<void> {
    for (const word of expected) {
      yield* this.#space()
      if ((yield* this.#word()).toLowerCase() !== word) this.#fail(`expected ${word.toUpperCase()}`)
    }
  }
  /** A name, lower case; one in back quotes is MySQL's. */
  *#name(): Reading<string> {
    yield* this.#space()
    const c = yield* this.#peek()
    if (c !== BACKQUOTE && c !== DOUBLE) {
      const word = yield* this.#word()
      if (word === '') this.#fail('expected a name')
      return word.toLowerCase()
    }
    if (c === BACKQUOTE) this.#isPostgres ??= false
    return (yield* this.#quoted(c, false)).toString('utf8').toLowerCase()
  }
  /** The last part of a name such as `public.tig_users`. */
  *#tableName(): Reading<string> {
    let name = yield* this.#name()
    while ((yield* this.#peek()) === DOT) {
      this.#p++
      name = yield* this.#name()
    }
    return name
  }
  *#names(): Reading<readonly string[]> {
    yield* this.#expect(OPEN)
    const names: string[] = []
    for (;;) {
      names.push(yield* this.#name())
      if (names.length > MAX_COLUMNS) this.#fail('too many columns')
      yield* this.#space()
      const c = yield* this.#take()
      if (c === CLOSE) return names
      if (c !== COMMA) this.#fail('expected , or )')
    }
  }

  /** What stands between two quotes; a doubled one is one. `escapes`: a backslash means something, as in MySQL. */
  *#quoted(quote: number, escapes: boolean): Reading<Buffer> {
    yield* this.#expect(quote)
    const parts: Buffer[] = []
    let size = 0
    const keep = (part: Buffer): void => {
      size += part.length
      if (size > MAX_VALUE) this.#fail(`a value of more than ${MAX_VALUE} bytes`)
      parts.push(part)
    }
    for (;;) {
      if ((yield* this.#peek()) === END) this.#fail('a text without end')
      const from = this.#p
      let c = this.#buf[this.#p]
      while (c !== undefined && c !== quote && !(escapes && c === BACKSLASH)) c = this.#buf[++this.#p]
      // A copy: what is kept must not keep the whole part alive.
      if (this.#p > from) keep(Buffer.from(this.#buf.subarray(from, this.#p)))
      if (c === undefined) continue
      this.#p++
      if (c === quote) {
        if ((yield* this.#peek()) !== quote) return Buffer.concat(parts)
        this.#p++
        keep(Buffer.of(quote))
      } else {
        const escaped = yield* this.#take()
        if (escaped === END) this.#fail('a text without end')
        keep(Buffer.of(MYSQL_ESCAPES.get(escaped) ?? escaped))
      }
    }
  }
  #text(bytes: Buffer): string {
    try {
      return utf8.decode(bytes)
    } catch {
      return this.#fail('a text that is not UTF-8')
    }
  }
  /** Whether backslashes escape is not written anywhere in the statement itself. */
  #isMysql(): boolean {
    if (this.#isPostgres === undefined)
      this.#fail('neither a dump of MySQL nor one of PostgreSQL, as its head would say')
    return !this.#isPostgres
  }
  *#value(): Reading<string | null> {
    // No comments: a number may begin with a minus.
    while (isSpace(yield* this.#peek())) this.#p++
    const c = yield* this.#peek()
    if (c === QUOTE) return this.#text(yield* this.#quoted(QUOTE, this.#isMysql()))
    let word = ''
    while (isNumeric(yield* this.#peek())) {
      word += String.fromCharCode(this.#buf[this.#p++] as number)
      if (word.length > MAX_WORD && !word.startsWith('0x')) this.#fail('a value that is too long')
      if (word.length > 2 * MAX_VALUE) this.#fail('a value that is too long')
    }
    if (/^null$/i.test(word)) return null
    if (/^(true|false)$/i.test(word)) return word.toLowerCase() === 'true' ? '1' : '0'
    if (/^0x(?:[0-9a-f]{2})+$/i.test(word)) return this.#text(Buffer.from(word.slice(2), 'hex'))
    if (/^[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?$/i.test(word)) return word
    const next = yield* this.#peek()
    // MySQL's charset introducer; PostgreSQL's texts with escapes.
    if (word.startsWith('_') && (isSpace(next) || next === QUOTE)) return yield* this.#value()
    if (/^e$/i.test(word) && next === QUOTE) return this.#text(yield* this.#quoted(QUOTE, true))
    return this.#fail('a value of an unknown form')
  }

  *#statements(): Reading<void> {
    for (;;) {
      yield* this.#space()
      const c = yield* this.#peek()
      if (c === END) return
      // Of psql, such as \connect and \restrict.
      if (c === BACKSLASH) yield* this.#line()
      else if (c === SEMICOLON) this.#p++
      else yield* this.#statement((yield* this.#word()).toLowerCase())
    }
  }
  *#statement(word: string): Reading<void> {
    if (word === 'insert' || word === 'replace') yield* this.#insert()
    else if (word === 'copy') yield* this.#copy()
    else if (word === 'create') yield* this.#create()
    else if (word === 'delimiter') this.#delimiter = (yield* this.#line()) || ';'
    else if (word === '') this.#fail('expected a statement')
    else yield* this.#skip()
  }
  *#create(): Reading<void> {
    yield* this.#space()
    let word = (yield* this.#word()).toLowerCase()
    while (word === 'unlogged' || word === 'temporary') {
      yield* this.#space()
      word = (yield* this.#word()).toLowerCase()
    }
    if (word !== 'table') return yield* this.#skip()
    yield* this.#space()
    let table = yield* this.#tableName()
    if (table === 'if') {
      yield* this.#keyword('not', 'exists')
      table = yield* this.#tableName()
    }
    yield* this.#space()
    if ((yield* this.#peek()) !== OPEN) return yield* this.#skip()
    this.#p++
    const columns: string[] = []
    for (let c = COMMA; c === COMMA; ) {
      yield* this.#space()
      const isQuoted = [BACKQUOTE, DOUBLE].includes(yield* this.#peek())
      const name = yield* this.#name()
      if (isQuoted || !NO_COLUMNS.has(name)) columns.push(name)
      if (columns.length > MAX_COLUMNS) this.#fail('too many columns')
      c = yield* this.#item()
    }
    this.#tables.set(table, { columns })
    yield* this.#skip()
  }
  /** The rest of one part of a definition; the comma or bracket that ends it. */
  *#item(): Reading<number> {
    for (let depth = 0; ; ) {
      yield* this.#space()
      const c = yield* this.#peek()
      if (c === QUOTE || c === DOUBLE || c === BACKQUOTE) {
        yield* this.#quoted(c, c === QUOTE && this.#isPostgres !== true)
        continue
      }
      this.#p++
      if (c === END) this.#fail('a definition without end')
      if (c === OPEN) depth++
      else if (depth === 0 && (c === COMMA || c === CLOSE)) return c
      else if (c === CLOSE) depth--
    }
  }

  *#insert(): Reading<void> {
    yield* this.#space()
    let word = (yield* this.#word()).toLowerCase()
    if (word === 'ignore') {
      yield* this.#space()
      word = (yield* this.#word()).toLowerCase()
    }
    if (word !== 'into') this.#fail('expected INTO')
    const table = yield* this.#tableName()
    if (!this.#wanted.has(table)) return yield* this.#skip()
    yield* this.#space()
    const listed = (yield* this.#peek()) === OPEN ? yield* this.#names() : undefined
    const columns = listed ?? this.#tables.get(table)?.columns
    if (columns === undefined) this.#fail(`the columns of ${table} are not told: its definition must be in the dump`)
    if (!this.#tables.has(table)) this.#tables.set(table, { columns })
    yield* this.#keyword('values')
    for (;;) {
      yield* this.#space()
      yield* this.#expect(OPEN)
      const values: (string | null)[] = []
      for (let c = COMMA; c === COMMA; ) {
        values.push(yield* this.#value())
        yield* this.#space()
        c = yield* this.#take()
        if (c !== COMMA && c !== CLOSE) this.#fail('expected , or )')
      }
      this.#row(table, columns, values)
      yield* this.#space()
      const c = yield* this.#take()
      if (c === SEMICOLON) return
      if (c !== COMMA) this.#fail('expected , or ;')
    }
  }
  #row(table: string, columns: readonly string[], values: readonly (string | null)[]): void {
    if (values.length !== columns.length)
      this.#fail(`a row of ${table} with ${values.length} values for ${columns.length} columns`)
    this.#rows.push({ table, values: new Map(columns.map((name, i) => [name, values[i] ?? null])) })
  }

  *#copy(): Reading<void> {
    const table = yield* this.#tableName()
    yield* this.#space()
    const listed = (yield* this.#peek()) === OPEN ? yield* this.#names() : undefined
    const columns = listed ?? this.#tables.get(table)?.columns
    if (columns === undefined) this.#fail(`the columns of ${table} are not told`)
    yield* this.#keyword('from', 'stdin')
    yield* this.#space()
    yield* this.#expect(SEMICOLON)
    yield* this.#line()
    this.#isPostgres = true
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
    const values: (string | null)[] = []
    let parts: Buffer[] = []
    let size = 0
    let isNull = false
    const keep = (part: Buffer): void => {
      size += part.length
      if (size > MAX_VALUE) this.#fail(`a value of more than ${MAX_VALUE} bytes`)
      if (isWanted) parts.push(part)
    }
    const close = (): void => {
      if (values.length >= MAX_COLUMNS) this.#fail('too many columns')
      values.push(isNull ? null : this.#text(Buffer.concat(parts)))
      parts = []
      size = 0
      isNull = false
    }
    for (;;) {
      if ((yield* this.#peek()) === END) this.#fail('rows without end')
      const from = this.#p
      let c = this.#buf[this.#p]
      while (c !== undefined && c !== TAB && c !== LF && c !== BACKSLASH) c = this.#buf[++this.#p]
      if (this.#p > from) keep(Buffer.from(this.#buf.subarray(from, this.#p)))
      if (c === undefined) continue
      this.#p++
      if (c === TAB) close()
      else if (c === LF) {
        close()
        return values
      } else {
        const escaped = yield* this.#take()
        if (escaped === END) this.#fail('rows without end')
        if (escaped === DOT && values.length === 0 && size === 0) {
          yield* this.#line()
          return undefined
        }
        if (escaped === 0x4e && size === 0) isNull = true
        else keep(Buffer.of(COPY_ESCAPES.get(escaped) ?? escaped))
      }
    }
  }

  /** To the end of the statement, past texts, comments and bodies of functions. */
  *#skip(): Reading<void> {
    const [first = SEMICOLON] = Buffer.from(this.#delimiter)
    for (;;) {
      let c = this.#buf[this.#p]
      while (
        c !== undefined &&
        c !== first &&
        c !== QUOTE &&
        c !== DOUBLE &&
        c !== BACKQUOTE &&
        c !== DOLLAR &&
        c !== MINUS &&
        c !== HASH &&
        c !== SLASH
      )
        c = this.#buf[++this.#p]
      c = yield* this.#peek()
      if (c === END) return
      if (c === QUOTE || c === DOUBLE || c === BACKQUOTE) {
        // MySQL's texts may be in double quotes as well.
        yield* this.#quoted(c, c !== BACKQUOTE && this.#isPostgres !== true)
        continue
      }
      this.#p++
      if (c === first) {
        if (yield* this.#isDelimiter()) return
      } else if (c === MINUS) {
        if ((yield* this.#peek()) === MINUS) yield* this.#line()
      } else if (c === HASH && this.#isPostgres === false) yield* this.#line()
      else if (c === SLASH) {
        if ((yield* this.#peek()) !== STAR) continue
        this.#p--
        yield* this.#comment()
      } else if (c === DOLLAR && this.#isPostgres === true) yield* this.#dollar()
    }
  }
  /** The delimiter's first byte was taken. */
  *#isDelimiter(): Reading<boolean> {
    for (const wanted of Buffer.from(this.#delimiter).subarray(1)) {
      if ((yield* this.#peek()) !== wanted) return false
      this.#p++
    }
    return true
  }
  /** `$tag$ … $tag$`; its first `$` was taken. */
  *#dollar(): Reading<void> {
    const tag = yield* this.#word()
    if ((yield* this.#peek()) !== DOLLAR) return
    this.#p++
    for (;;) {
      const c = yield* this.#take()
      if (c === END) this.#fail('a body without end')
      if (c !== DOLLAR) continue
      // Of `$a$b$` the middle `$` may begin the end: it is looked at again.
      if ((yield* this.#word()) !== tag || (yield* this.#peek()) !== DOLLAR) continue
      this.#p++
      return
    }
  }
}
