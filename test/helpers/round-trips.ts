import type { Log } from './transcript.ts'

/** Counts how often a client had to wait for the server before it could go on; `log` is its connection's. */
export function roundTrips(): { readonly log: Log; count(): number } {
  let count = 0
  let isWaiting = false
  return {
    log: (verb) => {
      if (verb === 'sends') isWaiting = true
      else if (verb === 'hears' && isWaiting) {
        isWaiting = false
        count++
      }
    },
    count: () => count,
  }
}
