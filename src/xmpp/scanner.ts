import { Attributes, ENCODED, NON_ASCII } from './attributes.ts'
import {
  AMP,
  APOS,
  BRACKET,
  CLASS,
  CR,
  GT,
  LF,
  LT,
  NAME_START,
  QUOTE,
  referenceLength,
  runOver,
  SPACE,
  sequenceLength,
  TAB,
  TEXT_STOP,
  VALUE_STOP,
} from './characters.ts'
import { cdataOpeningLength, declarationLength } from './declaration.ts'
import { Opening } from './opening.ts'
import { PendingName } from './pending-name.ts'
import { CUT, Skimmer, UNUSUAL, WHOLE } from './skimmer.ts'
import { StreamError } from './stream-error.ts'
import type { TokenizerLimits } from './tokenizer.ts'
import { badCharacter, malformed, mismatched, strayText, tooMuch } from './xml-fault.ts'

/** What `scan` came to. */
export const MORE = 0
export const HEADER = 1
export const ELEMENT = 2
export const FOOTER = 3

// Where the next octet is: the states of the machine.
const OUTSIDE = 0
const TEXT = 1
const TAG = 2
const START_NAME = 3
const IN_TAG = 4
const BEFORE_ATTRIBUTE = 5
const ATTRIBUTE_NAME = 6
const AFTER_ATTRIBUTE_NAME = 7
const BEFORE_VALUE = 8
const VALUE = 9
const EMPTY_TAG = 10
const END_NAME = 11
const AFTER_END_NAME = 12
const CDATA = 13
const CLOSING = 14 // The root was an empty-element tag.
const CLOSED = 15

const SLASH = 0x2f
const EQUALS = 0x3d
const BANG = 0x21
const QUESTION = 0x3f

/**
 * The state machine under the tokenizer: checks every octet once (XML 1.0, Namespaces in XML 1.0, RFC 6120 §11.1) and finds
 * where elements end. It may stop at any octet and resume there; all it keeps are offsets from the beginning of the top-level
 * element, so that the octets may have moved meanwhile.
 */
export class Scanner {
  /** What the start tags said of the element found. */
  readonly opening: Opening
  /** Where in the buffer the header or element begins that was found or is under way; the end of the octets when none is. */
  unit = 0
  /** Where in the buffer the token found ends. */
  after = 0
  /** Offsets of the content from `unit`. */
  contentStart = 0
  contentEnd = 0
  #state = OUTSIDE
  /** Where to go on, from `unit`. */
  #at = 0
  /** Elements open within the root. */
  #depth = 0
  /** Where their names stand. */
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  #rootOpen = false
  #rootName: Buffer = Buffer.alloc(0)
  #mayDeclare = true
  #restarted = false
  #quote = 0
  readonly #name = new PendingName()
  #valueStart = 0
  #flags = 0
  /** Octets of the end tag's name found equal to the start tag's. */
  #matched = 0
  /** Where the last `<` was. */
  #tag = 0
  /** Where the character data or CDATA section began: a `]]>` counts only within one. */
  #run = 0
  readonly #attributes = new Attributes()
  readonly #skimmer: Skimmer
  /** Whether the element under way may still be read the short way. */
  #mayBePlain = false

