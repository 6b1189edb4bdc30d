/**
 * XEP-0049: Private XML Storage.
 *
 * What a client keeps here is read and changed by its own account only.
 */
import { z } from 'zod'
import type { PrivateElement } from '../account/private-store.ts'
import { size } from '../config/units.ts'
import { defineFeature } from '../contract/feature.ts'
import type { Session } from '../contract/session.ts'
import { type Element, el } from '../xmpp/element.ts'
import { NS_CLIENT } from '../xmpp/ns.ts'
import { serialize } from '../xmpp/serialize.ts'
import { readOwn } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_PRIVATE = 'jabber:iq:private'
const MAX_NAME_BYTES = 1024

export default defineFeature({
  name: 'private_xml',
  xeps: [{ number: 49, version: '1.2', status: 'complete' }],
  config: z
    .strictObject({
      max_elements: z
        .int('expected a whole number')
        .min(1, 'expected at least 1')
        .default(100)
        .describe('Elements kept of one account.'),
      max_bytes: size().prefault('512KiB').describe('Their bytes, names included.'),
    })
    .prefault({}),
  disco: { server: [NS_PRIVATE] },
  tables: ['private_xml'],
  metrics: {},
  uses: ['views', 'privateXml'],
  setup: ({ config, ports: { views, privateXml } }) => {
    const quota = { elements: config.max_elements, bytes: config.max_bytes }

    async function accountOf({ account }: Session): Promise<number> {
      const view = views.peek(account) ?? (await views.load(account))
      if (view.account === undefined) throw new StanzaError('item-not-found', { text: 'There is no such account.' })
      return view.account.id
    }
    async function get(query: Element, session: Session): Promise<Element> {
      const [asked, ...more] = elementsOf(query)
      if (asked === undefined || more.length > 0)
        throw new StanzaError('bad-request', { text: 'Ask for one element, by its name and namespace.' })
      checkName(asked)
      const found = await privateXml.find(await accountOf(session), asked.ns, asked.name)
      return el('query', NS_PRIVATE, {}, found === undefined ? el(asked.name, asked.ns) : readOwn(found).element)
    }
    async function set(query: Element, session: Session): Promise<undefined> {
      const given = elementsOf(query)
      if (given.length === 0) throw new StanzaError('not-acceptable', { text: 'There is nothing to keep.' })
      for (const element of given) checkName(element)
      const outcome = await privateXml.put(await accountOf(session), given.map(kept), quota)
      if (outcome === 'full') throw new StanzaError('resource-constraint', { text: 'There is no room for it.' })
      if (outcome === 'no-account') throw new StanzaError('item-not-found', { text: 'There is no such account.' })
    }

    return {
      iq: [
        {
          type: 'get',
          target: 'self',
          name: 'query',
          ns: NS_PRIVATE,
          answer: ({ payload, session }) => get(payload, session),
        },
        {
          type: 'set',
          target: 'self',
          name: 'query',
          ns: NS_PRIVATE,
          answer: ({ payload, session }) => set(payload, session),
        },
      ],
    }
  },
})

const elementsOf = (query: Element): Element[] => query.children.filter((c) => typeof c !== 'string')

/** §2.3: an element has a namespace of its own. */
function checkName({ name, ns }: Element): void {
  if (ns === '' || ns === NS_PRIVATE)
    throw new StanzaError('not-acceptable', { text: 'An element needs a namespace of its own.' })
  if (Buffer.byteLength(name) > MAX_NAME_BYTES || Buffer.byteLength(ns) > MAX_NAME_BYTES)
    throw new StanzaError('not-acceptable', { text: 'The name of an element is too long.' })
}
/** An empty element is what is answered where nothing is kept. */
function kept(element: Element): PrivateElement {
  const { name, ns, children, attrs } = element
  const isEmpty = children.length === 0 && Object.keys(attrs).length === 0
  return { ns, name, payload: isEmpty ? new Uint8Array() : Buffer.from(serialize(element, NS_CLIENT)) }
}
