import type { LastSeenStore } from './last-seen-store.ts'
import { TimeWriter } from './time-writer.ts'

/** When accounts were last here. */
export class LastSeen {
  readonly #store: LastSeenStore
  readonly #writer: TimeWriter

  constructor(store: LastSeenStore, failed: (error: unknown) => void) {
    this.#store = store
    this.#writer = new TimeWriter((ends) => store.put(ends), failed)
  }

  /** A session of the account has ended, whether it was the last or not: with another one there nobody asks for the time. */
  ended(account: number, at: number): void {
    this.#writer.note(account, at)
  }
  find(account: number): Promise<number | undefined> {
    return this.#store.find(account)
  }
  /** Writes what waits; what cannot be written is lost. */
  close(): Promise<void> {
    return this.#writer.close()
  }
}
