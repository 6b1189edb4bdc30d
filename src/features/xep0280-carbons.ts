/**
 * XEP-0280: Message Carbons.
 *
 * An account's sessions see what its other sessions send and receive. The line offers every message of the account to the
 * sessions that carry the flag `carbons` and are no recipients, on every node; this feature decides which pass, and wraps them.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { type Direction, on } from '../contract/hook.ts'
import { carrying } from '../xmpp/forwarded.ts'
import { bareOf, type FullJid } from '../xmpp/jid.ts'
import { NS_CLIENT, NS_RECEIPTS } from '../xmpp/ns.ts'
import type { Message } from '../xmpp/stanza.ts'

const NS_CARBONS = 'urn:xmpp:carbons:2'
const NS_HINTS = 'urn:xmpp:hints'
const NS_MUC_USER = 'http://jabber.org/protocol/muc#user'
const NS_INVITATION = 'jabber:x:conference'
/** Payloads «typically used in IM» (§6.1), whatever the type of their message. */
const INSTANT: ReadonlySet<string> = new Set([
  NS_RECEIPTS,
  NS_INVITATION,
  'http://jabber.org/protocol/chatstates',
  'urn:xmpp:chat-markers:0',
])

export default defineFeature({
  name: 'carbons',
  xeps: [
    {
      number: 280,
      version: '1.0.1',
      status: 'partial',
      note: 'errors that answer a copied message are not copied, so not urn:xmpp:carbons:rules:0',
    },
  ],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_CARBONS], account: [NS_CARBONS] },
  metrics: {
    copied: {
      type: 'counter',
      name: 'fernruf_carbons_copied_total',
      help: 'Copies for the other sessions of an account, by direction.',
      labels: ['direction'],
    },
  },
  uses: [],
  setup: ({ metrics }) => ({
    iq: [
      {
        type: 'set',
        target: 'self',
        name: 'enable',
        ns: NS_CARBONS,
        answer: ({ session }) => void session.flag('carbons', true),
      },
      {
        type: 'set',
        target: 'self',
        name: 'disable',
        ns: NS_CARBONS,
        answer: ({ session }) => void session.flag('carbons', false),
      },
    ],
    bind2: [{ ns: NS_CARBONS, name: 'enable', apply: (_, session) => void session.flag('carbons', true) }],
    hooks: [
      on('toSession', 'message', 'guard', ({ stanza, direction, addressed }) =>
        addressed || isEligible(stanza, direction) ? 'pass' : 'drop',
      ),
      on('toSession', 'message', 'annotate', ({ stanza, session, direction, addressed }) => {
        if (addressed) return stanza
        metrics.copied.inc({ direction })
        return carbonOf(stanza, direction, session.jid)
      }),
    ],
  }),
})

/** §6.1, decided by the names of the payloads alone but for what rooms say. */
export function isEligible(message: Message, direction: Direction): boolean {
  if (message.type === 'groupchat' || message.type === 'error') return false
  if (message.has('private', NS_CARBONS) || message.has('no-copy', NS_HINTS)) return false
  if (message.has('x', NS_MUC_USER)) {
    if (message.has('x', NS_INVITATION) || isMediatedInvitation(message)) return true
    // The room gives it to each of the account's clients that is in it.
    if (direction === 'received') return false
  }
  if (message.type === 'chat') return true
  if (message.type === 'normal' && message.has('body', NS_CLIENT)) return true
  return message.children.some(({ ns }) => INSTANT.has(ns))
}
/** XEP-0045 §7.8.2. */
function isMediatedInvitation(message: Message): boolean {
  const payload = message.payload('x', NS_MUC_USER)
  return payload?.children.some((c) => typeof c !== 'string' && c.name === 'invite' && c.ns === NS_MUC_USER) === true
}

/** `<message><sent|received><forwarded>message</forwarded></…></message>` from the account to one of its sessions (§7, §8). */
function carbonOf(message: Message, direction: Direction, to: FullJid): Message {
  const fields = { kind: 'message', type: message.type, id: undefined, from: bareOf(to), to } as const
  return carrying(fields, { name: direction, ns: NS_CARBONS }, message)
}
