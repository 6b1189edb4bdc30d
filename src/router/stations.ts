import type { Logger } from 'pino'
import type { AccountView } from '../contract/account-view.ts'
import type { Direction, Stations as Events, Hook, Station } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import type { Message, Stanza } from '../xmpp/stanza.ts'
import { HookTable, runStation } from './run-hooks.ts'

/** What came of the work at a station: where it is pending, what must not run before it is done is given to `after`. */
export interface Work<T> {
  readonly result: T
  /** Undefined: done. */
  readonly after: ((then: () => void) => void) | undefined
}

/** The stations of the line, with the hooks of all enabled features. A station without hooks costs nothing. */
export class StationRunner {
  readonly #hooks: HookTable
  readonly #log: Logger
  /** Some feature makes something of the account's messages for its other sessions. */
  readonly hasCopies: boolean

  constructor(hooks: readonly Hook[], log: Logger) {
    this.#hooks = new HookTable(hooks)
    this.#log = log
    this.hasCopies = this.#hooks.has('toSession', 'message')
  }
  isEmpty(station: Station, stanza: Stanza): boolean {
    return this.#hooks.isEmpty(station, stanza)
  }

  /**
   * Runs a station around its work; undefined when a guard dropped the stanza. Copies run when the tickets have settled and the
   * work is done. @throws StanzaError, and whatever a hook threw
   */
  run<S extends Station, T>(station: S, event: Events[S], work: (event: Events[S]) => Work<T>): T | undefined {
    let result: T | undefined
    const hasCopies = this.#hooks.of(station, event.stanza.kind).copy.length > 0
    runStation(
      this.#hooks,
      station,
      event,
      (e, tickets, copy) => {
        const done = work(e)
        result = done.result
        if (!hasCopies) return
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
    if (this.isEmpty('toSession', stanza)) return addressed ? stanza : undefined
    const hooks = this.#hooks.of('toSession', stanza.kind)
    try {
      let event: Events['toSession'] = { stanza, session, direction, addressed }
      for (const guard of hooks.guard) if (guard(event) === 'drop') return undefined
      for (const annotate of hooks.annotate) {
        const annotated = annotate(event)
        if (annotated !== event.stanza) event = { stanza: annotated, session, direction, addressed }
      }
      for (const copy of hooks.copy) this.#copied(copy, event)
      return event.stanza as S
    } catch (error) {
      this.#log.error({ err: error, station: 'toSession' }, 'hook failed')
      return undefined
    }
  }
  #copied(copy: (event: Events['toSession']) => void, event: Events['toSession']): void {
    try {
      copy(event)
    } catch (error) {
      this.#log.error({ err: error, station: 'toSession' }, 'copy failed')
    }
  }
  /** What is kept of a message none of the account's sessions is chosen for. @throws StanzaError */
  offline(message: Message, account: AccountView): Message | undefined {
    if (this.isEmpty('toOffline', message)) return message
    return this.run('toOffline', { stanza: message, account }, (e) => ({
      result: e.stanza as Message,
      after: undefined,
    }))
  }
}
