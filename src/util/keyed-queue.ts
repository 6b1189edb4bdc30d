/** Work in order per key. What finds its key idle and does not wait runs at once and costs no promise. */
export class KeyedQueue<K> {
  readonly #last = new Map<K, Promise<void>>()

  /** What `work` returns or throws; a failure holds up nothing that comes after it. */
  run<T>(key: K, work: () => T | Promise<T>): T | Promise<T> {
    const before = this.#last.get(key)
    const done = before === undefined ? work() : before.then(work)
    if (!(done instanceof Promise)) return done
    const forget = (): void => {
      if (this.#last.get(key) === last) this.#last.delete(key)
    }
    const last: Promise<void> = done.then(forget, forget)
    this.#last.set(key, last)
    return done
  }
  /** Keys with work under way. */
  get size(): number {
    return this.#last.size
  }
}
