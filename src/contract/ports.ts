import type { Accounts } from '../account/accounts.ts'
import type { Devices } from '../account/devices.ts'
import type { LastSeen } from '../account/last-seen.ts'
import type { Lookups } from '../account/lookups.ts'
import type { PrivateStore } from '../account/private-store.ts'
import type { Registration } from '../account/registration.ts'
import type { Takeovers } from '../account/takeovers.ts'
import type { VcardStore } from '../account/vcard-store.ts'
import type { ArchiveStore } from '../inbox/archive.ts'
import type { Waiting } from '../inbox/waiting.ts'
import type { Keys } from '../keys/directory.ts'
import type { KeyListing } from '../keys/listing.ts'
import type { NetworkStore } from '../keys/network-store.ts'
import type { KeyTransfers } from '../keys/transfers.ts'
import type { Registry } from '../presence/registry.ts'
import type { PushStore } from '../push/store.ts'
import type { BlockStore } from '../roster/block-store.ts'
import type { ReportStore } from '../roster/report-store.ts'
import type { RosterChange, Rosters } from '../roster/roster.ts'
import type { RosterItem } from '../roster/store.ts'
import type { Uploads } from '../uploads/uploads.ts'
import type { BareJid, Domain, FullJid, Jid } from '../xmpp/jid.ts'
import type { Stanza } from '../xmpp/stanza.ts'
import type { Views } from './account-view.ts'
import type { CommandsPort } from './command.ts'
import type { DiscoNodes, Service } from './handler.ts'
import type { Awaitable } from './hook.ts'
import type { Recipient } from './session.ts'

/** Sends stanzas of the server's own, or on behalf of an account, down the line. */
export interface LinePort {
  /** Routes it like any other, without hooks of `fromClient`; answers and errors to it are dropped. */
  submit(stanza: Stanza): void
  /** To exactly this connected resource, on whichever node. Never kept, never bounced. */
  sendTo(recipient: Recipient, stanza: Stanza): void
}
/** What this server says of itself (XEP-0030, XEP-0115): filled by server.ts from all enabled features. */
export interface DiscoPort {
  readonly domains: ReadonlySet<Domain>
  readonly serverFeatures: readonly string[]
  readonly accountFeatures: readonly string[]
  /** The same on each domain. */
  readonly services: readonly Service[]
  /** Of the first feature that knows such a node. */
  readonly nodes: DiscoNodes
  /** What answers (XEP-0092). */
  readonly software: { readonly name: string; readonly version: string }
}
/** What a change of a roster means for others; the step of the line that keeps presence does it. */
export interface PresencePort {
  /**
   * Works on an account's roster in the order in which requests, presence and subscriptions of its devices came (RFC 6120 §10.1); what
   * comes of it is told before what comes next begins.
   */
  inOrder<T>(account: BareJid, work: () => Promise<T>): Promise<T>
  /** A roster push to every interested resource of the account, on all nodes (RFC 6121 §2.1.6). */
  push(account: BareJid, change: Pick<RosterChange, 'contact' | 'after' | 'version'>): Awaitable<void>
  /** Ends the subscriptions and requests of an item that was removed, both ways (RFC 6121 §2.5.2). */
  cancel(account: BareJid, item: RosterItem): Awaitable<void>
  /** Tells an address where the account's devices are; whoever calls knows that it may be told. */
  announce(account: BareJid, to: Jid): Awaitable<void>
  /** Tells an address that the account's devices have gone, whether they have or not. */
  withdraw(account: BareJid, to: Jid): Awaitable<void>
}
/** The public HTTP server. */
export interface WebPort {
  /** How others reach it, without a slash at its end; known when the server listens. */
  readonly url: string
}
/** Ends sessions on all nodes. */
export interface SessionsPort {
  /** Ends every session of the account, with `except` left alone; `condition` is the stream error's. */
  end(account: Jid, condition: 'not-authorized' | 'conflict' | 'policy-violation', text: string, except?: FullJid): void
}

/** What a feature may ask of the rest of the server. server.ts fills them; tests fill them with fakes. */
export interface Ports {
  readonly line: LinePort
  readonly disco: DiscoPort
  readonly commands: CommandsPort
  readonly sessions: SessionsPort
  readonly views: Views
  readonly registry: Registry
  readonly accounts: Accounts
  readonly devices: Devices
  readonly registration: Registration
  readonly rosters: Rosters
  readonly blocks: BlockStore
  readonly reports: ReportStore
  readonly privateXml: PrivateStore
  readonly vcards: VcardStore
  readonly lastSeen: Pick<LastSeen, 'find'>
  readonly lookups: Pick<Lookups, 'askerOf' | 'find' | 'spend'>
  readonly presence: PresencePort
  readonly keys: Keys
  readonly keyTransfers: KeyTransfers
  readonly keyListing: KeyListing
  readonly takeovers: Pick<Takeovers, 'answer' | 'claim' | 'hasLock' | 'setLock'>
  readonly archive: ArchiveStore
  readonly waiting: Pick<Waiting, 'toTake'>
  readonly push: PushStore
  readonly network: Pick<NetworkStore, 'list'>
  /** Undefined where there is no public HTTP server. */
  readonly web: WebPort | undefined
  /** The same. */
  readonly uploads: Uploads | undefined
}
export type Port = keyof Ports
