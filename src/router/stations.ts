import type { Logger } from 'pino'
import type { AccountView } from '../contract/account-view.ts'
import type { Direction, Stations as Events, Hook, Station } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import type { Kind, Message, Stanza } from '../xmpp/stanza.ts'
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

  /** What one session gets of a stanza; undefined when a guard keeps it back, or failed. */
  toSession<S extends Stanza>(stanza: S, session: Session, direction: Direction, addressed: boolean): S | undefined {
    if (this.isEmpty('toSession', stanza.kind)) return addressed ? stanza : undefined
    try {
      const event = { stanza, session, direction, addressed }
      return this.run('toSession', event, (e) => ({ result: e.stanza as S, after: undefined }))
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