  constructor(doubledCommandNs: boolean) {
    this.opening = new Opening(this.#attributes, doubledCommandNs)
    this.#skimmer = new Skimmer(this.opening)
  }

  /** What follows is a new stream. */
  restart(): void {
    this.#state = OUTSIDE
    this.#mayBePlain = false
    this.#rootOpen = false
    this.#mayDeclare = true
    this.#restarted = true
    this.opening.restart()
  }

  /**
   * Goes on in the octets from `start`, where the unit under way begins, to `end`; `view` is of the same.
   * @throws StreamError
   */
  scan(buf: Buffer, view: DataView, start: number, end: number, limits: TokenizerLimits): number {
    let unit = start
    if (this.#mayBePlain) {
      if (start === end) {
        this.unit = start
        return MORE
      }
      // White space between elements.
      if (this.#at === 0) while (unit < end && ((CLASS[buf[unit] as number] as number) & SPACE) !== 0) unit++
      if (unit < end && this.#skim(buf, view, unit, end, limits)) return ELEMENT
    }
    let p = unit + this.#at
    let state = this.#state
    const classes = CLASS
    if (state === CLOSING) return this.#found(FOOTER, unit, p, CLOSED)
    scanning: while (p < end) {
      let c = buf[p] as number
      switch (state) {
        case TEXT:
          p = runOver(buf, p, end, TEXT_STOP)
          if (p === end) break scanning
          c = buf[p] as number
          if (c === LT) {
            this.#tag = p - unit
            p++
            state = TAG
          } else if (c >= 0x80) {
            const length = sequenceLength(buf, p, end)
            if (length === 0) break scanning
            p += length
          } else if (c === AMP) {
            const length = referenceLength(buf, p, end)
            if (length === 0) break scanning
            p += length
          } else if (c === GT) {
            if (p - unit >= this.#run + 2 && buf[p - 1] === BRACKET && buf[p - 2] === BRACKET) {
              throw new StreamError('not-well-formed', ']]> in character data')
            }
            p++
          } else if (c === CR) {
            this.opening.canonical = false
            p++
          } else throw badCharacter()
          break
        case TAG:
          if (((classes[c] as number) & NAME_START) !== 0 || c >= 0x80) {
            if (this.#depth >= limits.maxDepth) throw tooMuch('elements nested too deep')
            this.#name.begin(p - unit)
            this.#attributes.clear()
            state = START_NAME
          } else if (c === SLASH) {
            if (!this.#rootOpen) throw malformed()
            this.#matched = 0
            p++
            state = END_NAME
          } else if (c === QUESTION) {
            if (!this.#mayDeclare) throw new StreamError('restricted-xml', 'processing instruction')
            const length = declarationLength(buf, unit, end)
            if (length === 0) break scanning
            this.#mayDeclare = false
            unit += length
            p = unit
            state = OUTSIDE
          } else if (c === BANG) {
            const length = cdataOpeningLength(buf, p, end)
            if (length === 0) break scanning
            if (this.#depth === 0) throw this.#rootOpen ? strayText() : malformed()
            this.opening.canonical = false
            p += length
            this.#run = p - unit
            state = CDATA
          } else throw malformed()
          break
        case START_NAME: {
          const name = this.#name
          p = name.read(buf, unit, p, end)
          if (p < 0) {
            p = ~p
            break scanning
          }
          this.#starts[this.#depth] = name.start
          this.#ends[this.#depth] = name.end
          this.opening.named(name.start, name.colon, name.end)
          state = IN_TAG
          break
        }
        case IN_TAG:
        case BEFORE_ATTRIBUTE:
          if (((classes[c] as number) & SPACE) !== 0) {
            if (c === CR) this.opening.canonical = false
            p++
            state = BEFORE_ATTRIBUTE
          } else if (c === GT) {
            p++
            this.opening.open(buf, unit, this.#rootOpen ? this.#depth : -1, limits)
            if (!this.#rootOpen) {
              this.#openRoot(buf, unit)
              return this.#found(HEADER, unit, p, OUTSIDE)
            }
            if (this.#depth++ === 0) this.contentStart = p - unit
            this.#run = p - unit
            state = TEXT
          } else if (c === SLASH) {
            p++
            state = EMPTY_TAG
          } else if (state === IN_TAG) throw malformed()
          else {
            if (this.#attributes.count >= limits.maxAttributes) throw tooMuch('too many attributes')
            this.#name.begin(p - unit)
            state = ATTRIBUTE_NAME
          }
          break
        case ATTRIBUTE_NAME:
          p = this.#name.read(buf, unit, p, end)
          if (p < 0) {
            p = ~p
            break scanning
          }
          state = AFTER_ATTRIBUTE_NAME
          break
        case AFTER_ATTRIBUTE_NAME:
          if (c === EQUALS) state = BEFORE_VALUE
          else if (((classes[c] as number) & SPACE) === 0) throw malformed()
          p++
          break
        case BEFORE_VALUE:
          p++
          if (c === QUOTE || c === APOS) {
            this.#quote = c
            this.#valueStart = p - unit
            this.#flags = 0
            state = VALUE
          } else if (((classes[c] as number) & SPACE) === 0) throw malformed()
          break
        case VALUE:
          while (((classes[c] as number) & VALUE_STOP) === 0) {
            if (++p === end) break scanning
            c = buf[p] as number
          }
          if (c === this.#quote) {
            const { start, colon, end } = this.#name
            this.#attributes.add(buf, unit, start, colon, end, this.#valueStart, p - unit, this.#flags)
            p++
            state = IN_TAG
          } else if (c >= 0x80) {
            const length = sequenceLength(buf, p, end)
            if (length === 0) break scanning
            this.#flags |= NON_ASCII
            p += length
          } else if (c === QUOTE || c === APOS) p++
          else if (c === AMP) {
            const length = referenceLength(buf, p, end)
            if (length === 0) break scanning
            this.#flags |= ENCODED
            p += length
          } else if (c === TAB || c === LF || c === CR) {
            this.#flags |= ENCODED
            this.opening.canonical = false
            p++
          } else throw c === LT ? malformed() : badCharacter()
          break
        case EMPTY_TAG: {
          if (c !== GT) throw malformed()
          p++
          const depth = this.#depth
          this.opening.open(buf, unit, this.#rootOpen ? depth : -1, limits)
          if (!this.#rootOpen) {
            this.#openRoot(buf, unit)
            return this.#found(HEADER, unit, p, CLOSING)
          }
          this.opening.close(depth)
          if (depth === 0) {
            this.contentStart = this.contentEnd = p - unit
            return this.#found(ELEMENT, unit, p, OUTSIDE)
          }
          this.#run = p - unit
          state = TEXT
          break
        }
        case END_NAME: {
          const depth = this.#depth - 1
          const opened = depth < 0 ? this.#rootName : buf
          const from = depth < 0 ? 0 : unit + (this.#starts[depth] as number)
          const to = depth < 0 ? opened.length : unit + (this.#ends[depth] as number)
          let expected = from + this.#matched
          while (p < end && expected < to) {
            if (buf[p] !== opened[expected]) throw mismatched()
            p++
            expected++
          }
          this.#matched = expected - from
          if (expected === to) state = AFTER_END_NAME
          break
        }
        case AFTER_END_NAME:
          p++
          if (c === GT) {
            if (this.#depth === 0) return this.#found(FOOTER, unit, p, CLOSED)
            this.opening.close(--this.#depth)
            if (this.#depth === 0) {
              this.contentEnd = this.#tag
              return this.#found(ELEMENT, unit, p, OUTSIDE)
            }
            this.#run = p - unit
            state = TEXT
          } else if (((classes[c] as number) & SPACE) === 0) throw mismatched()
          else if (c === CR) this.opening.canonical = false
          break
        case CDATA:
          p = runOver(buf, p, end, TEXT_STOP)
          if (p === end) break scanning
          c = buf[p] as number
          if (c >= 0x80) {
            const length = sequenceLength(buf, p, end)
            if (length === 0) break scanning
            p += length
          } else if (c === GT && p - unit >= this.#run + 2 && buf[p - 1] === BRACKET && buf[p - 2] === BRACKET) {
            p++
            this.#run = p - unit
            state = TEXT
          } else if (c < 0x20 && c !== CR) throw badCharacter()
          else p++
          break
        case OUTSIDE:
        case CLOSED:
          if (((classes[c] as number) & SPACE) !== 0) {
            p++
            unit = p
            if (!this.#restarted) this.#mayDeclare = false
          } else if (state === CLOSED) throw new StreamError('not-well-formed', 'data after the end of the stream')
          else if (c !== LT) throw this.#rootOpen ? strayText() : malformed()
          else {
            unit = p
            p++
            this.#tag = 0
            state = TAG
          }
          break
      }
    }
    this.unit = unit
    this.#at = p - unit
    this.#state = state
    return MORE
  }

  /** Tries the short way; true when it led to the end. Else the machine goes on from as far as it led. */
  #skim(buf: Buffer, view: DataView, unit: number, end: number, limits: TokenizerLimits): boolean {
    const skimmer = this.#skimmer
    const came = skimmer.skim(buf, view, unit, end, limits)
    if (came === UNUSUAL) this.#mayBePlain = false
    if (came !== WHOLE && came !== CUT) return false
    this.contentStart = skimmer.contentStart
    this.#depth = came === WHOLE ? 0 : skimmer.depth
    if (came === WHOLE) {
      this.contentEnd = skimmer.contentEnd
      this.#found(ELEMENT, unit, skimmer.after, OUTSIDE)
      return true
    }
    this.#state = TEXT
    this.#at = this.#run = skimmer.at
    for (let i = 0; i < skimmer.depth; i++) {
      this.#starts[i] = skimmer.starts[i] as number
      this.#ends[i] = skimmer.ends[i] as number
    }
    return false
  }
  #found(token: number, unit: number, after: number, state: number): number {
    this.unit = unit
    this.after = after
    this.#at = 0
    this.#state = state
    this.#mayBePlain = state === OUTSIDE
    this.#skimmer.begin()
    return token
  }
  #openRoot(buf: Buffer, unit: number): void {
    this.#rootOpen = true
    this.#mayDeclare = false
    // Of its own: it lives as long as the stream, and a slice of Node's pool would keep all of that alive.
    const name = buf.subarray(unit + (this.#starts[0] as number), unit + (this.#ends[0] as number))
    this.#rootName = Buffer.allocUnsafeSlow(name.length)
    this.#rootName.set(name)
  }
}
