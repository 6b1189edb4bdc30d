/**
 * XEP-0054: vcard-temp, and the server's part of XEP-0153: vCard-Based Avatars.
 *
 * An account's card is answered for it, whether it is online or not. Where there is none, the answer is that of an address without
 * account. The hash of the picture is put into presence by clients (XEP-0153 §3.1); nothing is asked of a server.
 */
import { z } from 'zod'
import { size } from '../config/units.ts'
import { defineFeature } from '../contract/feature.ts'
import { maySee } from '../presence/broadcast.ts'
import type { Element } from '../xmpp/element.ts'
import type { BareJid, Jid } from '../xmpp/jid.ts'
import { NS_CLIENT } from '../xmpp/ns.ts'
import { serialize } from '../xmpp/serialize.ts'
import { readOwn } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_VCARD = 'vcard-temp'

export default defineFeature({
  name: 'vcard',
  xeps: [
    { number: 54, version: '1.3.0', status: 'complete' },
    { number: 153, version: '1.1.1', status: 'complete' },
  ],
  config: z
    .strictObject({
      max_bytes: size().prefault('128KiB').describe('Bytes of one card, its picture included.'),
      shown_to: z
        .enum(['anybody', 'contacts'], 'expected anybody or contacts')
        .default('anybody')
        .describe('Who may read a card: anybody, or those who may see the presence of its account.'),
    })
    .prefault({}),
  disco: { server: [NS_VCARD], account: [NS_VCARD] },
  tables: ['vcard'],
  metrics: {},
  uses: ['views', 'vcards'],
  setup: ({ config, ports: { views, vcards } }) => {
    async function cardOf(account: BareJid): Promise<Element | undefined> {
      const view = views.peek(account) ?? (await views.load(account))
      const found = view.account === undefined ? undefined : await vcards.find(view.account.id)
      return found === undefined ? undefined : readOwn(found).element
    }
    async function show(account: BareJid, from: Jid): Promise<Element> {
      const view = views.peek(account) ?? (await views.load(account))
      const isShown = config.shown_to === 'anybody' || maySee(from, view)
      const card = isShown ? await cardOf(account) : undefined
      // §3.3: the same where there is no card, or nobody.
      if (card === undefined) throw new StanzaError('service-unavailable')
      return card
    }
    async function keep(card: Element, account: BareJid): Promise<undefined> {
      const view = views.peek(account) ?? (await views.load(account))
      if (view.account === undefined) throw new StanzaError('item-not-found', { text: 'There is no such account.' })
      const isEmpty = card.children.length === 0 && Object.keys(card.attrs).length === 0
      const payload = isEmpty ? undefined : Buffer.from(serialize(card, NS_CLIENT))
      if (payload !== undefined && payload.length > config.max_bytes)
        throw new StanzaError('policy-violation', { text: 'The card is too large.' })
      await vcards.put(view.account.id, payload)
    }

    return {
      iq: [
        {
          type: 'get',
          target: 'self',
          name: 'vCard',
          ns: NS_VCARD,
          answer: async ({ session }) => {
            const card = await cardOf(session.account)
            if (card === undefined) throw new StanzaError('item-not-found')
            return card
          },
        },
        {
          type: 'set',
          target: 'self',
          name: 'vCard',
          ns: NS_VCARD,
          answer: ({ payload, session }) => keep(payload, session.account),
        },
        {
          type: 'get',
          target: 'account',
          name: 'vCard',
          ns: NS_VCARD,
          answer: ({ account, from }) => show(account, from),
        },
      ],
    }
  },
})
