import type { ArchiveBounds, ArchiveStore } from './archive.ts'

/** Accounts looked at in one query. */
const ACCOUNTS_AT_ONCE = 200

/**
 * Brings all archives within their bounds, account by account and in steps so short that nobody waits for them; returns how many
 * entries went. Ends early when `signal` is aborted; several nodes may do it at once.
 */
export async function tidyArchives(
  store: Pick<ArchiveStore, 'untidy' | 'tidy'>,
  bounds: ArchiveBounds,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: Awaited<ReturnType<ArchiveStore['untidy']>> = await store.untidy(after, ACCOUNTS_AT_ONCE, bounds)
    for (const account of page.accounts) {
      for (let isDone = false; !isDone; ) {
        if (signal.aborted) return removed
        const step = await store.tidy(account, bounds)
        removed += step.removed
        isDone = step.isDone
      }
    }
    if (signal.aborted) return removed
    after = page.last
  }
  return removed
}
