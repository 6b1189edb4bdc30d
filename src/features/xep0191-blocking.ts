/**
 * XEP-0191: Blocking Command, and XEP-0377: Blocking Command Reports.
 *
 * Who is blocked finds nobody: each answer is that of an address without account. A report is for the operator of this server
 * alone; nothing passes it on.
 */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { duration, size } from '../config/units.ts'
import type { AccountView } from '../contract/account-view.ts'
import { defineFeature } from '../contract/feature.ts'
import { type Hook, on } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import { worthOf } from '../inbox/worth.ts'
import { isBlocked } from '../roster/blocking.ts'
import type { Report, ReportReason } from '../roster/report-store.ts'
import { RosterError } from '../roster/roster-error.ts'
import { seesUs } from '../roster/subscription.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import { child, children, type Element, el, textOf } from '../xmpp/element.ts'
import { type BareJid, bareOf, isFull, type Jid, parseJid } from '../xmpp/jid.ts'
import { NS_RECEIPTS } from '../xmpp/ns.ts'
import { type Kind, type Message, Stanza } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_BLOCKING = 'urn:xmpp:blocking'
const NS_BLOCKING_ERRORS = 'urn:xmpp:blocking:errors'
const NS_REPORTING = 'urn:xmpp:reporting:1'
const NS_STANZA_ID = 'urn:xmpp:sid:0'

const REASONS: Readonly<Record<string, ReportReason>> = {
  'urn:xmpp:reporting:spam': 'spam',
  'urn:xmpp:reporting:abuse': 'abuse',
}
/** Messages of one report that are kept, and how long an id of one may be. */
const MAX_MESSAGES = 50
const MAX_MESSAGE_ID = 1024
const PURGE_MS = 3_600_000
const KINDS = ['message', 'presence', 'iq'] as const

const count = () => z.int('expected a whole number').min(1, 'expected at least 1')

