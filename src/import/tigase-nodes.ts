import type { DumpRow } from './sql-dump.ts'

/** Names of the nodes on the ways to what is taken; the last one as older releases wrote it. */
const NAMES: ReadonlySet<string> = new Set(['root', 'kontalk', 'auth', 'roster', 'blocklist', 'kontalk/auth'])

interface Node {
  readonly parent: string | null
  readonly name: string
}

/** The tree in which the other server keeps what belongs to a user. */
export class TigaseNodes {
  readonly #nodes = new Map<string, Node>()

  add({ values }: DumpRow): void {
    const name = values.get('node') ?? ''
    if (NAMES.has(name)) this.#nodes.set(values.get('nid') ?? '', { name, parent: values.get('parent_nid') ?? null })
  }
  /** Names from below the root; undefined where it leads somewhere else. */
  pathOf(nid: string): string | undefined {
    const names: string[] = []
    for (let at: string | null = nid; at !== null; ) {
      const node: Node | undefined = this.#nodes.get(at)
      // No way to anything that is taken is longer.
      if (node === undefined || names.length > 3) return undefined
      if (node.name !== 'root') names.unshift(node.name)
      at = node.parent
    }
    return names.join('/')
  }
}
