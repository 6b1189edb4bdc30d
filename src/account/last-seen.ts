import type { LastSeenStore } from './last-seen-store.ts'

/** Accounts written in one statement. */
const AT_ONCE = 1_000
/** Ends that wait for a store that does not answer; more are not noted. */
const MAX_WAITING = 100_000
const RETRY_MS = 5_000

/**
 * When accounts were last here. Ends of sessions are written at once, and those that come while that is under way together, so a
 * mass departure costs few statements.
 */
export class LastSeen {
  readonly #store: LastSeenStore
  readonly #failed: (error: unknown) => void
  #waiting = new Map<number, number>()
  #writing: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(store: LastSeenStore, failed: (error: unknown) => void) {
    this.#store = store
    this.#failed = failed
  }

  /** A session of the account has ended, whether it was the last or not: with another one there nobody asks for the time. */
  ended(account: number, at: number): void {
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(account)) return
    this.#waiting.set(account, at)
    if (this.#writing === undefined && this.#retry === undefined) this.#writing = this.#write()
  }
  find(account: number): Promise<number | undefined> {
    return this.#store.find(account)
  }
  /** Writes what waits; what cannot be written is lost. */
  async close(): Promise<void> {
    await this.#writing
    clearTimeout(this.#retry)
    if (this.#waiting.size > 0) await this.#write()
    clearTimeout(this.#retry)
  }

  async #write(): Promise<void> {
    // Those that end in one turn of the event loop go together.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      while (this.#waiting.size > 0) {
        const batch = new Map([...this.#waiting].slice(0, AT_ONCE))
        await this.#store.put(batch)
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
