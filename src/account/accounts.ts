import type { BareJid } from '../xmpp/jid.ts'

/** Who may exist: creates, disables, deletes accounts and keeps their passwords. Written by the account helper. */
export interface Accounts {
  readonly placeholder?: BareJid
}
