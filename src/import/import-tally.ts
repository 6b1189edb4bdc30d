/** What came of it: how many of each thing; of what was left behind also the first few, by the other server's row ids. */
export interface ImportReport {
  readonly taken: ReadonlyMap<string, number>
  readonly left: ReadonlyMap<string, { readonly count: number; readonly ids: readonly string[] }>
}

const EXAMPLES = 5

/** Counts what an import takes and what it leaves behind. */
export class ImportTally implements ImportReport {
  readonly taken = new Map<string, number>()
  readonly left = new Map<string, { count: number; ids: string[] }>()

  take(what: string): void {
    this.taken.set(what, (this.taken.get(what) ?? 0) + 1)
  }
  leave(why: string, id: string): void {
    const left = this.left.get(why) ?? { count: 0, ids: [] }
    left.count++
    if (left.ids.length < EXAMPLES) left.ids.push(id)
    this.left.set(why, left)
  }
}
