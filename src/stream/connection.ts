import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { type Token, Tokenizer, type TokenizerLimits } from '../xmpp/tokenizer.ts'

/** Elements handled for one connection before the others get their turn, and how long that may take; looked at every few. */
const TOKENS_PER_TURN = 64
const MS_PER_TURN = 1
const TOKENS_PER_LOOK = 8
/** More reads than these in a turn, of so few bytes on average, are a drip: each costs as much as a stanza. */
const DRIP_READS = 64
const DRIP_BYTES = 16
/** How long a dripping connection then waits. */
const DRIP_PAUSE_MS = 50
/**
 * The ring in which Node keeps what TLS has encrypted begins with 1,024 bytes and grows by 16 KiB, for good, when more is written
 * at once. A connection that has only now and then more to say says it in pieces that fit, one a turn.
 */
const PIECE_BYTES = 960
const PIECES_PER_BURST = 24
const BURST_MS = 10_000
/** Times `highWater` that may wait for a peer that does not read. */
const OVERFLOW = 16

/** What a connection tells its owner. */
export interface ConnectionOwner {
  /** One token, in order. A throw ends the connection through `failed`. */
  token(token: Token): void
  /** The tokenizer or the owner's `token` threw. Nothing more is read. */
  failed(error: unknown): void
  /** The socket is gone; called once, last of all. */
  gone(error: Error | undefined): void
  /** Once a turn in which something was written or read, before it is sent: the last chance to add to this turn's write. */
  turn(): void
  /** A slow connection has caught up. */
  drained(): void
}

/** One `setImmediate` per turn of the event loop for all connections that have something to send or to go on with. */
export class Turns {
  #touched: Connection[] = []
  #scheduled = false

  touch(connection: Connection): void {
    this.#touched.push(connection)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#run)
  }
  readonly #run = (): void => {
    const touched = this.#touched
    this.#touched = []
    this.#scheduled = false
    for (const connection of touched) connection.endTurn()
  }
}

/**
 * Socket ↔ tokenizer ↔ out-queue. All that is written in one turn of the event loop leaves in one write (performance.md rule 1);
 * reading stops while the owner holds it, after a turn's share of elements, so that nobody starves the others, and while the
 * peer does not read what it was sent, since it may not ask for more than it takes.
 */
export class Connection {
  readonly #turns: Turns
  readonly tokenizer: Tokenizer
  readonly #highWater: number
  #owner: ConnectionOwner
  #socket: Socket
  #out: Buffer[] = []
  #outBytes = 0
  #writtenBytes = 0
  #touched = false
  #spent = 0
  #until = 0
  #reads = 0
  #readBytes = 0
  #drip: NodeJS.Timeout | undefined
  #held = false
  #failed = false
  #paused = false
  #slow = false
  #gone = false
  #finish = false
  #isDetached = false
  /** Pieces that may still be made; 0 for good once a burst was too long for them. */
  #pieces = PIECES_PER_BURST
  #lastPiece = 0

