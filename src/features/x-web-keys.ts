/**
 * OpenPGP keys over HTTP, of the accounts that want it: Web Key Directory (draft-koch-openpgp-webkey-service-19, direct and advanced
 * method) and look-ups of HKP (draft-gallagher-openpgp-hkp-07, without `add`).
 *
 * No account, one that does not want it, and an asker over his budget are told the same.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import type { HttpAnswer, HttpRequest } from '../contract/route.ts'
import { armored } from '../keys/armor.ts'
import type { ShownKey } from '../keys/directory.ts'
import { hkpSearch, type KeySearch } from '../keys/listing.ts'
import { booleanOf } from '../xmpp/data-form.ts'
import { el } from '../xmpp/element.ts'
import { type Domain, prepareDomain } from '../xmpp/jid.ts'
import { NS_COMMANDS } from '../xmpp/ns.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const TITLE = 'Who may find my key'
const NODE = 'key-publication'
const SUBDOMAIN = 'openpgpkey.'
const HASH = /^[ybndrfg8ejkmcpqxot1uwisza345h769]{32}$/
const TEXT = { 'content-type': 'text/plain; charset=utf-8' }

export default defineFeature({
  name: 'web_keys',
  xeps: [],
  requires: ['commands'],
  config: z.strictObject({}).prefault({}),
  metrics: {
    lookups: {
      type: 'counter',
      name: 'fernruf_web_keys_lookups_total',
      help: 'Keys asked for over HTTP, by protocol and whether one was given.',
      labels: ['protocol', 'outcome'],
    },
  },
  uses: ['views', 'web', 'disco', 'keyListing'],
  setup: ({ metrics, ports: { views, web, disco, keyListing } }) => {
    const find = async (protocol: 'wkd' | 'hkp', ip: string, search: KeySearch | undefined) => {
      const key = search === undefined ? undefined : await keyListing.find(ip, search)
      metrics.lookups.inc({ protocol, outcome: key === undefined ? 'none' : 'given' })
      return key
    }
    const served = (name: string): Domain | undefined => {
      const domain = prepareDomain(name)
      return domain !== undefined && disco.domains.has(domain) ? domain : undefined
    }
    /** The direct method has its domain in the host; a proxy may have put another in its place. */
    const ofHost = (host: string): Domain | undefined => {
      const [only, ...others] = disco.domains
      return served(host) ?? served(host.replace(SUBDOMAIN, '')) ?? (others.length === 0 ? only : undefined)
    }
    const wkd = async ({ ip }: HttpRequest, domain: Domain | undefined, hash = ''): Promise<HttpAnswer> => {
      const search = domain !== undefined && HASH.test(hash) ? { domain, hash } : undefined
      const key = await find('wkd', ip, search)
      if (key === undefined) return NOT_FOUND
      return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: key.ring }
    }
    const hkp = async ({ ip, query }: HttpRequest): Promise<HttpAnswer> => {
      const op = query.get('op')
      const search = query.get('search')
      if (op !== 'get' && op !== 'index' && op !== 'vindex') return text(501, 'only get and index')
      if (search === null) return text(400, 'there is nothing to search for')
      const key = await find('hkp', ip, hkpSearch(search))
      if (key === undefined) return NOT_FOUND
      if (op === 'get')
        return {
          status: 200,
          headers: { 'content-type': 'application/pgp-keys' },
          body: armored('PUBLIC KEY BLOCK', key.ring),
        }
      return text(200, listed(key))
    }

    return {
      routes:
        web === undefined
          ? []
          : [
              // §4.5: no rules of its own.
              { name: 'wkd', path: '/.well-known/openpgpkey/policy', get: () => text(200, ''), isOpen: true },
              {
                name: 'wkd',
                path: '/.well-known/openpgpkey/:first/:second',
                get: (request) => {
                  const { first = '', second } = request.params
                  if (first === 'hu') return wkd(request, ofHost(request.host), second)
                  return second === 'policy' && served(first) !== undefined ? text(200, '') : NOT_FOUND
                },
                isOpen: true,
              },
              {
                name: 'wkd',
                path: '/.well-known/openpgpkey/:domain/hu/:hash',
                get: (request) => wkd(request, served(request.params.domain ?? ''), request.params.hash),
                isOpen: true,
              },
              { name: 'hkp', path: '/pks/lookup', get: hkp, isOpen: true },
            ],
      commands: [
        {
          node: NODE,
          name: TITLE,
          who: 'account',
          run: async ({ session, form }) => {
            const { account } = views.peek(session.account) ?? (await views.load(session.account))
            if (account === undefined) throw new StanzaError('item-not-found', { text: 'This account is gone.' })
            if (form === undefined) return { form: formFor(await keyListing.isListed(account)) }
            const isListed = booleanOf(form, 'published')
            if (isListed === undefined)
              throw new StanzaError('bad-request', { text: 'Yes or no?', app: el('bad-payload', NS_COMMANDS) })
            await keyListing.list(account, isListed)
            return { note: isListed ? 'From now on anybody can fetch your key.' : 'Your key is not shown any more.' }
          },
        },
      ],
    }
  },
})

const formFor = (isListed: boolean) =>
  ({
    title: TITLE,
    instructions:
      'OpenPGP programs look for the key of an address on the web, chat programs ask this server. What they get is your key with your address and the name beside it, also when nobody there is among your contacts.',
    formType: 'fernruf:key-publication',
    fields: [
      {
        var: 'published',
        type: 'boolean',
        label: 'Anybody who knows my address may fetch my key',
        values: [isListed ? '1' : '0'],
      },
    ],
  }) as const

const text = (status: number, words: string): HttpAnswer => ({
  status,
  headers: TEXT,
  body: words === '' ? '' : `${words}\n`,
})
const NOT_FOUND = text(404, 'no key found')

/** HKP's list for machines, of one key; people can read it as well. */
function listed({ fingerprint, algorithm, bits, createdAt, expiresAt, isRevoked, userId }: ShownKey): string {
  const seconds = (ms: number): string => (ms === Infinity ? '' : String(Math.floor(ms / 1000)))
  const flags = isRevoked ? 'r' : ''
  const name = [...userId]
    .map((byte) => {
      const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x3a
      return isPlain || byte === 0x20
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
  return [
    'info:1:1',
    `pub:${fingerprint}:${algorithm}:${bits ?? ''}:${seconds(createdAt)}:${seconds(expiresAt)}:${flags}`,
    `uid:${name}:${seconds(createdAt)}:${seconds(expiresAt)}:${flags}`,
  ].join('\n')
}
