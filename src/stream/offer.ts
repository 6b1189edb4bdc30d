import { type Element, el } from '../xmpp/element.ts'
import { NS_BIND2, NS_FAST, NS_SASL, NS_SASL2, NS_SM } from '../xmpp/ns.ts'
import type { LoginHost } from './login-host.ts'
import { bindingTypesFor } from './sasl.ts'
import { tokenMechanismsFor } from './sasl-ht.ts'
import { NS_UPGRADE, UPGRADES } from './sasl2-request.ts'

const NS_CHANNEL_BINDING = 'urn:xmpp:sasl-cb:0'
const NS_LIMITS = 'urn:xmpp:stream-limits:0'

/** What a stream that has TLS and no login yet offers: both profiles of SASL, and channel bindings (XEP-0440). */
export function loginFeatures(host: LoginHost): Element[] {
  const { context, mechanisms } = host
  if (mechanisms.length === 0) return []
  const features = [
    el('mechanisms', NS_SASL, {}, ...mechanisms.map((name) => el('mechanism', NS_SASL, {}, name))),
    authentication(host),
  ]
  const types = bindingTypesFor(context).map((type) => el('channel-binding', NS_CHANNEL_BINDING, { type }))
  if (types.length > 0) features.push(el('sasl-channel-binding', NS_CHANNEL_BINDING, {}, ...types))
  return features
}

/** XEP-0388 §2.1. */
function authentication({ mechanisms, facts, parts }: LoginHost): Element {
  const asked = parts.bindInlines.filter((feature) => feature.name !== undefined).map((feature) => feature.ns)
  const vars = [...new Set([NS_SM, ...asked])].map((ns) => el('feature', NS_BIND2, { var: ns }))
  const tokens = tokenMechanismsFor(facts).map((name) => el('mechanism', NS_FAST, {}, name))
  const inline = el(
    'inline',
    NS_SASL2,
    {},
    el('bind', NS_BIND2, {}, el('inline', NS_BIND2, {}, ...vars)),
    el('sm', NS_SM),
    el('fast', NS_FAST, {}, ...tokens),
  )
  return el(
    'authentication',
    NS_SASL2,
    {},
    ...mechanisms.map((name) => el('mechanism', NS_SASL2, {}, name)),
    inline,
    ...[...UPGRADES.keys()].map((name) => el('upgrade', NS_UPGRADE, {}, name)),
  )
}

/** XEP-0478: what one element on this stream may be, and how long it may be silent. */
export function limitsFeature(maxBytes: number, idleMs: number): Element {
  return el(
    'limits',
    NS_LIMITS,
    {},
    el('max-bytes', NS_LIMITS, {}, String(maxBytes)),
    el('idle-seconds', NS_LIMITS, {}, String(Math.floor(idleMs / 1000))),
  )
}
