import { CLASS, TEXT_STOP } from './characters.ts'

/** ASCII octets to compare with: `length` of the view from `at` on. */
export interface Octets {
  readonly view: DataView
  readonly at: number
  readonly length: number
}
/** The octets of each text, all in one place. */
export function octetsOf(texts: readonly string[]): Octets[] {
  const view = new DataView(Uint8Array.from(Buffer.from(texts.join(''), 'latin1')).buffer)
  let end = 0
  return texts.map(({ length }) => {
    const at = end
    end += length
    return { view, at, length }
  })
}
/** Whether these octets stand at `p` and end before `limit`. */
export function standsAt(octets: Octets, view: DataView, p: number, limit: number): boolean {
  const { length } = octets
  return p + length <= limit && sameOctets(octets.view, octets.at, view, p, length)
}

/**
 * Whether `length` octets of the one, from `at` on, are those of the other from `p` on; both must have so many. Eight at a time,
 * an address takes a third of the time it takes octet by octet.
 */
export function sameOctets(one: DataView, at: number, other: DataView, p: number, length: number): boolean {
  // The last eight, or four, may overlap those before.
  if (length < 8) {
    if (length >= 4) {
      if (one.getInt32(at, true) !== other.getInt32(p, true)) return false
      return one.getInt32(at + length - 4, true) === other.getInt32(p + length - 4, true)
    }
    for (let i = 0; i < length; i++) if (one.getUint8(at + i) !== other.getUint8(p + i)) return false
    return true
  }
  const last = length - 8
  for (let i = 0; i < last; i += 8) {
    if (one.getBigInt64(at + i, true) !== other.getBigInt64(p + i, true)) return false
  }
  return one.getBigInt64(at + last, true) === other.getBigInt64(p + last, true)
}

/**
 * The first octet from `p` on that character data cannot simply run over; `end` when there is none. Four at a time: of an octet
 * less than what is subtracted, the topmost bit is set after; so it is of one that is not ASCII, and of what comes behind such a one.
 */
export function textEnd(buf: Uint8Array, view: DataView, p: number, end: number): number {
  const classes = CLASS
  const last = end - 4
  let at = p
  for (;;) {
    let found = 0
    while (at <= last) {
      const four = view.getInt32(at, true)
      // `<` and `>` differ in one bit.
      const angle = (four | 0x02020202) ^ 0x3e3e3e3e
      const amp = four ^ 0x26262626
      found = (four | (four - 0x20202020) | (angle - 0x01010101) | (amp - 0x01010101)) & 0x80808080
      if (found !== 0) break
      at += 4
    }
    if (found !== 0) at += (31 - Math.clz32(found & -found)) >> 3
    if (at >= end) return at
    if (((classes[buf[at] as number] as number) & TEXT_STOP) !== 0) return at
    // A tabulator or line feed.
    at++
  }
}
