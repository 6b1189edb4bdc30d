import { Clients } from '../c2s/c2s.ts'
import type { Config } from '../config/schema.ts'
import type { AccountView } from '../contract/account-view.ts'
import type { Handlers } from '../contract/feature.ts'
import type { Keys } from '../keys/directory.ts'
import type { Certificates } from '../net/certificates.ts'
import { ConnectionCounts } from '../net/listener.ts'
import { type HandshakeWay, secureServerSocket } from '../net/secure.ts'
import { measured } from '../storage/measured.ts'
import { Turns } from '../stream/connection.ts'
import { tlsFactsOf } from '../stream/tls-facts.ts'
import { networkOf } from '../util/network.ts'
import { RateLimit } from '../util/rate-limit.ts'
import type { Turnstile } from '../util/turnstile.ts'
import { BindingError, type SaslError } from '../xmpp/sasl-error.ts'
import type { Base } from './base.ts'
import type { Messaging } from './messaging.ts'
import type { Services } from './services.ts'

/** The server of clients' streams; it listens nowhere yet. */
export function clientsOf(
  base: Base,
  keys: Keys,
  messaging: Messaging,
  { tokens, devices }: Services,
  handlers: readonly Handlers[],
  certificates: Certificates,
  handshakes: Turnstile,
): Clients {
  const { config, core, logs, metrics, time, wheel } = base
  const { bus, line, inbox, registry, sessions, activity, policyOf, domainPolicy, sessionEnded } = messaging
  const { limits } = config
  const { domains, stores } = core
  const log = logs.part({ part: 'c2s' })
  const counts = new ConnectionCounts({
    total: limits.connections.total,
    perAddress: limits.connections.per_address,
    beforeLogin: limits.connections.before_login,
    beforeLoginPerAddress: limits.connections.before_login_per_address,
  })
  const failures = new RateLimit(limits.login.failures_per_address)
  const tried = (ip: string, mechanism: string, outcome: 'success' | SaslError): void => {
    const isSuccess = outcome === 'success'
    metrics.logins.inc({
      mechanism: mechanism === '' ? 'none' : mechanism,
      outcome: isSuccess ? 'success' : outcome.condition,
    })
    if (isSuccess) return
    // What failed for our sake, or was not even tried, is nobody's fault; an unfit channel binding says nothing of a password.
    const isGuess = outcome.condition !== 'temporary-auth-failure' && !(outcome instanceof BindingError)
    if (isGuess) failures.spend(networkOf(ip))
    log.info({ ip, mechanism, condition: outcome.condition }, 'login refused')
  }
  base.metricRegistry.gauge('fernruf_c2s_connections', 'Connections of clients.', () => counts.open)
  base.metricRegistry.gauge(
    'fernruf_c2s_sessions',
    'Bound sessions, detached ones included.',
    () => messaging.sessions.size,
  )
  return new Clients({
    context: {
      turns: new Turns(),
      wheel,
      log,
      domains,
      closed: (condition) => metrics.closed.inc({ condition }),
      closeMs: limits.stream.close_timeout,
      outQueueBytes: limits.stream.out_queue,
    },
    session: {
      node: bus.node,
      line,
      presence: { sessionEnded },
      inbox,
      registry,
      sessions,
      policyOf: (account) => {
        const view = line.views.peek(account)
        return view === undefined ? line.views.load(account).then(policyOf, () => domainPolicy) : policyOf(view)
      },
      isBlocked: (account, other) => line.isBlocked(account, other),
      nonzas: new Map(handlers.flatMap((h) => h.nonzas ?? []).map((n) => [`${n.name} ${n.ns}`, n])),
      resumed: handlers.flatMap((h) => h.resumed ?? []),
      limits: {
        resumeMs: limits.session.resume_time,
        idleMs: limits.stream.idle_timeout,
        answerMs: limits.stream.answer_timeout,
        unacknowledged: limits.session.unacknowledged,
        unacknowledgedBytes: limits.session.unacknowledged_bytes,
        exclusiveMs: config.inbox.exclusive_timeout,
        perAccount: limits.session.per_account,
      },
      log,
      tagOf: logs.accountTag,
    },
    counts,
    features: handlers.flatMap((h) => h.streamFeatures ?? []),
    bindInlines: handlers.flatMap((h) => h.bind2 ?? []),
    negotiation: {
      sasl: {
        credentials: measured(stores.accounts, 'account', time),
        decoys: core.decoys,
        passwords: core.passwords,
        bridgeLogin: (certificate, domain) => keys.login(certificate, domain),
      },
      tokens,
      devices,
      addSecrets: (state, secrets) => stores.accounts.addSecrets(state, secrets),
      limits: { before: elementLimits(limits.stanza_before_login), after: elementLimits(limits.stanza) },
      loginMs: limits.stream.login_timeout,
      idleMs: limits.stream.idle_timeout,
      loginAttempts: limits.login.attempts,
      mayTry: (ip) => failures.has(networkOf(ip)),
      tried,
      loggedIn: ({ jid, id }) => {
        activity.seen(id)
        log.info({ account: logs.accountTag(jid) }, 'authenticated')
      },
    },
    secure: async (raw, isGathered) => {
      const { context, ticketless, endPointHash } = certificates.identity
      const onWay = (way: HandshakeWay) => metrics.handshakes.inc({ way })
      const socket = await secureServerSocket(raw, {
        context,
        ticketless,
        always: isGathered,
        onWay,
        turn: () => handshakes.enter(),
      })
      return { socket, facts: tlsFactsOf(socket, endPointHash) }
    },
    isStill: async ({ jid, id, epoch }) => {
      const isSame = ({ account }: AccountView) =>
        account?.id === id && account.epoch === epoch && account.disabledAt === undefined
      if (isSame(await line.views.load(jid))) return true
      // One that another node has just made, replaced or changed may be known here as it was.
      line.views.drop(jid)
      return isSame(await line.views.load(jid))
    },
    endElsewhere: (jid) => line.end(jid, 'conflict', 'The resource was bound by another stream.', undefined),
    sessionsOf: async (account) => await registry.of(account),
  })
}

const elementLimits = (limits: Config['limits']['stanza']) => ({
  maxBytes: limits.max_bytes,
  maxDepth: limits.max_depth,
  maxElements: limits.max_elements,
  maxAttributes: limits.max_attributes,
  maxNamespaces: limits.max_namespaces,
})
