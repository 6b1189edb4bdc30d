import type { DataForm, FormDescription } from '../xmpp/data-form.ts'
import type { Awaitable } from './hook.ts'
import type { Session } from './session.ts'

/** What a step of a command comes to: a form to be filled in, or the end with a note, and with values for whoever reads no prose. */
export type CommandStep =
  | { readonly form: Omit<FormDescription, 'type'> }
  | {
      readonly note: string
      readonly level?: 'info' | 'warn' | 'error'
      readonly result?: Omit<FormDescription, 'type'>
    }

/** A command of the server (XEP-0050): asked for by name, it answers with a note, or with a form and then a note. */
export interface Command {
  /** Unique among all commands. */
  readonly node: string
  /** As people see it. */
  readonly name: string
  /** `account`: an account's own sessions, for that account; `operator`: whom the config says. */
  readonly who: 'account' | 'operator'
  /**
   * First without a form; then, as long as it answers with one, with what was filled in. A thrown StanzaError becomes the error
   * reply, and the form may be sent again.
   */
  run(call: { readonly session: Session; readonly form: DataForm | undefined }): Awaitable<CommandStep>
}

/** The commands of all enabled features. */
export interface CommandsPort {
  find(node: string): Command | undefined
  all(): readonly Command[]
}
