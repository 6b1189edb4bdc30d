/**
 * Push for Kontalk's apps: a device that has a message waiting and no connection is woken by its vendor's service.
 *
 * Nothing of a message goes out, only the wish that the device comes. Off until a gateway is configured.
 */
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Account } from '../account/store.ts'
import { duration, secret } from '../config/units.ts'
import { defineFeature } from '../contract/feature.ts'
import { on } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import { worthOf } from '../inbox/worth.ts'
import type { PushDevice } from '../push/store.ts'
import { WakeSender } from '../push/wake-sender.ts'
import { WakeUps } from '../push/wake-ups.ts'
import { WebhookPush } from '../push/webhook.ts'
import { Wheel } from '../util/wheel.ts'
import { type Element, textOf } from '../xmpp/element.ts'
import { bareJid, type Domain, domainOf, parseJid, resourceOf } from '../xmpp/jid.ts'
import { NS_CLIENT, NS_RECEIPTS } from '../xmpp/ns.ts'
import type { Message } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_PUSH = 'http://kontalk.org/extensions/presence#push'
const LOCAL = 'push'
const NAME = 'Push notifications'
/** The one service that Kontalk's apps know. */
const GCM = 'gcm'
const GCM_NAME = 'Google Cloud Messaging push notifications'
/** Encrypted bodies that may come without one: RFC 3923, XEP-0373, XEP-0027. */
const ENCRYPTED: ReadonlySet<string> = new Set([
  'urn:ietf:params:xml:ns:xmpp-e2e',
  'urn:xmpp:openpgp:0',
  'jabber:x:encrypted',
])

const MAX_TOKEN_BYTES = 4096
const MAX_CACHED = 20_000
const TICK_MS = 50
const PURGE_MS = 3_600_000
const DAY_MS = 86_400_000

const gateway = z.strictObject({
  url: z
    .url({ protocol: /^https?$/, error: 'expected an https address' })
    .describe('The gateway wake-ups are handed to; see docs/kontalk.md.'),
  secret: secret()
    .refine((value) => Buffer.byteLength(value.reveal()) >= 16, 'expected at least 16 bytes')
    .describe('Signs what is sent.'),
  secret_file: z.string('expected a path').min(1, 'expected a path').optional(),
  timeout: duration().prefault('10s'),
  allow_plain_http: z.boolean('expected true or false').default(false).describe('Lets http go to another machine.'),
})

