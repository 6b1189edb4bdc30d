import type { ScramMechanism } from '../account/store.ts'
import { SaslError } from '../xmpp/sasl-error.ts'
import { External } from './sasl-external.ts'
import type { BindingType, Mechanism, SaslContext, SaslStep } from './sasl-mechanism.ts'
import { Plain } from './sasl-plain.ts'
import { Scram } from './sasl-scram.ts'

/** Server-side mechanisms in order of preference, strongest first. */
export const SCRAMS: readonly ScramMechanism[] = ['SCRAM-SHA-512', 'SCRAM-SHA-256', 'SCRAM-SHA-1']
export type MechanismName = 'EXTERNAL' | ScramMechanism | `${ScramMechanism}-PLUS` | 'PLAIN'

/**
 * The mechanisms to offer, in order of preference; none without TLS. EXTERNAL comes first, and only to a peer that showed a
 * bridge certificate and whose TLS session is a fresh one: other clients that see it may choose it in vain.
 * @param known what the account that the peer announced has secrets for. None is everything: nobody learns who has none
 */
export function mechanismsFor(context: SaslContext, known: readonly ScramMechanism[] = []): readonly MechanismName[] {
  if (!context.secure) return []
  const scrams = known.length === 0 ? SCRAMS : SCRAMS.filter((name) => known.includes(name))
  return [
    ...(context.hasBridge && !context.isResumed ? (['EXTERNAL'] as const) : []),
    ...(context.bindings.size > 0 ? scrams.map((name) => `${name}-PLUS` as const) : []),
    ...scrams,
    'PLAIN',
  ]
}

/** XEP-0474 §5.1: what is hashed of the offer; `i;octet` is the order of code units here, since all of it is ASCII. */
export function advertisedBy(mechanisms: readonly string[], bindingTypes: readonly string[]): string {
  const listed = (names: readonly string[]): string => [...names].sort().join('\x1e')
  return listed(mechanisms) + (bindingTypes.length > 0 ? `\x1f${listed(bindingTypes)}` : '')
}

/** XEP-0440 §3: the channel-binding types to announce beside the mechanisms. */
export const bindingTypesFor = (context: SaslContext): readonly BindingType[] =>
  context.secure ? [...context.bindings.keys()] : []

/** An attempt of the mechanism that the peer has chosen. @throws SaslError invalid-mechanism, encryption-required */
export function createMechanism(
  name: string,
  context: SaslContext,
  offered: readonly MechanismName[] = mechanismsFor(context),
): Mechanism {
  if (!context.secure) throw new SaslError('encryption-required')
  if (!(offered as readonly string[]).includes(name)) throw new SaslError('invalid-mechanism')
  return new Guarded(mechanismOf(name as MechanismName, context))
}

function mechanismOf(name: MechanismName, context: SaslContext): Mechanism {
  if (name === 'EXTERNAL') return new External(context)
  if (name === 'PLAIN') return new Plain(context)
  const plus = name.endsWith('-PLUS')
  const hash = (plus ? name.slice(0, -'-PLUS'.length) : name) as ScramMechanism
  return new Scram(hash, plus, context.bindings.size > 0, context)
}

/** Turns whatever is no answer of the mechanism's own (a store that cannot be asked, a fault of ours) into one. */
export class Guarded implements Mechanism {
  readonly #mechanism: Mechanism

  constructor(mechanism: Mechanism) {
    this.#mechanism = mechanism
  }
  begin(initial: Buffer | undefined): Promise<SaslStep> {
    return guarded(() => this.#mechanism.begin(initial))
  }
  step(response: Buffer): Promise<SaslStep> {
    return guarded(() => this.#mechanism.step(response))
  }
}

async function guarded(work: () => SaslStep | Promise<SaslStep>): Promise<SaslStep> {
  try {
    return await work()
  } catch (cause) {
    throw cause instanceof SaslError ? cause : new SaslError('temporary-auth-failure', undefined, { cause })
  }
}
