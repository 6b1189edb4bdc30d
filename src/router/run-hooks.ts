import type { Hook, Phase, Phases, Station, Stations } from '../contract/hook.ts'
import type { Ticket } from '../util/ticket.ts'
import type { Stanza } from '../xmpp/stanza.ts'

/** Hooks of all enabled features, grouped once at start so that a stanza costs one map look-up per phase. */
export class HookTable {
  readonly #byKey = new Map<string, Hook['run'][]>()
  readonly #stations = new Set<string>()
  constructor(hooks: Iterable<Hook>) {
    for (const hook of hooks) {
      const key = `${hook.station} ${hook.kind} ${hook.phase}`
      this.#stations.add(`${hook.station} ${hook.kind}`)
      const runs = this.#byKey.get(key)
      if (runs) runs.push(hook.run)
      else this.#byKey.set(key, [hook.run])
    }
  }
  /** True when a station does nothing to this kind of stanza, so that it need not be run at all. */
  isEmpty(station: Station, kind: Stanza['kind']): boolean {
    return this.#stations.size === 0 || !this.#stations.has(`${station} ${kind}`)
  }
  of<S extends Station, P extends Phase>(
    station: S,
    kind: Stanza['kind'],
    phase: P,
  ): readonly Phases<Stations[S]>[P][] {
    return (this.#byKey.get(`${station} ${kind} ${phase}`) ?? NONE) as readonly Phases<Stations[S]>[P][]
  }
}
const NONE: readonly never[] = []

/**
 * Takes one stanza through one station: guard, annotate, record, then `work` with the tickets that were taken.
 * `work` calls `copy` when they have settled (at once, where there are none).
 * Returns false when a guard dropped it. Throws what guard, annotate, record or `work` threw; `onCopyError` gets the rest.
 */
export function runStation<S extends Station>(
  table: HookTable,
  station: S,
  first: Stations[S],
  work: (event: Stations[S], tickets: readonly Ticket[], copy: () => void) => void,
  onCopyError: (error: unknown) => void,
): boolean {
  const { kind } = first.stanza
  let event = first
  for (const guard of table.of(station, kind, 'guard')) if (guard(event) === 'drop') return false
  for (const annotate of table.of(station, kind, 'annotate')) event = { ...event, stanza: annotate(event) }
  const tickets: Ticket[] = []
  for (const record of table.of(station, kind, 'record')) {
    const ticket = record(event)
    if (ticket) tickets.push(ticket)
  }
  work(event, tickets, () => {
    for (const copy of table.of(station, kind, 'copy')) {
      try {
        copy(event)
      } catch (error) {
        onCopyError(error)
      }
    }
  })
  return true
}
