/** Something that is done again and again as long as the server runs. */
export interface Chore {
  /** For the log. */
  readonly what: string
  readonly everyMs: number
  /** Once at the start too. */
  readonly isDoneAtStart?: boolean
  work(): Promise<unknown>
}

/** Does chores at their times; none twice at a time. What fails is logged and done again the next time. */
export class Housekeeping {
  readonly #timers: NodeJS.Timeout[] = []
  readonly #running = new Map<Chore, Promise<void>>()
  readonly #log: { warn(data: unknown, text: string): void }

  constructor(log: { warn(data: unknown, text: string): void }, chores: readonly Chore[]) {
    this.#log = log
    for (const chore of chores) {
      this.#timers.push(setInterval(() => this.#do(chore), chore.everyMs).unref())
      if (chore.isDoneAtStart === true) this.#do(chore)
    }
  }
  #do(chore: Chore): void {
    if (this.#running.has(chore)) return
    const done = chore
      .work()
      .then(
        () => undefined,
        (error: unknown) => this.#log.warn({ err: error, chore: chore.what }, 'housekeeping failed'),
      )
      .finally(() => this.#running.delete(chore))
    this.#running.set(chore, done)
  }
  /** Begins nothing any more, and settles when what is under way has ended. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await Promise.all(this.#running.values())
  }
}
