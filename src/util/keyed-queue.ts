/** Work in order per key. What finds its key idle and does not wait runs at once and costs no promise. */
export class KeyedQueue<K> {
  readonly #last = new Map<K, Promise<void>>()

  /** `work` must neither throw nor reject. The promise is there only when something waits. */
  run(key: K, work: () => void | Promise<void>): void | Promise<void> {
    const before = this.#last.get(key)
    const done = before === undefined ? work() : before.then(work)
    if (done === undefined) return
    const last = done.then(() => {
      if (this.#last.get(key) === last) this.#last.delete(key)
    })
    this.#last.set(key, last)
    return last
  }
  /** Keys with work under way. */
  get size(): number {
    return this.#last.size
  }
}
