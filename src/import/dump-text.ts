/** What a dump is not, or what of it cannot be read; `at`: bytes from its beginning. */
export class DumpError extends Error {
  override readonly name = 'DumpError'
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

const MAX_VALUE = 16 * 1024 * 1024
const MAX_WORD = 256
export const MAX_COLUMNS = 1_000

export const TAB = 0x09
export const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
export const QUOTE = 0x27
export const DOUBLE = 0x22
export const HASH = 0x23
export const DOLLAR = 0x24
export const OPEN = 0x28
export const CLOSE = 0x29
export const STAR = 0x2a
export const COMMA = 0x2c
export const MINUS = 0x2d
export const DOT = 0x2e
export const SLASH = 0x2f
export const SEMICOLON = 0x3b
export const BACKSLASH = 0x5c
export const BACKQUOTE = 0x60
/** Where the next byte would be, after the last. */
export const END = -1
const isSpace = (c: number): boolean => c === SPACE || c === LF || c === TAB || c === CR
const isWord = (c: number): boolean =>
  (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a) || c === 0x5f || c >= 0x80
/** Of a number, in whatever form the two programs write one. */
const isNumeric = (c: number): boolean => isWord(c) || c === DOT || c === MINUS || c === 0x2b
const MYSQL_ESCAPES: ReadonlyMap<number, number> = new Map(
  (['00', 'b\b', 'n\n', 'r\r', 't\t', 'Z\x1a'] as const).map((pair) => [
    pair.charCodeAt(0),
    pair === '00' ? 0 : pair.charCodeAt(1),
  ]),
)
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A part of the reading, which stops where it needs more of the dump. */
export type Reading<T> = Generator<undefined, T, undefined>

/** Bytes at which a run ends. */
export type Stops = Uint8Array
export function stopsAt(...bytes: readonly number[]): Stops {
  const stops = new Uint8Array(256)
  for (const byte of bytes) stops[byte] = 1
  return stops
}

/** A value that is put together of runs; one that is not `wanted` is measured only. */
export class DumpValue {
  readonly #text: DumpText
  readonly #isWanted: boolean
  readonly #parts: Buffer[] = []
  size = 0

