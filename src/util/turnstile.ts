/** Lets one through in each turn of the event loop, in order: however many come at once, others wait for one of them only. */
export class Turnstile {
  readonly #waiting: (() => void)[] = []

  /** Settles when it is the caller's turn. */
  enter(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(this.#next)
    })
  }
  readonly #next = (): void => {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(this.#next)
  }
}
