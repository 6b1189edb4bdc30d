/**
 * Contact discovery of Kontalk's apps: which addresses of a phone book have accounts here.
 *
 * Addresses are hashes of numbers, so this would tell whoever tries all numbers who is here: the look-ups have budgets.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import type { Session } from '../contract/session.ts'
import { isSeen } from '../roster/subscription.ts'
import { children, type Element, el } from '../xmpp/element.ts'
import { type BareJid, bareOf, domainOf, localOf, parseJid } from '../xmpp/jid.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_MATCH = 'http://kontalk.org/extensions/roster'
const LOCAL = 'probe'
const NAME = 'Kontalk probe engine'
const NODE = `${NS_MATCH}#probe`

export default defineFeature({
  name: 'contact_discovery',
  xeps: [],
  requires: ['disco', 'roster'],
  config: z
    .strictObject({
      max_items: z
        .int('expected a whole number')
        .min(1, 'expected at least 1')
        .default(500)
        .describe('Addresses in one request; Kontalk’s apps send no more than 500.'),
    })
    .prefault({}),
  tables: ['lookup'],
  metrics: {
    items: {
      type: 'counter',
      name: 'fernruf_contact_discovery_items_total',
      help: 'Addresses asked about: found here, unknown here, or withheld because the asker’s budget was spent.',
      labels: ['outcome'],
    },
  },
  uses: ['views', 'lookups'],
  setup: ({ config, metrics, ports: { views, lookups } }) => {
    async function match(query: Element, { account: asker }: Session): Promise<Element> {
      const items = children(query, 'item', NS_MATCH)
      if (items.length > config.max_items)
        throw new StanzaError('policy-violation', { text: `No more than ${config.max_items} addresses at once.` })
      const targets = new Set(items.map(addressOf).filter((jid) => isAccountOf(jid, asker)))
      const view = views.peek(asker) ?? (await views.load(asker))
      if (view.account === undefined) throw new StanzaError('item-not-found', { text: 'There is no such account.' })
      const { found, withheld } = await lookups.find(
        asker,
        targets,
        // Who let the asker see when he is there is no secret to him.
        (jid) => jid === asker || isSeen(view.roster.get(jid)),
      )
      metrics.items.inc({ outcome: 'found' }, found.length)
      metrics.items.inc({ outcome: 'withheld' }, withheld)
      metrics.items.inc({ outcome: 'unknown' }, targets.size - withheld - found.length)
      return el('query', NS_MATCH, {}, ...found.map((jid) => el('item', NS_MATCH, { jid })))
    }

    return {
      services: [{ local: LOCAL, name: NAME, category: 'component', type: 'generic', features: [NS_MATCH] }],
      iq: [
        {
          type: 'get',
          target: 'service',
          local: LOCAL,
          name: 'query',
          ns: NS_MATCH,
          answer: ({ payload, session }) => {
            if (session === undefined)
              throw new StanzaError('forbidden', { text: 'This is for accounts of this server.' })
            return match(payload, session)
          },
        },
        // COMPAT(Kontalk before 3): without `to`.
        {
          type: 'get',
          target: 'self',
          name: 'query',
          ns: NS_MATCH,
          answer: ({ payload, session }) => match(payload, session),
        },
      ],
      discoNodes: {
        find: ({ node, to }) =>
          node === NODE && to.startsWith(`${LOCAL}@`)
            ? {
                info: { identities: [{ category: 'component', type: 'generic', name: NAME }], features: [NS_MATCH] },
                items: [],
              }
            : undefined,
      },
    }
  },
})

function addressOf({ attrs: { jid } }: Element): BareJid {
  const parsed = jid === undefined ? undefined : parseJid(jid)
  if (parsed === undefined) throw new StanzaError('bad-request', { text: 'Invalid JID string' })
  return bareOf(parsed)
}
/** Those of other servers are theirs to tell of. */
const isAccountOf = (jid: BareJid, asker: BareJid): boolean =>
  localOf(jid) !== undefined && domainOf(jid) === domainOf(asker)
