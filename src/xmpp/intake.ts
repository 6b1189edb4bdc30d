const NO_OCTETS = Buffer.alloc(0)
const NO_VIEW = viewOf(NO_OCTETS)
/** So much of a chunk may be copied for the tail of an element, and so much is room made for at least. */
const COPIED = 2048
const FIRST_ROOM = 512

/**
 * The octets a tokenizer works on, in one piece: those of a chunk as it came, or, while an element lies in several, copies of them.
 * However they come, each is copied a bounded number of times.
 */
export class Intake {
  buf: Buffer = NO_OCTETS
  /** Of the same octets: it reads several at once. */
  view = NO_VIEW
  /** Octets of `buf` that are not yet consumed. */
  start = 0
  end = 0
  /** Chunks not yet in `buf`, from `#head` on, the first of them from `#offset` on. */
  #chunks: Buffer[] = []
  #head = 0
  #offset = 0
  /** Octets in `#chunks` from there on. */
  #waiting = 0
  /** True while `buf` is our own. */
  #gathering = false

  /** Octets pushed and not consumed. */
  get length(): number {
    return this.#waiting + this.end - this.start
  }
  push(chunk: Buffer): void {
    if (this.length === 0) this.#lookAt(chunk, 0)
    else {
      this.#chunks.push(chunk)
      this.#waiting += chunk.length
    }
  }
  /** Makes more octets follow those that are not consumed; false when there are none. */
  more(): boolean {
    if (this.#waiting === 0) {
      // A chunk is kept only as long as part of an element is in it.
      if (this.start === this.end) this.#look(NO_OCTETS, NO_VIEW, 0, 0)
      return false
    }
    const chunk = this.#chunks[this.#head] as Buffer
    const kept = this.end - this.start
    if (kept === 0) {
      this.#lookAt(chunk, this.#offset)
      this.#take(chunk, chunk.length - this.#offset)
      return true
    }
    // Never much more than there is already: an element's tail must not pull in the rest of a big chunk.
    const count = Math.min(chunk.length - this.#offset, Math.max(kept, COPIED))
    if (!this.#gathering || this.end + count > this.buf.length) this.#grow(kept, count)
    chunk.copy(this.buf, this.end, this.#offset, this.#offset + count)
    this.end += count
    this.#take(chunk, count)
    return true
  }
  /** Takes away what stands before `to`. */
  consume(to: number): void {
    this.start = to
    if (!this.#gathering || this.#offset === 0) return
    // What was copied beyond is still in the chunk it came from, and there is more of that.
    const beyond = this.end - to
    this.#offset -= beyond
    this.#waiting += beyond
    this.end = to
  }
  forget(): void {
    if (this.#chunks.length > 0) this.#chunks = []
    this.#head = this.#offset = this.#waiting = 0
    this.#look(NO_OCTETS, NO_VIEW, 0, 0)
  }

  /** Goes on to the next chunk behind the last octet of one. */
  #take(chunk: Buffer, count: number): void {
    this.#offset += count
    this.#waiting -= count
    if (this.#offset < chunk.length) return
    this.#offset = 0
    if (++this.#head < this.#chunks.length) return
    this.#chunks = []
    this.#head = 0
  }
  #grow(kept: number, count: number): void {
    // An element that outgrows its room gets twice as much as it needs.
    const outgrown = this.#gathering && this.start === 0
    const room = Buffer.allocUnsafe(Math.max(FIRST_ROOM, (outgrown ? 2 : 1) * (kept + count)))
    this.buf.copy(room, 0, this.start, this.end)
    this.#look(room, viewOf(room), 0, kept)
    this.#gathering = true
  }
  #lookAt(chunk: Buffer, from: number): void {
    this.#look(chunk, viewOf(chunk), from, chunk.length)
  }
  #look(buf: Buffer, view: DataView, start: number, end: number): void {
    this.buf = buf
    this.view = view
    this.start = start
    this.end = end
    this.#gathering = false
  }
}

function viewOf(buf: Buffer): DataView {
  return new DataView(buf.buffer, buf.byteOffset, buf.length)
}
