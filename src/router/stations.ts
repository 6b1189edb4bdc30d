import type { Logger } from 'pino'
import type { AccountView } from '../contract/account-view.ts'
import type { Direction, Stations as Events, Hook, Phases, Station } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import type { Kind, Message, Stanza } from '../xmpp/stanza.ts'
import { HookTable, runStation } from './run-hooks.ts'

/** What came of the work at a station: where it is pending, what must not run before it is done is given to `after`. */
export interface Work<T> {
  readonly result: T
  /** Undefined: done. */
  readonly after: ((then: () => void) => void) | undefined
}

interface ToSession {
  readonly guards: readonly Phases<Events['toSession']>['guard'][]
  readonly annotates: readonly Phases<Events['toSession']>['annotate'][]
  readonly copies: readonly Phases<Events['toSession']>['copy'][]
}

/** The stations of the line, with the hooks of all enabled features. A station without hooks costs nothing. */
export class StationRunner {
  readonly #hooks: HookTable
  readonly #log: Logger
  readonly #toSession: Readonly<Record<Kind, ToSession>>
  /** Some feature makes something of the account's messages for its other sessions. */
  readonly hasCopies: boolean

  constructor(hooks: readonly Hook[], log: Logger) {
    this.#hooks = new HookTable(hooks)
    this.#log = log
    const phasesOf = (kind: Kind): ToSession => ({
      guards: this.#hooks.of('toSession', kind, 'guard'),
      annotates: this.#hooks.of('toSession', kind, 'annotate'),
      copies: this.#hooks.of('toSession', kind, 'copy'),
    })
    this.#toSession = { message: phasesOf('message'), presence: phasesOf('presence'), iq: phasesOf('iq') }
    this.hasCopies = !this.#hooks.isEmpty('toSession', 'message')
  }
  isEmpty(station: Station, kind: Kind): boolean {
    return this.#hooks.isEmpty(station, kind)
  }

  /**
   * Runs a station around its work; undefined when a guard dropped the stanza. Copies run when the tickets have settled and the
   * work is done. @throws StanzaError, and whatever a hook threw
   */
  run<S extends Station, T>(station: S, event: Events[S], work: (event: Events[S]) => Work<T>): T | undefined {
    let result: T | undefined
    runStation(
      this.#hooks,
      station,
      event,
      (e, tickets, copy) => {
        const done = work(e)
        result = done.result
        let open = tickets.length + (done.after === undefined ? 0 : 1)
        if (open === 0) copy()
        const step = () => {
          if (--open === 0) copy()
        }
        for (const ticket of tickets) ticket.settled(step)
        done.after?.(step)
      },
      (error) => this.#log.error({ err: error, station }, 'copy failed'),
    )
    return result
  }

  /**
   * What one session gets of a stanza; undefined when a guard keeps it back, or failed. The way of every stanza to every session,
   * so it makes do without `runStation`; nothing can be recorded here.
   */
  toSession<S extends Stanza>(stanza: S, session: Session, direction: Direction, addressed: boolean): S | undefined {
    const { guards, annotates, copies } = this.#toSession[stanza.kind]
    if (guards.length === 0 && annotates.length === 0 && copies.length === 0) return addressed ? stanza : undefined
    try {
      let event: Events['toSession'] = { stanza, session, direction, addressed }
      for (const guard of guards) if (guard(event) === 'drop') return undefined
      for (const annotate of annotates) {
        const annotated = annotate(event)
        if (annotated !== event.stanza) event = { stanza: annotated, session, direction, addressed }
      }
      for (const copy of copies) copy(event)
      return event.stanza as S
    } catch (error) {
      this.#log.error({ err: error, station: 'toSession' }, 'hook failed')
      return undefined
    }
  }
  /** What is kept of a message none of the account's sessions is chosen for. @throws StanzaError */
  offline(message: Message, account: AccountView): Message | undefined {
    if (this.isEmpty('toOffline', 'message')) return message
    return this.run('toOffline', { stanza: message, account }, (e) => ({
      result: e.stanza as Message,
      after: undefined,
    }))
  }
}
