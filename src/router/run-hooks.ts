import type { Hook, Phase, Phases, Station, Stations } from '../contract/hook.ts'
import type { Ticket } from '../util/ticket.ts'
import type { Kind, Stanza } from '../xmpp/stanza.ts'
import type { QName } from '../xmpp/tokenizer.ts'

/** The hooks of one station for one kind of stanza, by phase. */
export interface StationHooks<S extends Station> {
  readonly guard: readonly Phases<Stations[S]>['guard'][]
  readonly annotate: readonly Phases<Stations[S]>['annotate'][]
  readonly record: readonly Phases<Stations[S]>['record'][]
  readonly copy: readonly Phases<Stations[S]>['copy'][]
}
interface Group {
  readonly hooks: StationHooks<never>
  /** Payloads that some hook is about; undefined: one is about every stanza. */
  readonly payloads: readonly QName[] | undefined
}
const KINDS: readonly Kind[] = ['message', 'presence', 'iq']
const STATIONS: readonly Station[] = ['fromClient', 'fromServer', 'toAccount', 'toOffline', 'toSession', 'toServer']

/** Hooks of all enabled features, grouped once at start, so that a stanza finds those of a station by two look-ups. */
export class HookTable {
  readonly #table: Readonly<Record<Station, Readonly<Record<Kind, Group>>>>
  constructor(hooks: Iterable<Hook>) {
    const all = [...hooks]
    const of = (station: Station, kind: Kind): Group => {
      const own = all.filter((hook) => hook.station === station && hook.kind === kind)
      const phase = (name: Phase) => own.filter((hook) => hook.phase === name).map(limited)
      const payloads = own.map((hook) => hook.payload).filter((payload) => payload !== undefined)
      return {
        hooks: { guard: phase('guard'), annotate: phase('annotate'), record: phase('record'), copy: phase('copy') },
        payloads: payloads.length === own.length ? payloads : undefined,
      } as Group
    }
    const kinds = (station: Station) => Object.fromEntries(KINDS.map((kind) => [kind, of(station, kind)]))
    this.#table = Object.fromEntries(STATIONS.map((station) => [station, kinds(station)])) as never
  }
  of<S extends Station>(station: S, kind: Kind): StationHooks<S> {
    return this.#table[station][kind].hooks as StationHooks<S>
  }
  /** True when some hook of the station is about this kind of stanza. */
  has(station: Station, kind: Kind): boolean {
    return this.#table[station][kind].payloads?.length !== 0
  }
  /** True when the station does nothing to this stanza, so that it need not be run at all. */
  isEmpty(station: Station, stanza: Stanza): boolean {
    const { payloads } = this.#table[station][stanza.kind]
    if (payloads === undefined) return false
    for (const { name, ns } of payloads) if (stanza.has(name, ns)) return false
    return true
  }
}
/** A hook that is about some payload only, as one that lets all else pass. */
function limited({ phase, payload, run }: Hook): (event: { readonly stanza: Stanza }) => unknown {
  const ask = run as (event: { readonly stanza: Stanza }) => unknown
  if (payload === undefined) return ask
  const { name, ns } = payload
  return (event) => {
    if (event.stanza.has(name, ns)) return ask(event)
    if (phase === 'guard') return 'pass'
    return phase === 'annotate' ? event.stanza : undefined
  }
}

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
  const hooks = table.of(station, first.stanza.kind)
  let event = first
  for (const guard of hooks.guard) if (guard(event) === 'drop') return false
  for (const annotate of hooks.annotate) {
    const stanza = annotate(event)
    if (stanza !== event.stanza) event = { ...event, stanza }
  }
  let tickets: readonly Ticket[] = NONE
  for (const record of hooks.record) {
    const ticket = record(event)
    if (ticket) tickets = [...tickets, ticket]
  }
  work(event, tickets, hooks.copy.length === 0 ? NOTHING : () => copyAll(hooks.copy, event, onCopyError))
  return true
}
const NONE: readonly never[] = []
const NOTHING = (): void => undefined

function copyAll<E>(copies: readonly ((event: E) => void)[], event: E, onError: (error: unknown) => void): void {
  for (const copy of copies) {
    try {
      copy(event)
    } catch (error) {
      onError(error)
    }
  }
}
