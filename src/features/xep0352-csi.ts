/**
 * XEP-0352: Client State Indication.
 *
 * While a client says that nobody looks at it, presence is kept back, the last of each contact only, and messages that only tell
 * chat states are dropped. Whatever else comes takes along what was kept back, before it, so that the order stays and a phone's
 * radio wakes up once.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { on } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import { el } from '../xmpp/element.ts'
import type { Jid } from '../xmpp/jid.ts'
import type { Message, Presence } from '../xmpp/stanza.ts'

const NS_CSI = 'urn:xmpp:csi:0'
const NS_CHAT_STATES = 'http://jabber.org/protocol/chatstates'
const NS_HINTS = 'urn:xmpp:hints'

/** The last presence of each address, in the order in which they came. */
type KeptBack = Map<Jid, Presence>

export default defineFeature({
  name: 'csi',
  xeps: [{ number: 352, version: '1.0.0', status: 'complete' }],
  config: z
    .strictObject({
      max_kept_back: z
        .int()
        .min(1)
        .default(500)
        .describe('Presences kept back for one client; more than these are given to it.'),
    })
    .prefault({}),
  metrics: {
    keptBack: {
      type: 'counter',
      name: 'fernruf_csi_kept_back_total',
      help: 'Stanzas that an inactive client was spared or given later, by what became of them.',
      labels: ['outcome'],
    },
  },
  uses: [],
  setup: ({ config, metrics }) => {
    const keptBack = new WeakMap<Session, KeptBack>()

    function give(session: Session): void {
      const kept = keptBack.get(session)
      if (kept === undefined) return
      keptBack.delete(session)
      for (const presence of kept.values()) session.send(presence)
      metrics.keptBack.inc({ outcome: 'given later' }, kept.size)
    }
    function keepBack(presence: Presence, session: Session): void {
      const kept = keptBack.get(session) ?? new Map<Jid, Presence>()
      keptBack.set(session, kept)
      // The newer one takes its place at the end: what it follows came before it.
      if (kept.delete(presence.from)) metrics.keptBack.inc({ outcome: 'overtaken' })
      kept.set(presence.from, presence)
      if (kept.size >= config.max_kept_back) give(session)
    }

    return {
      streamFeatures: [
        {
          name: 'csi',
          ns: NS_CSI,
          needs: ['authenticated'],
          until: ['bound'],
          advertise: () => el('csi', NS_CSI),
        },
      ],
      nonzas: [
        { name: 'inactive', ns: NS_CSI, handle: (_, session) => session.flag('inactive', true) },
        {
          name: 'active',
          ns: NS_CSI,
          handle: (_, session) => {
            session.flag('inactive', false)
            give(session)
          },
        },
      ],
      bind2: [{ ns: NS_CSI, name: 'inactive', apply: (_, session) => void session.flag('inactive', true) }],
      // A resumed stream begins active (§5).
      resumed: (session) => {
        session.flag('inactive', false)
        give(session)
      },
      hooks: [
        on('toSession', 'presence', 'guard', ({ stanza, session }) => {
          if (!session.flags.has('inactive')) return 'pass'
          if (stanza.type === '' || stanza.type === 'unavailable') {
            keepBack(stanza as Presence, session)
            return 'drop'
          }
          give(session)
          return 'pass'
        }),
        on('toSession', 'message', 'guard', ({ stanza, session }) => {
          if (!session.flags.has('inactive')) return 'pass'
          if (isChatStateOnly(stanza as Message)) {
            metrics.keptBack.inc({ outcome: 'dropped' })
            return 'drop'
          }
          give(session)
          return 'pass'
        }),
        on('toSession', 'iq', 'guard', ({ session }) => {
          give(session)
          return 'pass'
        }),
      ],
    }
  },
})

/** A message that tells nothing but that somebody is writing, or no longer. */
export function isChatStateOnly(message: Message): boolean {
  if (message.type === 'error') return false
  const { children } = message
  return (
    children.some((c) => c.ns === NS_CHAT_STATES) &&
    children.every((c) => c.ns === NS_CHAT_STATES || c.ns === NS_HINTS || c.name === 'thread')
  )
}
