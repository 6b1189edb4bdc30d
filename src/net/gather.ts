import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

const RECORD = { changeCipherSpec: 20, alert: 21, handshake: 22, encrypted: 23 } as const
const CLIENT_HELLO = 1
const HEADER_BYTES = 5
/** OpenSSL takes certificates of 100 KiB at most. */
const MAX_HELD_BYTES = 131_072
/** Shorter than any ClientHello, longer than any Finished of TLS 1.2. */
const LONGEST_FINISHED = 100
/**
 * Lengths of records that can only end a TLS 1.3 client's flight: a Finished alone (SHA-256 or SHA-384; OpenJDK pads by 16), or
 * behind an empty Certificate.
 */
const FINISHED_ALONE: ReadonlySet<number> = new Set([53, 69, 85])
const EMPTY_AND_FINISHED: ReadonlySet<number> = new Set([61, 77])

/** What is to be done with what has come so far: keep it, perhaps until nothing more comes, hand it on now, or hand it on and look no further. */
export type Verdict = 'hold' | 'hold-until-quiet' | 'release' | 'done'

/**
 * Follows the TLS records of a client's handshake and says when its flight from Certificate to Finished is complete. OpenSSL
 * notes an error about Kontalk's certificates that Node takes for a failed handshake, unless the whole flight is handed over at
 * once (kontalk-protocol a.4). Costs the same per byte however the bytes are cut.
 */
export class FlightWatch {
  /** Of the current record: header bytes seen, its type, its length, what is to come of it. */
  #header = 0
  #type = 0
  #length = 0
  #left = 0
  #first = -1
  #isAnswered = false
  #sawChange = false
  #encrypted = 0
  #held = 0

  /** The server has written: what the client sends from now on belongs to the flight. */
  answered(): void {
    this.#isAnswered = true
  }

  take(chunk: Uint8Array): Verdict {
    let verdict: Verdict = 'hold'
    this.#held += chunk.length
    for (let at = 0; at < chunk.length; ) {
      if (this.#header < HEADER_BYTES) this.#readHeader(chunk[at++] as number)
      else {
        if (this.#first < 0) this.#first = chunk[at] as number
        const part = Math.min(this.#left, chunk.length - at)
        this.#left -= part
        at += part
      }
      if (this.#header === HEADER_BYTES && this.#left === 0) {
        const next = this.#complete()
        if (next === 'done') return 'done'
        if (next === 'release' || verdict !== 'release') verdict = next
        this.#header = 0
        this.#first = -1
      }
    }
    if (!this.#isAnswered || verdict === 'release') {
      this.#held = 0
      return 'release'
    }
    if (this.#held > MAX_HELD_BYTES) return 'done'
    // The rest of a record is on its way: silence would mean nothing.
    return this.#header === 0 ? verdict : 'hold'
  }

  #readHeader(byte: number): void {
    if (this.#header === 0) this.#type = byte
    if (this.#header === 3) this.#length = byte << 8
    if (this.#header === 4) {
      this.#length |= byte
      this.#left = this.#length
    }
    this.#header++
  }

  #complete(): Verdict {
    switch (this.#type) {
      case RECORD.changeCipherSpec:
        this.#sawChange = true
        return 'hold'
      case RECORD.handshake:
        // A second ClientHello, after a HelloRetryRequest, comes alone or behind a ChangeCipherSpec that says nothing.
        if (this.#first === CLIENT_HELLO && this.#length > LONGEST_FINISHED) {
          this.#sawChange = false
          return 'release'
        }
        return this.#sawChange ? 'done' : 'hold'
      case RECORD.encrypted:
        this.#encrypted++
        if (this.#encrypted === 1) return EMPTY_AND_FINISHED.has(this.#length) ? 'done' : 'hold-until-quiet'
        return FINISHED_ALONE.has(this.#length) ? 'done' : 'hold-until-quiet'
      case RECORD.alert:
        return 'release'
      default:
        return 'done'
    }
  }
}

/** A raw socket whose inbound records are handed on flight by flight during the handshake, and as they come afterwards. */
export class GatheringSocket extends Duplex {
  readonly #raw: Socket
  readonly #quietMs: number
  #watch: FlightWatch | undefined = new FlightWatch()
  #held: Buffer[] = []
  #quiet: NodeJS.Timeout | undefined
  #quietTurn: NodeJS.Immediate | undefined

  /** @param quietMs how long the client is silent when its flight is over, where it cannot be told by what it sent */
  constructor(raw: Socket, quietMs: number) {
    super({ allowHalfOpen: true })
    this.#raw = raw
    this.#quietMs = quietMs
    raw.on('data', this.#onData)
    raw.once('end', () => {
      this.#release()
      this.push(null)
    })
    raw.once('error', (error) => this.destroy(error))
    raw.once('close', () => this.destroy())
  }

  override _read(): void {
    this.#raw.resume()
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#watch?.answered()
    this.#raw.write(chunk, done)
  }
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#watch?.answered()
    this.#raw.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }
  override _final(done: () => void): void {
    this.#raw.end(done)
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stopWaiting()
    this.#held = []
    this.#raw.destroy()
    done(error)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#watch === undefined) {
      if (!this.push(chunk)) this.#raw.pause()
      return
    }
    this.#stopWaiting()
    this.#held.push(chunk)
    const verdict = this.#watch.take(chunk)
    if (verdict === 'hold-until-quiet') this.#quiet = setTimeout(this.#seemsQuiet, this.#quietMs)
    else if (verdict !== 'hold') {
      if (verdict === 'done') this.#watch = undefined
      this.#release()
    }
  }
  /** What has come meanwhile is read before the immediate runs, however late the timer was. */
  readonly #seemsQuiet = (): void => {
    this.#quietTurn = setImmediate(this.#isQuiet)
  }
  readonly #isQuiet = (): void => {
    this.#watch = undefined
    this.#release()
  }
  #stopWaiting(): void {
    clearTimeout(this.#quiet)
    clearImmediate(this.#quietTurn)
  }
  /** Hands on what was held, as one chunk. */
  #release(): void {
    const held = this.#held
    this.#held = []
    if (held.length === 0 || this.destroyed) return
    const chunk = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held)
    if (!this.push(chunk)) this.#raw.pause()
  }
}
