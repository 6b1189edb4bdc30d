import type { Delivery } from '../account/store.ts'

/** A resource as a policy looks at it. */
export interface Candidate {
  readonly jid: string
  /** Undefined: not available. */
  readonly priority: number | undefined
  /** Ms since the epoch: its place in the order of the available, connected resources; undefined: it has none. */
  readonly queuedAt: number | undefined
}

/** What distinguishes the policies (the table of DESIGN.md section 5); all else is the same for all. */
export interface Policy {
  /** Who reads and follows the log, and is offered what goes to the bare JID. */
  readonly serves: 'all' | 'one'
  /** Where a session's reading begins: at what nobody has taken, or where its device has ended. */
  readonly begins: 'open' | 'device'
  /** A message may be given before its commit, and never be committed where it was taken. */
  readonly mayHold: boolean
  /** Sessions that are no recipients may have copies of what is received (XEP-0280). */
  readonly copiesReceived: boolean
}
export const POLICIES: Readonly<Record<Delivery, Policy>> = {
  'first-come': { serves: 'all', begins: 'open', mayHold: true, copiesReceived: true },
  exclusive: { serves: 'one', begins: 'open', mayHold: true, copiesReceived: false },
  'every-device': { serves: 'all', begins: 'device', mayHold: false, copiesReceived: true },
}

/** The resources that entries to the bare JID are offered to now (RFC 6121 §8.5.2.1 and the policy). */
export function servedBy<C extends Candidate>({ serves }: Policy, resources: readonly C[]): readonly C[] {
  if (serves === 'all') return resources.filter(isAvailable)
  const first = firstOf(resources)
  return first === undefined ? [] : [first]
}
/** True when this resource reads and follows the log. */
export function isServed(policy: Policy, resources: readonly Candidate[], jid: string): boolean {
  return policy.serves === 'all' || firstOf(resources)?.jid === jid
}
/** Of `exclusive`: whoever has waited longest; where two came at once, their addresses decide, the same on every node. */
function firstOf<C extends Candidate>(resources: readonly C[]): C | undefined {
  let first: C | undefined
  for (const one of resources) {
    if (!isAvailable(one) || one.queuedAt === undefined) continue
    if (first === undefined || isBefore(one, first)) first = one
  }
  return first
}
function isBefore(a: Candidate, b: Candidate): boolean {
  const [at, bt] = [a.queuedAt ?? 0, b.queuedAt ?? 0]
  return at === bt ? a.jid < b.jid : at < bt
}
function isAvailable({ priority }: Candidate): boolean {
  return priority !== undefined && priority >= 0
}
