import { CLASS, COLON, checkName, NAME, nameCharacterLength } from './characters.ts'
import { malformed } from './xml-fault.ts'

/** A name that is being read, and may be cut anywhere; offsets are from the beginning of the top-level element. */
export class PendingName {
  start = 0
  /** -1 when the name has no prefix. */
  colon = -1
  end = 0

  begin(start: number): void {
    this.start = start
    this.colon = -1
  }
  /**
   * Goes on at `p`; where the name ends, or the complement of where to go on when the octets end first.
   * @throws StreamError when it is none
   */
  read(buf: Buffer, unit: number, p: number, end: number): number {
    const classes = CLASS
    let at = p
    for (;;) {
      while (at < end && ((classes[buf[at] as number] as number) & NAME) !== 0) at++
      if (at === end) return ~at
      const c = buf[at] as number
      if (c === COLON) {
        if (this.colon >= 0 || at - unit === this.start) throw malformed()
        this.colon = at++ - unit
      } else if (c >= 0x80) {
        const isFirst = at - unit === this.start || at - unit === this.colon + 1
        const length = nameCharacterLength(buf, at, end, isFirst)
        if (length === 0) return ~at
        at += length
      } else break
    }
    this.end = at - unit
    checkName(buf, unit + this.start, this.colon < 0 ? -1 : unit + this.colon, at)
    return at
  }
}
