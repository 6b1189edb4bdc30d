/**
 * XEP-0373: OpenPGP for XMPP, the public keys of accounts whose owners let anybody fetch them.
 *
 * There is no PubSub service behind the two nodes: what is read from them is the key directory, and nothing is published here. An
 * account without a key, one whose owner does not want it, nobody, and an asker over his budget (DESIGN.md section 6) are told the
 * same, as whatever else is asked of an account by XEP-0060 is answered without a look at who it is.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import type { IqHandler } from '../contract/handler.ts'
import type { ShownKey } from '../keys/directory.ts'
import { hasContact } from '../roster/roster.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { children, type Element, el, firstElement } from '../xmpp/element.ts'
import { bareOf } from '../xmpp/jid.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_OX = 'urn:xmpp:openpgp:0'
const NS_PUBSUB = 'http://jabber.org/protocol/pubsub'
const NS_OWNER = `${NS_PUBSUB}#owner`
const NS_ERRORS = `${NS_PUBSUB}#errors`
/** §4.2: the list of keys. */
const LIST = `${NS_OX}:public-keys`
/** §4.1: one key, by its fingerprint. */
const KEY = /^urn:xmpp:openpgp:0:public-keys:[0-9A-F]{40}$/
/** Without a text: none could be true of all that it is said of. */
const REFUSAL = 'item-not-found'

/** What a service that cannot do it says is missing (XEP-0060, the error cases of each). */
const UNSUPPORTED: Readonly<Record<string, ReadonlyMap<string, string>>> = {
  [NS_PUBSUB]: new Map([
    ['affiliations', 'retrieve-affiliations'],
    ['create', 'create-nodes'],
    ['default', 'retrieve-default-sub'],
    ['options', 'subscription-options'],
    ['publish', 'publish'],
    ['retract', 'delete-items'],
    ['subscribe', 'subscribe'],
    ['subscriptions', 'retrieve-subscriptions'],
    ['unsubscribe', 'subscribe'],
  ]),
  [NS_OWNER]: new Map([
    ['affiliations', 'modify-affiliations'],
    ['configure', 'config-node'],
    ['default', 'retrieve-default'],
    ['delete', 'delete-nodes'],
    ['purge', 'purge-nodes'],
    ['subscriptions', 'manage-subscriptions'],
  ]),
}

interface Asked {
  readonly node: string
  /** Of the items wanted; empty: all. */
  readonly ids: ReadonlySet<string>
}

export default defineFeature({
  name: 'openpgp',
  xeps: [
    {
      number: 373,
      version: '0.7.0',
      status: 'partial',
      note: 'public keys read from the key directory; without PubSub nothing is published and nobody is notified',
    },
  ],
  config: z.strictObject({}).prefault({}),
  // Not the identity of PEP: a client that sees it publishes.
  disco: { account: [`${NS_PUBSUB}#retrieve-items`] },
  metrics: {
    refused: {
      type: 'counter',
      name: 'fernruf_openpgp_refused_total',
      help: 'Requests for OpenPGP nodes of strangers over the asker’s budget.',
    },
  },
  uses: ['views', 'keys', 'keyListing', 'lookups'],
  setup: ({ metrics, ports: { views, keys, keyListing, lookups } }) => ({
    iq: [
      {
        type: 'get',
        target: 'self',
        name: 'pubsub',
        ns: NS_PUBSUB,
        answer: async ({ payload, session }) => {
          const asked = read(payload)
          const { account } = views.peek(session.account) ?? (await views.load(session.account))
          return itemsOf(asked, account && (await keys.shown(account)))
        },
      },
      {
        type: 'get',
        target: 'account',
        name: 'pubsub',
        ns: NS_PUBSUB,
        refusal: REFUSAL,
        admit: async ({ from, view, payload }) => {
          read(payload)
          if (hasContact(view, bareOf(from)) || (await lookups.spend(lookups.askerOf(from), view.jid))) return
          metrics.refused.inc()
          throw new StanzaError(REFUSAL)
        },
        answer: async ({ payload, account: jid }) => {
          const { account } = views.peek(jid) ?? (await views.load(jid))
          const isShown = account !== undefined && (await keyListing.isListed(account))
          return itemsOf(read(payload), isShown ? await keys.shown(account) : undefined)
        },
      },
      ...refused('set', NS_PUBSUB),
      ...refused('get', NS_OWNER),
      ...refused('set', NS_OWNER),
    ],
  }),
})

/** Who it is that is asked for makes no difference, so it is not looked at. */
function refused(type: 'get' | 'set', ns: string): IqHandler[] {
  const kind = { type, name: 'pubsub', ns }
  const refuse = ({ payload }: { readonly payload: Element }): never => {
    throw unsupported(payload)
  }
  return [
    { ...kind, target: 'self', answer: refuse },
    { ...kind, target: 'account', admit: refuse, answer: refuse },
  ]
}
function unsupported(payload: Element): StanzaError {
  const action = firstElement(payload)?.name
  if (action === undefined || action === 'items') return new StanzaError('bad-request')
  const feature = UNSUPPORTED[payload.ns]?.get(action)
  const app = feature === undefined ? {} : { app: el('unsupported', NS_ERRORS, { feature }) }
  return new StanzaError('feature-not-implemented', app)
}

/** XEP-0060 §6.5. @throws StanzaError for all but a request for items of a node that an account can have */
function read(payload: Element): Asked {
  const items = firstElement(payload)
  if (items?.name !== 'items' || items.ns !== NS_PUBSUB) throw unsupported(payload)
  const { node, max_items: max = '1' } = items.attrs
  if (node === undefined) throw new StanzaError('bad-request', { app: el('nodeid-required', NS_ERRORS) })
  const wanted = children(items, 'item', NS_PUBSUB).map(({ attrs }) => attrs.id)
  if (!/^0*[1-9]\d*$/.test(max) || wanted.includes(undefined)) throw new StanzaError('bad-request')
  // That of secret keys (§5) among them, whoever asks.
  if (node !== LIST && !KEY.test(node)) throw new StanzaError(REFUSAL)
  return { node, ids: new Set(wanted as string[]) }
}

/** @throws StanzaError item-not-found where there is no such node */
function itemsOf({ node, ids }: Asked, key: ShownKey | undefined): Element {
  if (key === undefined || (node !== LIST && node !== `${LIST}:${key.fingerprint}`)) throw new StanzaError(REFUSAL)
  const date = formatDateTime(new Date(key.updatedAt))
  const payload = node === LIST ? listOf(key, date) : keyOf(key)
  const item = ids.size === 0 || ids.has(date) ? [el('item', NS_PUBSUB, { id: date }, payload)] : []
  return el('pubsub', NS_PUBSUB, {}, el('items', NS_PUBSUB, { node }, ...item))
}
const listOf = ({ fingerprint }: ShownKey, date: string): Element =>
  el('public-keys-list', NS_OX, {}, el('pubkey-metadata', NS_OX, { 'v4-fingerprint': fingerprint, date }))
const keyOf = ({ ring }: ShownKey): Element =>
  el('pubkey', NS_OX, {}, el('data', NS_OX, {}, Buffer.from(ring).toString('base64')))
