import { type Logger, pino } from 'pino'
import type { Feature, Handlers, Metrics } from '../../src/contract/feature.ts'
import type { IqHandler, OfferedStream, StreamFeature } from '../../src/contract/handler.ts'
import type { Port, Ports } from '../../src/contract/ports.ts'
import type { Session } from '../../src/contract/session.ts'
import { MetricRegistry } from '../../src/telemetry/metrics.ts'
import { type Element, firstElement } from '../../src/xmpp/element.ts'
import type { BareJid, Domain, Jid } from '../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../src/xmpp/ns.ts'
import { serialize } from '../../src/xmpp/serialize.ts'
import { Stanza } from '../../src/xmpp/stanza.ts'
import { parse } from './match-element.ts'

/** Sets a feature up with the ports given, and with its default config unless there is another. */
export async function handlersOf<F extends Feature<Feature['config'], Metrics, P>, P extends Port>(
  feature: F,
  ports: Pick<Ports, P>,
  options: {
    readonly config?: unknown
    readonly log?: Logger
    readonly metrics?: MetricRegistry
    /** Of the server's end; absent: it has ended, and no timer stays. */
    readonly signal?: AbortSignal
  } = {},
): Promise<Handlers> {
  const metrics = options.metrics ?? new MetricRegistry({ process: false })
  return await feature.setup({
    config: feature.config.parse(options.config),
    metrics: metrics.build(feature.metrics),
    ports,
    log: options.log ?? pino({ level: 'silent' }),
    signal: options.signal ?? AbortSignal.abort(),
  })
}

/** Who asks whom in `ask`. */
export interface Asking {
  readonly target: IqHandler['target']
  readonly from: Jid
  readonly to?: Jid
  /** For the targets `self`, `server` and `service`. */
  readonly session?: Session
}
/** Gives an iq's payload to its handler as the line does; the answer as XML, '' when empty. Rejects when there is no handler. */
export async function ask(handlers: Handlers, asking: Asking, type: 'get' | 'set', xml: string): Promise<string> {
  const payload = firstElement(parse(`<iq>${xml}</iq>`)) as Element
  const handler = handlers.iq?.find(
    (h) => h.target === asking.target && h.type === type && h.name === payload.name && h.ns === payload.ns,
  )
  if (handler === undefined) throw new Error('no handler')
  const request = Stanza.of({ kind: 'iq', type, id: 'q', from: asking.from, to: asking.to }, payload)
  const { from, session } = asking
  const answered = await answerOf()
  return answered === undefined ? '' : serialize(answered, NS_CLIENT)

  function answerOf() {
    if (handler?.target === 'server' || handler?.target === 'service')
      return handler.answer({ request, payload, from, session })
    if (handler?.target === 'account') return handler.answer({ request, payload, from, account: asking.to as BareJid })
    if (handler === undefined || session === undefined) throw new Error('this target needs a session')
    return handler.answer({ request, payload, session })
  }
}

/** A stream feature as a client sees it before it binds a resource. */
export function offered(handlers: Handlers, name: string): { readonly feature: StreamFeature; readonly xml: string } {
  const feature = handlers.streamFeatures?.find((f) => f.name === name)
  if (feature === undefined) throw new Error('no such stream feature')
  const stream: OfferedStream = {
    flags: new Set(['secure', 'authenticated']),
    domain: 'example.org' as Domain,
    ip: '192.0.2.1',
    certificate: undefined,
  }
  const element = feature.advertise(stream)
  return { feature, xml: element === undefined ? '' : serialize(element, NS_CLIENT) }
}