  /** `highWater`: bytes waiting to be sent above which the connection counts as slow. */
  constructor(
    socket: Socket,
    turns: Turns,
    options: { readonly limits: TokenizerLimits; readonly highWater: number },
    owner: ConnectionOwner,
  ) {
    this.#turns = turns
    this.#highWater = options.highWater
    this.#owner = owner
    // COMPAT(Kontalk desktop 4.5): the request for the server list.
    this.tokenizer = new Tokenizer(options.limits, { doubledCommandNs: true })
    this.#socket = socket
    this.#listen()
  }
  get socket(): Socket {
    return this.#socket
  }
  set owner(owner: ConnectionOwner) {
    this.#owner = owner
  }
  get isGone(): boolean {
    return this.#gone
  }
  /** True while more is waiting to be sent than a healthy peer leaves. */
  get isSlow(): boolean {
    return this.#slow
  }
  /** True while so much is waiting to be sent that the peer must be taken for gone. */
  get isOverfull(): boolean {
    return this.#waiting > this.#highWater * OVERFLOW
  }
  /** Of all that was written, what does not wait any more. */
  get takenBytes(): number {
    return this.#writtenBytes - this.#waiting
  }
  get #waiting(): number {
    return this.#outBytes + this.#socket.writableLength
  }

  /** Joins this turn's write. */
  write(bytes: Buffer | string): void {
    if (this.#gone || this.#finish) return
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    this.#out.push(chunk)
    this.#outBytes += chunk.length
    this.#writtenBytes += chunk.length
    if (this.#waiting > this.#highWater) this.#slow = true
    this.touch()
  }
  /** Has `turn` called at the end of this turn of the event loop. */
  touch(): void {
    if (this.#touched) return
    this.#touched = true
    this.#turns.touch(this)
  }
  /** Stops handing tokens to the owner, until `release`. */
  hold(): void {
    this.#held = true
  }
  release(): void {
    this.#held = false
    this.touch()
  }
  /** What still comes in is dropped. */
  ignoreInput(): void {
    this.#failed = true
  }
  /** Sends what waits and then our FIN; what the peer still sends is dropped unless `reading`. */
  finish(): void {
    if (this.#gone || this.#finish) return
    this.#finish = true
    this.touch()
  }
  destroy(): void {
    this.#socket.destroy()
  }

  /** Lets go of the raw socket for TLS; nothing of it reaches the tokenizer any more (RFC 6120 §5.4.3.3: no byte before TLS counts). */
  detachSocket(): Socket {
    this.#flush()
    this.#isDetached = true
    const socket = this.#socket
    socket.removeListener('data', this.#onData)
    socket.removeListener('drain', this.#onDrain)
    socket.removeListener('end', this.#onEnd)
    socket.removeListener('close', this.#onClose)
    socket.removeListener('error', this.#onError)
    return socket
  }
  /** The socket was detached and nothing came of it. */
  abandon(): void {
    this.#socket.destroy()
    this.#onClose()
  }
  /** Goes on with the secured socket. */
  attachSocket(socket: Socket): void {
    this.#socket = socket
    this.#isDetached = false
    this.#paused = false
    this.#listen()
    if (socket.destroyed) this.#onClose()
  }

  /** Called by Turns. */
  endTurn(): void {
    this.#touched = false
    this.#spent = 0
    this.#reads = 0
    this.#readBytes = 0
    this.#pump()
    if (!this.#gone) this.#owner.turn()
    this.#flush()
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('data', this.#onData)
    socket.on('drain', this.#onDrain)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
    socket.on('error', this.#onError)
  }
  #error: Error | undefined
  readonly #onError = (error: Error): void => {
    this.#error = error
  }
  readonly #onData = (chunk: Buffer): void => {
    if (this.#failed || this.#finish) return
    this.#reads++
    this.#readBytes += chunk.length
    this.tokenizer.push(chunk)
    this.#pump()
    if (this.#reads === 2) this.touch()
    if (this.#reads > DRIP_READS && this.#readBytes < this.#reads * DRIP_BYTES) this.#slowDown()
  }
  #slowDown(): void {
    this.#drip ??= setTimeout(() => {
      this.#drip = undefined
      this.touch()
    }, DRIP_PAUSE_MS)
    this.#pause()
  }
  readonly #onDrain = (): void => {
    if (!this.#slow) return
    this.#slow = false
    this.touch()
    this.#owner.drained()
  }
  readonly #onEnd = (): void => {
    this.#socket.end()
  }
  readonly #onClose = (): void => {
    if (this.#gone) return
    this.#gone = true
    clearTimeout(this.#drip)
    this.#out = []
    this.#owner.gone(this.#error)
  }

  #pump(): void {
    try {
      while (!this.#held && !this.#failed && !this.#gone && !this.#slow) {
        if (this.#isShareSpent()) {
          this.touch()
          break
        }
        const token = this.tokenizer.next()
        if (token === undefined) {
          this.#resume()
          return
        }
        this.#spent++
        this.touch()
        this.#owner.token(token)
      }
    } catch (error) {
      this.#failed = true
      this.#owner.failed(error)
      return
    }
    this.#pause()
  }
  #isShareSpent(): boolean {
    if (this.#spent === 0 || this.#spent % TOKENS_PER_LOOK !== 0) return false
    if (this.#spent >= TOKENS_PER_TURN) return true
    const now = performance.now()
    if (this.#spent === TOKENS_PER_LOOK) this.#until = now + MS_PER_TURN
    return now >= this.#until
  }
  #pause(): void {
    if (this.#paused || this.#failed || this.#isDetached) return
    this.#paused = true
    this.#socket.pause()
  }
  #resume(): void {
    if (!this.#paused || this.#drip !== undefined) return
    this.#paused = false
    this.#socket.resume()
  }
  #flush(): void {
    if (this.#gone || this.#isDetached) return
    const out = this.#out
    if (out.length > 0) {
      const bytes = out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out, this.#outBytes)
      const count = this.#isInPieces() ? PIECE_BYTES : bytes.length
      this.#out = count < bytes.length ? [bytes.subarray(count)] : []
      this.#outBytes = bytes.length - count
      if (this.#socket.writable) this.#socket.write(count < bytes.length ? bytes.subarray(0, count) : bytes)
      if (this.#outBytes > 0) {
        this.touch()
        return
      }
      if (this.#slow && !this.#socket.writableNeedDrain) this.#onDrain()
    }
    if (this.#finish && !this.#socket.writableEnded) this.#socket.end()
  }
  /** False when all that waits may leave in one write. */
  #isInPieces(): boolean {
    if (this.#outBytes <= PIECE_BYTES || this.#pieces === 0 || !(this.#socket instanceof TLSSocket)) return false
    const now = performance.now()
    if (now - this.#lastPiece > BURST_MS) this.#pieces = PIECES_PER_BURST
    this.#lastPiece = now
    if (this.#outBytes > this.#pieces * PIECE_BYTES) this.#pieces = 0
    else this.#pieces--
    return this.#pieces > 0
  }
}
