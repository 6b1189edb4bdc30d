/**
 * XEP-0012: Last Activity.
 *
 * Told to those who may see the presence of an account; all others are told the same as where there is no account.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { on } from '../contract/hook.ts'
import { maySee } from '../presence/broadcast.ts'
import { type Element, el } from '../xmpp/element.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_LAST = 'jabber:iq:last'
/** §3: «MUST return a forbidden error». */
const REFUSAL = 'forbidden'

export default defineFeature({
  name: 'last_activity',
  xeps: [{ number: 12, version: '2.0', status: 'complete' }],
  requires: ['roster'],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_LAST], account: [NS_LAST] },
  tables: ['last_seen'],
  metrics: {},
  uses: ['views', 'registry', 'lastSeen', 'lookups'],
  setup: ({ ports: { views, registry, lastSeen, lookups } }) => {
    const startedAt = performance.now()

    /** Seconds; never an error for an account that is there: Kontalk's app takes one for its end, and unsubscribes. */
    async function ofAccount(account: BareJid, from: Jid): Promise<Element> {
      const view = views.peek(account) ?? (await views.load(account))
      if (view.account === undefined || !maySee(from, view)) throw new StanzaError(REFUSAL)
      if ((await registry.of(account)).length > 0) return answer(0)
      const at = (await lastSeen.find(view.account.id)) ?? view.account.createdAt
      return answer(Date.now() - at)
    }

    return {
      iq: [
        {
          type: 'get',
          target: 'server',
          name: 'query',
          ns: NS_LAST,
          answer: () => answer(performance.now() - startedAt),
        },
        {
          type: 'get',
          target: 'account',
          name: 'query',
          ns: NS_LAST,
          refusal: REFUSAL,
          // Strangers learn nothing here; that they try costs them what it costs elsewhere.
          admit: async ({ from, view }) => {
            if (!maySee(from, view)) await lookups.spend(lookups.askerOf(from), view.jid)
          },
          answer: ({ account, from }) => ofAccount(account, from),
        },
      ],
      hooks: [
        // §4: what is addressed to a device is its own to answer, but not to whoever may not know that it is there.
        on('toAccount', 'iq', 'guard', ({ stanza, account, direction }) => {
          const isAsked = direction === 'received' && stanza.type === 'get' && stanza.has('query', NS_LAST)
          if (isAsked && !maySee(stanza.from, account)) throw new StanzaError(REFUSAL)
          return 'pass'
        }),
      ],
    }
  },
})

const answer = (ms: number): Element => el('query', NS_LAST, { seconds: String(Math.max(0, Math.floor(ms / 1000))) })
