import type { Relay } from './relay.ts'

/** A node that says nothing for so long is not waited for: what it had taken comes again, under the same id. */
const PATIENCE_MS = 1_000

/** Asks other nodes to write down what they know of an account's log before it is read here. */
export class Flushes {
  readonly #relay: () => Relay
  readonly #open = new Map<number, () => void>()
  #last = 0

  constructor(relay: () => Relay) {
    this.#relay = relay
  }
  /** Settles when all have answered, or patience is over. */
  async ask(nodes: ReadonlySet<string>, account: number): Promise<void> {
    await Promise.all([...nodes].map((node) => this.#ask(node, account)))
  }
  #ask(node: string, account: number): Promise<void> {
    const ask = ++this.#last
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#open.delete(ask)
        resolve()
      }
      const timer = setTimeout(done, PATIENCE_MS)
      this.#open.set(ask, done)
      this.#relay().send(node, { frame: 'flush', node: this.#relay().node, ask, account })
    })
  }
  answered(ask: number): void {
    this.#open.get(ask)?.()
  }
}
