import { setTimeout } from 'node:timers/promises'

/** For programs of others, which tell nobody when they are done. */
const EVERY_MS = 40
const LIMIT_MS = 15_000

/** Looks again and again until there is something. @throws Error with `what` and `shown()` when it does not come */
export async function until<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string,
  shown: () => string,
): Promise<T> {
  const end = performance.now() + LIMIT_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`${what}: did not come within ${LIMIT_MS} ms\n${shown()}`)
    await setTimeout(EVERY_MS)
  }
}
