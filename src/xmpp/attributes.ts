import { decodeValue } from './characters.ts'
import { equals } from './interned.ts'

/** Bits of an attribute's `flags`: what reading its value takes. */
export const ENCODED = 1
export const NON_ASCII = 2

// Kinds of names, as bits: those that are looked for each have one of their own.
export const XMLNS = 1
export const TO = 2
export const FROM = 4
export const ID = 8
export const TYPE = 16
/** `xml:lang`. */
export const LANG = 32
/** Any other name without a prefix. */
export const OTHER = 64
/** Any other name with one, `xmlns:` among them. */
export const PREFIXED = 128
/** Two of one kind: the same name twice, or maybe only two others. */
export const SAME_KIND = 256

const WIDTH = 6
/** Up to so many attributes are compared in pairs; more of them by a set. */
const PAIRS = 10

/** Where the attributes of one start tag stand: offsets from the beginning of the top-level element. */
export class Attributes {
  /** Of each attribute: start of the name, its colon or -1, end of the name, start and end of the value, flags. */
  readonly #marks: number[] = []
  #count = 0
  #kinds = 0
  /** The attributes of these kinds, where there are any. */
  xmlns = 0
  to = 0
  from = 0
  id = 0
  type = 0
  lang = 0

  /** All kinds there are. */
  get kinds(): number {
    return this.#kinds
  }
  get count(): number {
    return this.#count
  }
  clear(): void {
    this.#count = 0
    this.#kinds = 0
  }
  add(
    buf: Buffer,
    unit: number,
    start: number,
    colon: number,
    end: number,
    valueStart: number,
    valueEnd: number,
    flags: number,
  ): void {
    const kind = this.#kind(buf, unit + start, end - start, colon)
    this.#kinds |= (this.#kinds & kind) === 0 ? kind : SAME_KIND
    const marks = this.#marks
    const at = this.#count++ * WIDTH
    marks[at] = start
    marks[at + 1] = colon
    marks[at + 2] = end
    marks[at + 3] = valueStart
    marks[at + 4] = valueEnd
    marks[at + 5] = flags
  }
  /** Tells the name's kind and remembers which attribute has it. */
  #kind(buf: Buffer, start: number, length: number, colon: number): number {
    if (colon >= 0) {
      if (length !== 8 || !equals('xml:lang', buf, start, start + 8)) return PREFIXED
      this.lang = this.#count
      return LANG
    }
    const first = buf[start]
    if (length === 2) {
      const second = buf[start + 1]
      if (first === 0x74 && second === 0x6f) {
        this.to = this.#count
        return TO
      }
      if (first === 0x69 && second === 0x64) {
        this.id = this.#count
        return ID
      }
    } else if (length === 4) {
      if (first === 0x74 && equals('type', buf, start, start + 4)) {
        this.type = this.#count
        return TYPE
      }
      if (first === 0x66 && equals('from', buf, start, start + 4)) {
        this.from = this.#count
        return FROM
      }
    } else if (length === 5 && first === 0x78 && equals('xmlns', buf, start, start + 5)) {
      // The first, should it come again.
      if ((this.#kinds & XMLNS) === 0) this.xmlns = this.#count
      return XMLNS
    }
    return OTHER
  }
  start(i: number): number {
    return this.#marks[i * WIDTH] as number
  }
  /** -1 when the name has no prefix. */
  colon(i: number): number {
    return this.#marks[i * WIDTH + 1] as number
  }
  end(i: number): number {
    return this.#marks[i * WIDTH + 2] as number
  }
  valueStart(i: number): number {
    return this.#marks[i * WIDTH + 3] as number
  }
  valueEnd(i: number): number {
    return this.#marks[i * WIDTH + 4] as number
  }
  flags(i: number): number {
    return this.#marks[i * WIDTH + 5] as number
  }
  value(buf: Buffer, unit: number, i: number): string {
    const start = unit + this.valueStart(i)
    const end = unit + this.valueEnd(i)
    const flags = this.flags(i)
    if (flags === 0) return buf.toString('latin1', start, end)
    return (flags & ENCODED) === 0 ? buf.toString('utf8', start, end) : decodeValue(buf, start, end)
  }
  /** Whether the value is `text`; false also where finding out would take decoding. */
  is(text: string, buf: Buffer, unit: number, i: number): boolean {
    return this.flags(i) === 0 && equals(text, buf, unit + this.valueStart(i), unit + this.valueEnd(i))
  }
  remove(i: number): void {
    this.#marks.splice(i * WIDTH, WIDTH)
    this.#count--
  }

  /** Which attribute has the name, as written, of one before it; -1 when none has. */
  repeated(buf: Buffer, unit: number): number {
    const count = this.#count
    if (count > PAIRS) return this.#repeatedOfMany(buf, unit)
    for (let i = 1; i < count; i++) {
      const start = unit + this.start(i)
      const length = this.end(i) - this.start(i)
      for (let j = 0; j < i; j++) {
        if (this.end(j) - this.start(j) === length && same(buf, start, unit + this.start(j), length)) return i
      }
    }
    return -1
  }
  #repeatedOfMany(buf: Buffer, unit: number): number {
    const names = new Set<string>()
    for (let i = 0; i < this.#count; i++) {
      names.add(buf.toString('latin1', unit + this.start(i), unit + this.end(i)))
      if (names.size === i) return i
    }
    return -1
  }
}

function same(buf: Buffer, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (buf[a + i] !== buf[b + i]) return false
  return true
}