export default defineFeature({
  name: 'blocking',
  xeps: [
    { number: 191, version: '1.3', status: 'complete' },
    { number: 377, version: '0.4.1', status: 'complete' },
  ],
  requires: ['roster'],
  config: z
    .strictObject({
      max_items: count().default(1_000).describe('Addresses on one list.'),
      reports: z
        .strictObject({
          per_account: count().default(20).describe('Reports kept of one account; the oldest go.'),
          total: count().default(10_000).describe('Reports kept of all; the oldest go.'),
          text: size().prefault('4KiB').describe('Bytes of the reporter’s words; the rest is cut off.'),
          keep: duration().prefault('90d').describe('How long a report is kept.'),
        })
        .prefault({})
        .describe('What is reported to the operator (XEP-0377).'),
    })
    .prefault({}),
  disco: { server: [NS_BLOCKING, NS_REPORTING] },
  tables: ['block', 'report'],
  metrics: {
    refused: {
      type: 'counter',
      name: 'fernruf_blocking_refused_total',
      help: 'Stanzas that a block list kept back, by direction and kind.',
      labels: ['direction', 'kind'],
    },
    reports: {
      type: 'counter',
      name: 'fernruf_blocking_reports_total',
      help: 'Reports that came with a block, by reason.',
      labels: ['reason'],
    },
  },
  uses: ['line', 'views', 'registry', 'presence', 'blocks', 'reports'],
  setup: ({ config, metrics, log, signal, ports: { line, views, registry, presence, blocks, reports } }) => {
    /** One command of an account at a time: they act in the order in which a device sent them. */
    const queue = new KeyedQueue<BareJid>()

    async function list(session: Session): Promise<Element> {
      // Before the list is read, so that no change falls between the answer and the first push.
      session.flag('blocklist', true)
      const { blocked } = await views.load(session.account)
      return el('blocklist', NS_BLOCKING, {}, ...itemsOf(blocked))
    }
    async function block(payload: Element, account: BareJid): Promise<undefined> {
      const items = children(payload, 'item', NS_BLOCKING)
      if (items.length === 0) throw new StanzaError('bad-request', { text: 'There is no item to block.' })
      const jids = items.map(addressOf)
      const before = await views.load(account)
      await blocks.add(idOf(before), jids, config.max_items).catch(explain)
      await changed(before, jids)
      await push('block', jids, account)
      await report(items, idOf(before))
    }
    async function unblock(payload: Element, account: BareJid): Promise<undefined> {
      const items = children(payload, 'item', NS_BLOCKING)
      // §3.5: an empty one is for all. One with something else in it is a mistake, which must not cost the whole list.
      if (items.length === 0 && payload.children.some((c) => typeof c !== 'string'))
        throw new StanzaError('bad-request', { text: 'There is no item to unblock.' })
      const jids = items.map(addressOf)
      const before = await views.load(account)
      await blocks.remove(idOf(before), items.length === 0 ? 'all' : jids)
      await changed(before, items.length === 0 ? [...before.blocked] : jids)
      await push('unblock', jids, account)
    }

    /** §3.3, §3.4: to those who may see the account it goes away, or comes back. */
    async function changed(before: AccountView, touched: readonly Jid[]): Promise<void> {
      const account = before.jid
      views.changed(account)
      const after = await views.load(account)
      for (const to of watchersAmong(after, touched)) {
        const isNow = isBlocked(after, to)
        if (isBlocked(before, to) === isNow) continue
        await (isNow ? presence.withdraw(account, to) : presence.announce(account, to))
      }
    }
    /** To the devices that have asked for the list, the one that changes it included. */
    async function push(name: 'block' | 'unblock', jids: readonly Jid[], account: BareJid): Promise<void> {
      const sessions = (await registry.of(account)).filter((s) => s.flags.has('blocklist'))
      if (sessions.length === 0) return
      const id = `block-${randomBytes(8).toString('base64url')}`
      const fields = { kind: 'iq', type: 'set', id, from: account, to: undefined } as const
      const iq = Stanza.of(fields, el(name, NS_BLOCKING, {}, ...itemsOf(jids)))
      for (const session of sessions) line.sendTo(session, iq.with({ to: session.jid }))
    }

    /** What is wrong with a report, or with keeping it, changes nothing of the block (XEP-0377 §6). */
    async function report(items: readonly Element[], account: number): Promise<void> {
      const { per_account: perAccount, total, text } = config.reports
      const found = items.map((item) => reportOf(item, account, text)).filter((r) => r !== undefined)
      // More would push each other out.
      for (const one of found.slice(0, perAccount)) {
        metrics.reports.inc({ reason: one.reason })
        try {
          const id = await reports.add(one, { perAccount, total })
          // Who, whom and why stand in the table; here, only where to look.
          log.info({ report: id, reason: one.reason }, 'contact reported')
        } catch (error) {
          log.warn({ err: error }, 'report not kept')
        }
      }
    }
    const purge = (): void => {
      reports
        .purge(Date.now() - config.reports.keep)
        .catch((error: unknown) => log.warn({ err: error }, 'purge of reports failed'))
    }
    purge()
    const timer = setInterval(purge, PURGE_MS).unref()
    signal.addEventListener('abort', () => clearInterval(timer))

    /** Neither side of a block hears of the other (§3.3). */
    const incoming = (kind: Kind): Hook =>
      on('toAccount', kind, 'guard', ({ stanza, account, direction }) => {
        if (direction !== 'received' || !isBlocked(account, stanza.from)) return 'pass'
        metrics.refused.inc({ direction: 'received', kind })
        if (stanza.kind === 'presence' || (stanza.kind === 'message' && !isAnswered(stanza as Message))) return 'drop'
        throw new StanzaError('service-unavailable')
      })
    const outgoing = (kind: Kind): Hook =>
      on('fromClient', kind, 'guard', ({ stanza: { to }, session }) => {
        if (to === undefined) return 'pass'
        const view = views.latest(session.account)
        if (view === undefined) throw new StanzaError('resource-constraint', { text: 'Too busy; try again later.' })
        if (!isBlocked(view, to)) return 'pass'
        metrics.refused.inc({ direction: 'sent', kind })
        throw new StanzaError('not-acceptable', {
          type: 'cancel',
          text: 'You have blocked this address.',
          app: el('blocked', NS_BLOCKING_ERRORS),
        })
      })

    return {
      iq: [
        { type: 'get', target: 'self', name: 'blocklist', ns: NS_BLOCKING, answer: ({ session }) => list(session) },
        {
          type: 'set',
          target: 'self',
          name: 'block',
          ns: NS_BLOCKING,
          suspends: true,
          answer: ({ payload, session: { account } }) => queue.run(account, () => block(payload, account)),
        },
        {
          type: 'set',
          target: 'self',
          name: 'unblock',
          ns: NS_BLOCKING,
          suspends: true,
          answer: ({ payload, session: { account } }) => queue.run(account, () => unblock(payload, account)),
        },
      ],
      hooks: KINDS.flatMap((kind) => [outgoing(kind), incoming(kind)]),
    }
  },
})

