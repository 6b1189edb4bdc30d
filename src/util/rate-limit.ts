import { LRUCache } from 'lru-cache'

/** Token buckets by key: at most `count` within `perMs`, refilled evenly. Memory is bounded; the least used keys are forgotten. */
export class RateLimit {
  readonly #buckets: LRUCache<string, { tokens: number; at: number }>
  readonly #count: number
  readonly #perMs: number
  readonly #now: () => number

  constructor(rate: { readonly count: number; readonly perMs: number }, now: () => number = () => performance.now()) {
    this.#count = rate.count
    this.#perMs = rate.perMs
    this.#now = now
    this.#buckets = new LRUCache({ max: 50_000 })
  }
  /** True while the key has anything left. */
  has(key: string): boolean {
    return this.#bucket(key).tokens >= 1
  }
  spend(key: string): void {
    const bucket = this.#bucket(key)
    bucket.tokens = Math.max(0, bucket.tokens - 1)
  }
  #bucket(key: string): { tokens: number; at: number } {
    const now = this.#now()
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      const fresh = { tokens: this.#count, at: now }
      this.#buckets.set(key, fresh)
      return fresh
    }
    bucket.tokens = Math.min(this.#count, bucket.tokens + ((now - bucket.at) * this.#count) / this.#perMs)
    bucket.at = now
    return bucket
  }
}
