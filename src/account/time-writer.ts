/** Accounts written in one statement. */
const AT_ONCE = 1_000
/** Times that wait for a store that does not answer; more are not noted. */
const MAX_WAITING = 100_000
const RETRY_MS = 5_000

/**
 * Writes one time for each account. What comes is written at once, and what comes while that is under way together, so that many
 * at a time cost few statements.
 */
export class TimeWriter {
  readonly #put: (times: ReadonlyMap<number, number>) => Promise<void>
  readonly #failed: (error: unknown) => void
  #waiting = new Map<number, number>()
  #writing: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(put: (times: ReadonlyMap<number, number>) => Promise<void>, failed: (error: unknown) => void) {
    this.#put = put
    this.#failed = failed
  }

  note(account: number, at: number): void {
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(account)) return
    this.#waiting.set(account, at)
    if (this.#writing === undefined && this.#retry === undefined) this.#writing = this.#write()
  }
  /** Writes what waits; what cannot be written is lost. */
  async close(): Promise<void> {
    await this.#writing
    clearTimeout(this.#retry)
    if (this.#waiting.size > 0) await this.#write()
    clearTimeout(this.#retry)
  }

  async #write(): Promise<void> {
    // Those that come in one turn of the event loop go together.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      while (this.#waiting.size > 0) {
        const batch = new Map([...this.#waiting].slice(0, AT_ONCE))
        await this.#put(batch)
        for (const [account, at] of batch) if (this.#waiting.get(account) === at) this.#waiting.delete(account)
      }
    } catch (error) {
      this.#failed(error)
      this.#retry = setTimeout(() => {
        this.#retry = undefined
        this.#writing = this.#write()
      }, RETRY_MS).unref()
    } finally {
      this.#writing = undefined
    }
  }
}
