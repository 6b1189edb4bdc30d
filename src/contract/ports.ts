import type { Accounts } from '../account/accounts.ts'
import type { Registration } from '../account/registration.ts'
import type { Keys } from '../keys/directory.ts'
import type { Registry } from '../presence/registry.ts'
import type { Rosters } from '../roster/roster.ts'
import type { Domain, FullJid, Jid } from '../xmpp/jid.ts'
import type { Iq, Stanza } from '../xmpp/stanza.ts'
import type { Views } from './account-view.ts'
import type { Recipient } from './session.ts'

/** Sends stanzas of the server's own, or on behalf of an account, down the line. */
export interface LinePort {
  /** Routes it like any other, without hooks of `fromClient`; answers and errors to it are dropped. */
  submit(stanza: Stanza): void
  /** To exactly this connected resource, on whichever node. Never kept, never bounced. */
  sendTo(recipient: Recipient, stanza: Stanza): void
}
/** Asks a client; the answer comes back to the node that asked. */
export interface AskPort {
  /** @returns the result or error iq, undefined after `timeoutMs` or when the resource is gone. */
  ask(iq: Iq, timeoutMs: number): Promise<Iq | undefined>
}
/** What this server says of itself (XEP-0030, XEP-0115): filled by server.ts from all enabled features. */
export interface DiscoPort {
  readonly domains: ReadonlySet<Domain>
  readonly serverFeatures: readonly string[]
  readonly accountFeatures: readonly string[]
  readonly items: readonly { readonly jid: Jid; readonly name: string }[]
}
/** Ends sessions on all nodes. */
export interface SessionsPort {
  /** Ends every session of the account, with `except` left alone; `condition` is the stream error's. */
  end(account: Jid, condition: 'not-authorized' | 'conflict' | 'policy-violation', text: string, except?: FullJid): void
}

/** What a feature may ask of the rest of the server. server.ts fills them; tests fill them with fakes. */
export interface Ports {
  readonly line: LinePort
  readonly ask: AskPort
  readonly disco: DiscoPort
  readonly sessions: SessionsPort
  readonly views: Views
  readonly registry: Registry
  readonly accounts: Accounts
  readonly registration: Registration
  readonly rosters: Rosters
  readonly keys: Keys
}
export type Port = keyof Ports
