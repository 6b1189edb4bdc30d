import type { Origin } from '../contract/session.ts'
import type { BareJid, Domain, Jid } from '../xmpp/jid.ts'
import type { Iq, Stanza } from '../xmpp/stanza.ts'
import { destinationOf, type Served } from './destination.ts'
import type { LocalSession } from './local.ts'

/** Settled: nothing of the stanza is open. Pending: the sender's `settled` or `refused` is called later, with the stanza's number. */
export type Progress = 'settled' | 'pending'

/** Tells whoever sent a pending stanza that it is settled. */
export function settle(origin: Origin): void {
  if (origin.kind === 'remote') return
  if (origin.kind === 'client') (origin.session as LocalSession).settled(origin.number)
  origin.settled?.()
}

export interface Line {
  /** Finds the handler and answers; the only step that may take long, and it holds up nobody. */
  answer(iq: Iq, origin: Origin): Progress
  /** To an account of ours: its inbox and its sessions. Waits for the account's view only where it is not loaded. */
  deliver(stanza: Stanza, account: BareJid, origin: Origin): Progress
  /** To our domain itself, or to a service of it. */
  serve(stanza: Stanza, address: Jid, origin: Origin): Progress
  /** To another domain: its outbound queue. */
  forward(stanza: Stanza, domain: Domain, origin: Origin): Progress
}

/** The whole way of a stanza that was received and checked. Synchronous: what waits for a commit or a view keeps its place. */
export function route(line: Line, served: Served, stanza: Stanza, origin: Origin): Progress {
  const destination = destinationOf(stanza, served)
  switch (destination.to) {
    case 'answer':
      return line.answer(destination.iq, origin)
    case 'account':
      return line.deliver(stanza, destination.account, origin)
    case 'service':
      return line.serve(stanza, destination.address, origin)
    case 'remote':
      return line.forward(stanza, destination.domain, origin)
  }
}