/** Contacts that may see the account; of those of which one device was named, that device. */
function watchersAmong(view: AccountView, touched: readonly Jid[]): Jid[] {
  const all: Jid[] = []
  for (const item of view.roster.values()) if (item.contact !== view.jid && seesUs(item)) all.push(item.contact)
  const devices = new Set(touched.filter((jid) => isFull(jid) && seesUs(view.roster.get(bareOf(jid)))))
  for (const device of devices) if (!isBlocked(view, bareOf(device))) all.push(device)
  return all
}

/** Whether somebody without an account would be spoken of to the sender: then whoever blocks does the same (RFC 6121 §8.5.1). */
function isAnswered(message: Message): boolean {
  return worthOf(message) !== 'fleeting' && !message.has('received', NS_RECEIPTS)
}

function* itemsOf(jids: Iterable<Jid>): Generator<Element> {
  for (const jid of jids) yield el('item', NS_BLOCKING, { jid })
}
function addressOf(item: Element): Jid {
  const { jid } = item.attrs
  if (jid === undefined) throw new StanzaError('bad-request', { text: 'The item has no address.' })
  const parsed = parseJid(jid)
  if (parsed === undefined) throw new StanzaError('jid-malformed')
  return parsed
}
function idOf({ account }: AccountView): number {
  if (account === undefined) throw new StanzaError('item-not-found', { text: 'There is no such account.' })
  return account.id
}
function explain(error: unknown): never {
  if (!(error instanceof RosterError)) throw error
  if (error.fault === 'full')
    throw new StanzaError('resource-constraint', { text: 'The block list is full.', cause: error })
  throw new StanzaError('item-not-found', { text: 'There is no such account.', cause: error })
}

/** Undefined where there is none, or none that says why (XEP-0377 §4). */
function reportOf(item: Element, account: number, maxBytes: number): Report | undefined {
  const report = child(item, 'report', NS_REPORTING)
  const why = report?.attrs.reason
  if (report === undefined || why === undefined || why === '') return undefined
  const messages: { by: Jid; id: string }[] = []
  for (const { attrs } of children(report, 'stanza-id', NS_STANZA_ID)) {
    const by = attrs.by === undefined ? undefined : parseJid(attrs.by)
    if (by === undefined || attrs.id === undefined || attrs.id.length > MAX_MESSAGE_ID) continue
    if (messages.length < MAX_MESSAGES) messages.push({ by, id: attrs.id })
  }
  const words = children(report, 'text', NS_REPORTING).map(textOf)
  return {
    account,
    reported: addressOf(item),
    reason: Object.hasOwn(REASONS, why) ? (REASONS[why] as ReportReason) : 'other',
    text: cut(words.join('\n').trim(), maxBytes),
    messages,
    toOrigin: child(report, 'report-origin', NS_REPORTING) !== undefined,
    toThirdParty: child(report, 'third-party', NS_REPORTING) !== undefined,
  }
}
/** No more than that many bytes, and no part of a character. */
function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  return bytes.length <= maxBytes ? text : new TextDecoder().decode(bytes.subarray(0, maxBytes), { stream: true })
}
