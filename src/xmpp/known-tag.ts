import { NOT_PLAIN, plainValueEnd } from './characters.ts'
import { sameOctets } from './octets.ts'

const NO_OCTETS = new Uint8Array(0)

/**
 * A top-level start tag as it came last. Whoever sends again mostly says the same again, but for the id: comparing the octets
 * finds them valid and where they end in a fraction of the time that reading them takes, and the same strings serve.
 */
export class KnownTag {
  name = ''
  nameLength = 0
  isEmpty = false
  /** How many attributes it has. */
  count = 0
  /** The default namespace it declares, if it does. */
  declared = ''
  /** Bits for its attributes. */
  kinds = 0
  /** What it says, by kind of attribute, and where that stands from the name on. */
  readonly texts: (string | undefined)[] = [undefined, undefined, undefined, undefined, undefined]
  readonly places: number[] = [0, 0, 0, 0, 0]
  /** Where the id stands in the tag that was followed last; 0 without one. */
  idStart = 0
  idEnd = 0
  /** From the name to the `>`. */
  #octets = NO_OCTETS
  #view: DataView | undefined
  #length = 0
  /** Octets before the id; all when there is none. */
  #front = 0
  /** Where those behind the id begin. */
  #back = 0

  /** Takes the octets of the tag from its name to its end; `idStart` and `idEnd` are set. */
  learn(buf: Buffer, start: number, end: number): void {
    const length = end - start
    if (length > this.#octets.length) {
      this.#octets = new Uint8Array(length)
      this.#view = new DataView(this.#octets.buffer)
    }
    this.#octets.set(buf.subarray(start, end))
    this.#length = length
    this.#front = this.idStart === 0 ? length : this.idStart - start
    this.#back = this.idStart === 0 ? length : this.idEnd - start
  }
  /** The text of that kind when it stands at `start` too. */
  same(kind: number, view: DataView, start: number, length: number): string | undefined {
    const text = this.texts[kind]
    if (text?.length !== length || this.#view === undefined) return undefined
    return sameOctets(this.#view, this.places[kind] as number, view, start, length) ? text : undefined
  }
  /** Where the tag ends whose name begins at `start`, when it is this one, else `NOT_PLAIN`; the last `>` stands just before `limit`. */
  follow(buf: Buffer, view: DataView, start: number, limit: number): number {
    const known = this.#view
    const front = this.#front
    let p = start + front
    if (known === undefined || p > limit || !sameOctets(known, 0, view, start, front)) return NOT_PLAIN
    const back = this.#back
    const left = this.#length - back
    if (left === 0) return p
    this.idStart = p
    p = plainValueEnd(buf, p, this.#octets[back] as number)
    if (p === NOT_PLAIN || p + left > limit || !sameOctets(known, back, view, p, left)) return NOT_PLAIN
    this.idEnd = p
    return p + left
  }
}