export default defineFeature({
  name: 'push',
  xeps: [],
  requires: ['disco'],
  config: z
    .strictObject({
      webhook: gateway.optional().describe('Absent: no device is ever woken, and no client is told of push.'),
      sender_id: z
        .string('expected a text')
        .regex(/^[\w.-]{1,64}$/, 'expected a sender id, such as 123456789012')
        .optional()
        .describe('Of the vendor’s service, told to Kontalk’s apps; absent: they are not told.'),
      devices: z
        .int('expected a whole number')
        .min(1, 'expected at least 1')
        .default(20)
        .describe('Devices of one account that can be woken; the ones used last stay.'),
      delay: duration().prefault('2s').describe('How long a message waits before somebody is woken.'),
      sibling: duration()
        .prefault('10s')
        .describe('The same where another device of the account is there that can take it.'),
      silence: duration().prefault('30s').describe('The same where the device itself is connected and says nothing.'),
      interval: duration().prefault('10s').describe('Time between two wake-ups of one device.'),
      kept: duration().prefault('90d').describe('How long a device is remembered that does not come.'),
    })
    .refine(
      (c) => c.delay <= c.sibling && c.sibling <= c.silence,
      'expected delay, sibling and silence in ascending order',
    )
    .prefault({}),
  tables: ['push_device'],
  metrics: {
    sent: {
      type: 'counter',
      name: 'fernruf_push_wake_ups_total',
      help: 'Tries to wake a device, by outcome; dropped and late ones were not made.',
      labels: ['provider', 'outcome'],
    },
    circuit: {
      type: 'gauge',
      name: 'fernruf_push_circuit_open',
      help: 'Whether the provider is not asked since it failed too often: 1 while it is.',
      labels: ['provider'],
    },
  },
  uses: ['views', 'registry', 'push', 'waiting'],
  setup: ({ config, metrics, log, signal, ports: { views, registry, push, waiting } }) => {
    const { webhook, sender_id: senderId } = config
    if (webhook === undefined) return {}
    const provider = new WebhookPush({
      url: webhook.url,
      secret: webhook.secret.reveal(),
      timeoutMs: webhook.timeout,
      allowPlainHttp: webhook.allow_plain_http,
    })
    const { name } = provider
    const wheel = new Wheel(TICK_MS)
    const purging = setInterval(() => void purge(), PURGE_MS).unref()
    signal.addEventListener('abort', () => {
      wheel.stop()
      clearInterval(purging)
    })
    /** By the account as it is in the line's view of it, which every change replaces on all nodes. */
    const cached = new LRUCache<Account, readonly PushDevice[]>({
      max: MAX_CACHED,
      fetchMethod: ({ id }) => push.of(id),
    })
    const devicesOf = async (account: Account): Promise<readonly PushDevice[]> => (await cached.fetch(account)) ?? []

    async function purge(): Promise<void> {
      try {
        await push.purge(Date.now() - config.kept)
      } catch (error) {
        log.warn({ err: error }, 'purge failed')
      }
    }
    async function gone(device: PushDevice): Promise<void> {
      try {
        await push.remove(device)
      } catch (error) {
        log.warn({ err: error }, 'device not removed')
      }
    }

    metrics.circuit.set({ provider: name }, 0)
    const sender = new WakeSender({
      provider,
      wheel,
      signal,
      report: (outcome) => {
        metrics.sent.inc({ provider: name, outcome })
        if (outcome !== 'sent' && outcome !== 'gone' && outcome !== 'late')
          log.warn({ provider: name, outcome }, 'device not woken')
      },
      gone: (device) => void gone(device),
      circuit: (state) => {
        metrics.circuit.set({ provider: name }, state === 'closed' ? 0 : 1)
        if (state === 'open') log.warn({ provider: name }, 'push provider not asked for a while')
      },
    })
    const wakeUps = new WakeUps({
      store: push,
      wheel,
      times: config,
      devicesOf,
      connectedOf: async (account) => {
        const sessions = await registry.of(account)
        const there = sessions.filter(({ queuedAt }) => queuedAt !== undefined)
        return new Set(there.map(({ jid }) => resourceOf(jid) ?? ''))
      },
      toTake: (account, devices) => waiting.toTake(account, devices),
      send: (wake) => sender.send(wake),
      failed: (error) => log.warn({ err: error }, 'wake-up not looked after'),
    })

    async function register(payload: Element, session: Session): Promise<undefined> {
      const service = serviceOf(payload)
      const token = textOf(payload).trim()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
      if (token === '' || /[\x00-\x20\x7f]/.test(token))
        throw new StanzaError('bad-request', { text: 'Expected the registration id of the device.' })
      if (Buffer.byteLength(token) > MAX_TOKEN_BYTES)
        throw new StanzaError('not-acceptable', { text: `A registration id has at most ${MAX_TOKEN_BYTES} bytes.` })
      const device = resourceOf(session.jid) ?? ''
      const { accountId: account } = session
      const isThere = await push.register(
        { account, device, provider: service, token, usedAt: Date.now() },
        config.devices,
      )
      if (!isThere) throw new StanzaError('item-not-found', { text: 'There is no such account.' })
      views.changed(session.account)
    }
    async function unregister(payload: Element, session: Session): Promise<undefined> {
      await push.unregister(session.accountId, resourceOf(session.jid) ?? '', serviceOf(payload))
      views.changed(session.account)
    }
    /** The device shows itself: its registration stays. */
    async function seen(session: Session): Promise<void> {
      const account = views.latest(session.account)?.account
      if (account?.id !== session.accountId) return
      const device = resourceOf(session.jid) ?? ''
      const now = Date.now()
      const isDue = (await devicesOf(account)).some((d) => d.device === device && d.usedAt < now - DAY_MS)
      if (isDue) await push.used(account.id, device, now)
    }
    const handler = (payloadName: string, work: typeof register) =>
      ({
        type: 'set',
        target: 'service',
        local: LOCAL,
        name: payloadName,
        ns: NS_PUSH,
        answer: ({ payload, session }: { readonly payload: Element; readonly session: Session | undefined }) => {
          if (session === undefined)
            throw new StanzaError('forbidden', { text: 'This is for accounts of this server.' })
          return work(payload, session)
        },
      }) as const

    const features = senderId === undefined ? [] : [NS_PUSH]
    return {
      services: [{ local: LOCAL, name: NAME, category: 'component', type: 'generic', features }],
      serverFeatures: features,
      iq: [handler('register', register), handler('unregister', unregister)],
      hooks: [
        on('toAccount', 'message', 'copy', ({ stanza, account: { account }, direction }) => {
          if (direction !== 'received' || account === undefined || account.disabledAt !== undefined) return
          if (cached.peek(account)?.length === 0 || !isWorthWaking(stanza)) return
          wakeUps.kept(account)
        }),
        on('fromClient', 'presence', 'copy', ({ stanza, session }) => {
          if (stanza.type !== '' || stanza.to !== undefined) return
          seen(session).catch((error: unknown) => log.warn({ err: error }, 'device not noted'))
        }),
      ],
      discoNodes: {
        find: ({ node, to }) => {
          const at = parseJid(to)
          if (senderId === undefined || node !== NS_PUSH || at === undefined) return undefined
          const domain = domainOf(at)
          if (at !== domain && at !== bareJid(LOCAL, domain)) return undefined
          return {
            info: { identities: [{ category: 'component', type: 'generic', name: NAME }], features: [NS_PUSH] },
            items: [{ jid: `${GCM}.push.${domain}` as Domain, node: senderId, name: GCM_NAME }],
          }
        },
      },
    }
  },
})

function serviceOf({ attrs: { provider } }: Element): string {
  if (provider === GCM) return provider
  throw new StanzaError('feature-not-implemented', { text: 'Devices of this service cannot be woken from here.' })
}
/** What somebody would want to see at once. */
function isWorthWaking(message: Message): boolean {
  if (message.type !== 'chat') return false
  const worth = worthOf(message)
  if (worth !== 'archived' && worth !== 'kept') return false
  return message.children.some(
    ({ name, ns }) =>
      (name === 'body' && ns === NS_CLIENT) || (name === 'request' && ns === NS_RECEIPTS) || ENCRYPTED.has(ns),
  )
}
