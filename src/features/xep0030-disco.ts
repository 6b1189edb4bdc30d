/**
 * XEP-0030: Service Discovery.
 *
 * Says what the server and its accounts can do; an account's answer is for its owner and its subscribers only (§8).
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { maySee } from '../presence/broadcast.ts'
import { capsHash, capsNode, infoElement, serverInfo } from '../xmpp/disco.ts'
import { type Element, el } from '../xmpp/element.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'
import { NS_DISCO_INFO, NS_DISCO_ITEMS } from '../xmpp/ns.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

export default defineFeature({
  name: 'disco',
  xeps: [
    {
      number: 30,
      version: '2.5.0',
      status: 'partial',
      note: 'items of an account are refused to strangers, not empty',
    },
  ],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_DISCO_INFO, NS_DISCO_ITEMS], account: [NS_DISCO_INFO, NS_DISCO_ITEMS] },
  metrics: {},
  uses: ['disco', 'views'],
  setup: ({ ports: { disco, views } }) => {
    const ofServer = () => serverInfo(disco.software.name, disco.serverFeatures)

    function info(query: Element, to: Jid | undefined): Element {
      const { node } = query.attrs
      const asked = ofServer()
      if (node === undefined || node === '') return infoElement(asked)
      // XEP-0115 §6.2: what was announced with a hash is asked for by it.
      if (to !== undefined && node === `${capsNode(to)}#${capsHash(asked)}`) return infoElement(asked, node)
      throw new StanzaError('item-not-found')
    }
    function items(query: Element): Element {
      if (query.attrs.node) throw new StanzaError('item-not-found')
      const found = disco.items.map(({ jid, name }) => el('item', NS_DISCO_ITEMS, { jid, name }))
      return el('query', NS_DISCO_ITEMS, {}, ...found)
    }
    /** Who is no subscriber is answered as if there were no such account. */
    async function check(query: Element, from: Jid, account: BareJid): Promise<void> {
      const view = views.peek(account) ?? (await views.load(account))
      if (!maySee(from, account, view.roster)) throw new StanzaError('service-unavailable')
      if (query.attrs.node) throw new StanzaError('item-not-found')
    }

    return {
      iq: [
        {
          type: 'get',
          target: 'server',
          name: 'query',
          ns: NS_DISCO_INFO,
          answer: ({ request, payload }) => info(payload, request.to),
        },
        { type: 'get', target: 'server', name: 'query', ns: NS_DISCO_ITEMS, answer: ({ payload }) => items(payload) },
        {
          type: 'get',
          target: 'account',
          name: 'query',
          ns: NS_DISCO_INFO,
          answer: async ({ payload, from, account }) => {
            await check(payload, from, account)
            const identities = [{ category: 'account', type: 'registered' }]
            return infoElement({ identities, features: disco.accountFeatures })
          },
        },
        {
          type: 'get',
          target: 'account',
          name: 'query',
          ns: NS_DISCO_ITEMS,
          answer: async ({ payload, from, account }) => {
            await check(payload, from, account)
            return el('query', NS_DISCO_ITEMS)
          },
        },
      ],
    }
  },
})
