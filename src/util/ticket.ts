/** What became of an entry: kept (with its id in the account's log, when it has one) or refused. */
export type Settlement = { readonly id: number | undefined } | { readonly fault: Error }

/**
 * A stanza's promise of safety: settled once it is committed, taken by a device, or refused. A session goes on with the next
 * stanza meanwhile (DESIGN.md, promises).
 */
export interface Ticket {
  /** Calls back once; at once when it has settled already. */
  settled(then: (settlement: Settlement) => void): void
}