  constructor(text: DumpText, isWanted = true) {
    this.#text = text
    this.#isWanted = isWanted
  }
  /** @throws DumpError when it becomes too large */
  add(part: Buffer): void {
    this.size += part.length
    if (this.size > MAX_VALUE) this.#text.fail(`a value of more than ${MAX_VALUE} bytes`)
    if (this.#isWanted) this.#parts.push(part)
  }
  addByte(byte: number): void {
    this.add(Buffer.of(byte))
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** The bytes of a dump, which comes in parts, and the words, names and values in them. */
export class DumpText {
  #part: Buffer = Buffer.alloc(0)
  #p = 0
  #passed = 0
  #isEnd = false
  /** Which program wrote it; undefined until that shows. */
  isPostgres: boolean | undefined

  /** The next part; the one before has been read. */
  feed(part: Buffer): void {
    this.#passed += this.#p
    this.#part = part
    this.#p = 0
  }
  finish(): void {
    this.#isEnd = true
  }
  fail(message: string): never {
    throw new DumpError(message, this.#passed + this.#p)
  }

  /** The next byte, which stays; END after the last. */
  *peek(): Reading<number> {
    while (this.#p === this.#part.length) {
      if (this.#isEnd) return END
      yield
    }
    return this.#part[this.#p] as number
  }
  /** Goes on behind the byte that was looked at. */
  pass(): void {
    this.#p++
  }
  *take(): Reading<number> {
    const c = yield* this.peek()
    if (c !== END) this.pass()
    return c
  }
  /** What stands before the next stop, as far as it is there already. */
  run(stops: Stops): Buffer {
    const from = this.#p
    let p = from
    for (let c = this.#part[p]; c !== undefined && stops[c] === 0; ) c = this.#part[++p]
    this.#p = p
    return this.#part.subarray(from, p)
  }
  *expect(c: number): Reading<void> {
    if ((yield* this.peek()) !== c) this.fail(`expected ${String.fromCharCode(c)}`)
    this.#p++
  }
  /** White space and comments. */
  *space(): Reading<void> {
    for (;;) {
      const c = yield* this.peek()
      if (isSpace(c)) this.pass()
      else if (c === MINUS || c === HASH) yield* this.#lineComment()
      else if (c === SLASH) {
        this.pass()
        yield* this.comment()
      } else return
    }
  }
  *#lineComment(): Reading<void> {
    if ((yield* this.take()) === MINUS && (yield* this.peek()) !== MINUS) this.fail('unexpected -')
    const line = yield* this.line()
    if (this.isPostgres !== undefined) return
    if (/PostgreSQL database/.test(line)) this.isPostgres = true
    else if (/MySQL|MariaDB|phpMyAdmin/.test(line)) this.isPostgres = false
  }
  /** Of a comment whose `/` was taken, the rest. */
  *comment(): Reading<void> {
    yield* this.expect(STAR)
    for (let last = 0; ; ) {
      const c = yield* this.take()
      if (c === END) this.fail('a comment without end')
      if (c === SLASH && last === STAR) return
      last = c
    }
  }
  /** The rest of the line, and its end; what is beyond the first letters is passed over. */
  *line(): Reading<string> {
    let text = ''
    for (;;) {
      const c = yield* this.take()
      if (c === LF || c === END) return text.trim()
      if (text.length < MAX_WORD) text += String.fromCharCode(c)
    }
  }
  *word(): Reading<string> {
    let word = ''
    while (isWord(yield* this.peek())) {
      word += String.fromCharCode(this.#part[this.#p++] as number)
      if (word.length > MAX_WORD) this.fail('a word that is too long')
    }
    return word
  }
  *keyword(...expected: readonly string[]): Reading<void> {
    for (const word of expected) {
      yield* this.space()
      if ((yield* this.word()).toLowerCase() !== word) this.fail(`expected ${word.toUpperCase()}`)
    }
  }
  /** A name, lower case; one in back quotes is MySQL's. */
  *name(): Reading<string> {
    yield* this.space()
    const c = yield* this.peek()
    if (c !== BACKQUOTE && c !== DOUBLE) {
      const word = yield* this.word()
      if (word === '') this.fail('expected a name')
      return word.toLowerCase()
    }
    if (c === BACKQUOTE) this.isPostgres ??= false
    return (yield* this.quoted(c, false)).toString('utf8').toLowerCase()
  }
  /** The last part of a name such as `public.tig_users`. */
  *tableName(): Reading<string> {
    let name = yield* this.name()
    while ((yield* this.peek()) === DOT) {
      this.#p++
      name = yield* this.name()
    }
    return name
  }
  *names(): Reading<readonly string[]> {
    yield* this.expect(OPEN)
    const names: string[] = []
    for (;;) {
      names.push(yield* this.name())
      if (names.length > MAX_COLUMNS) this.fail('too many columns')
      yield* this.space()
      const c = yield* this.take()
      if (c === CLOSE) return names
      if (c !== COMMA) this.fail('expected , or )')
    }
  }

  /** What stands between two quotes; a doubled one is one. `escapes`: a backslash means something, as in MySQL. */
  *quoted(quote: number, escapes: boolean): Reading<Buffer> {
    yield* this.expect(quote)
    const stops = escapes ? stopsAt(quote, BACKSLASH) : stopsAt(quote)
    const value = new DumpValue(this)
    for (;;) {
      value.add(this.run(stops))
      const c = yield* this.peek()
      if (c === END) this.fail('a text without end')
      if (stops[c] === 0) continue
      this.pass()
      if (c === quote) {
        if ((yield* this.peek()) !== quote) return value.bytes
        this.pass()
        value.addByte(quote)
      } else {
        const escaped = yield* this.take()
        if (escaped === END) this.fail('a text without end')
        value.addByte(MYSQL_ESCAPES.get(escaped) ?? escaped)
      }
    }
  }
  text(bytes: Buffer): string {
    try {
      return utf8.decode(bytes)
    } catch {
      return this.fail('a text that is not UTF-8')
    }
  }
  /** Whether backslashes escape is not written anywhere in the statement itself. */
  #isMysql(): boolean {
    if (this.isPostgres === undefined) this.fail('neither a dump of MySQL nor one of PostgreSQL, as its head would say')
    return !this.isPostgres
  }
  *value(): Reading<string | null> {
    // No comments: a number may begin with a minus.
    while (isSpace(yield* this.peek())) this.pass()
    const c = yield* this.peek()
    if (c === QUOTE) return this.text(yield* this.quoted(QUOTE, this.#isMysql()))
    let word = ''
    while (isNumeric(yield* this.peek())) {
      word += String.fromCharCode(this.#part[this.#p++] as number)
      if (word.length > MAX_WORD && !word.startsWith('0x')) this.fail('a value that is too long')
      if (word.length > 2 * MAX_VALUE) this.fail('a value that is too long')
    }
    if (/^null$/i.test(word)) return null
    if (/^(true|false)$/i.test(word)) return word.toLowerCase() === 'true' ? '1' : '0'
    if (/^0x(?:[0-9a-f]{2})+$/i.test(word)) return this.text(Buffer.from(word.slice(2), 'hex'))
    if (/^[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?$/i.test(word)) return word
    const next = yield* this.peek()
    // MySQL's charset introducer; PostgreSQL's texts with escapes.
    if (word.startsWith('_') && (isSpace(next) || next === QUOTE)) return yield* this.value()
    if (/^e$/i.test(word) && next === QUOTE) return this.text(yield* this.quoted(QUOTE, true))
    return this.fail('a value of an unknown form')
  }
}
