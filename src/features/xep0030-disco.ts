/**
 * XEP-0030: Service Discovery.
 *
 * Says what the server and its accounts can do; an account's answer is for its owner and its subscribers only (§8).
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { maySee } from '../presence/broadcast.ts'
import { capsHash, capsNode, infoElement, itemsElement, serverInfo } from '../xmpp/disco.ts'
import type { Element } from '../xmpp/element.ts'
import { type BareJid, bareJid, domainOf, type Jid, localOf } from '../xmpp/jid.ts'
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

    function info(query: Element, from: Jid, to: Jid): Element {
      const { node } = query.attrs
      const asked = ofServer()
      if (!node) return infoElement(asked)
      // XEP-0115 §6.2: what was announced with a hash is asked for by it.
      if (node === `${capsNode(to)}#${capsHash(asked)}`) return infoElement(asked, node)
      return infoElement(found(node, from, to).info, node)
    }
    function items(query: Element, from: Jid, to: Jid): Element {
      const { node } = query.attrs
      if (node) return itemsElement(found(node, from, to).items, node)
      const at = domainOf(to)
      return itemsElement(disco.services.map(({ local, name }) => ({ jid: bareJid(local, at), name })))
    }
    function found(node: string, from: Jid, to: Jid) {
      const known = disco.nodes.find({ node, from, to })
      if (known === undefined) throw new StanzaError('item-not-found')
      return known
    }
    /** An error here ends the listing in Kontalk's app (quirk 15). */
    function serviceInfo(query: Element, from: Jid, to: Jid): Element {
      const { node } = query.attrs
      if (node) return infoElement(found(node, from, to).info, node)
      const service = disco.services.find(({ local }) => local === localOf(to))
      if (service === undefined) throw new StanzaError('item-not-found')
      const { category, type, name, features, forms = [] } = service
      return infoElement({
        identities: [{ category, type, name }],
        features: [NS_DISCO_INFO, NS_DISCO_ITEMS, ...features],
        forms,
      })
    }
    /** Who is no subscriber is answered as if there were no such account. */
    async function check(from: Jid, account: BareJid): Promise<void> {
      const view = views.peek(account) ?? (await views.load(account))
      if (!maySee(from, view)) throw new StanzaError('service-unavailable')
    }

    return {
      iq: [
        {
          type: 'get',
          target: 'server',
          name: 'query',
          ns: NS_DISCO_INFO,
          answer: ({ request, payload, from }) => info(payload, from, request.to ?? domainOf(from)),
        },
        {
          type: 'get',
          target: 'server',
          name: 'query',
          ns: NS_DISCO_ITEMS,
          answer: ({ request, payload, from }) => items(payload, from, request.to ?? domainOf(from)),
        },
        {
          type: 'get',
          target: 'service',
          name: 'query',
          ns: NS_DISCO_INFO,
          answer: ({ request, payload, from }) => serviceInfo(payload, from, request.to ?? domainOf(from)),
        },
        {
          type: 'get',
          target: 'service',
          name: 'query',
          ns: NS_DISCO_ITEMS,
          answer: ({ request, payload: { attrs }, from }) =>
            attrs.node
              ? itemsElement(found(attrs.node, from, request.to ?? domainOf(from)).items, attrs.node)
              : itemsElement([]),
        },
        {
          type: 'get',
          target: 'account',
          name: 'query',
          ns: NS_DISCO_INFO,
          answer: async ({ payload, from, account }) => {
            await check(from, account)
            const { node } = payload.attrs
            if (node) return infoElement(found(node, from, account).info, node)
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
            await check(from, account)
            const { node } = payload.attrs
            return node ? itemsElement(found(node, from, account).items, node) : itemsElement([])
          },
        },
      ],
    }
  },
})
