/**
 * The servers of a network of Kontalk: what its apps fetch in the place of the list they were built with.
 *
 * A command (XEP-0050) at `network@` the domain, which answers at once and with a payload of its own.
 */
import { z } from 'zod'
import { domain } from '../config/units.ts'
import { defineFeature } from '../contract/feature.ts'
import { type Element, el } from '../xmpp/element.ts'
import { NS_COMMANDS } from '../xmpp/ns.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_SERVERLIST = 'http://kontalk.org/extensions/serverlist'
const LOCAL = 'network'
const NODE = 'serverlist'
const NAME = 'Network information'

const fingerprint = () =>
  z
    .string()
    .regex(/^[0-9A-Fa-f]{40}$/, 'expected the 40 hex digits of an OpenPGP fingerprint')
    .transform((text) => text.toUpperCase())

export default defineFeature({
  name: 'server_list',
  xeps: [],
  requires: ['disco'],
  config: z
    .strictObject({
      others: z
        .array(z.strictObject({ domain: domain(), fingerprint: fingerprint() }))
        .max(1_000, 'expected at most 1000 servers')
        .default([])
        .describe(
          'Other servers of the network with the fingerprints of their OpenPGP keys; its own domains are always told.',
        ),
    })
    .prefault({}),
  tables: ['network_server'],
  metrics: {},
  uses: ['disco', 'keys', 'network'],
  setup: ({ config, ports: { disco, keys, network } }) => {
    /** Made anew each time: the key may be another by now, and so may the servers that were added. */
    async function list(): Promise<Element> {
      const own = keys.serverKey().fingerprint
      const others = [...config.others, ...(await network.list())]
      const servers = new Map<string, string>(others.map((other) => [other.domain, other.fingerprint]))
      for (const served of disco.domains) servers.delete(served)
      const all = [...[...disco.domains].map((served) => [served, own] as const), ...servers]
      const items = all.map(([node, key]) => el('item', NS_SERVERLIST, { node, fingerprint: key }))
      return el('serverlist', NS_SERVERLIST, {}, ...items)
    }

    return {
      services: [{ local: LOCAL, name: NAME, category: 'component', type: 'generic', features: [NS_COMMANDS] }],
      iq: [
        {
          type: 'set',
          target: 'service',
          local: LOCAL,
          name: 'command',
          ns: NS_COMMANDS,
          answer: async ({ payload: { attrs } }) => {
            if (attrs.node !== NODE) throw new StanzaError('item-not-found', { text: 'No such command.' })
            const { action = 'execute' } = attrs
            // It has one stage, so nothing is ever open that one could go on with.
            if (action !== 'execute' || attrs.sessionid !== undefined)
              throw new StanzaError('bad-request', { app: el('bad-action', NS_COMMANDS) })
            return el('command', NS_COMMANDS, { node: NODE, status: 'completed' }, await list())
          },
        },
      ],
      discoNodes: {
        find: ({ node, to }) => {
          if (!to.startsWith(`${LOCAL}@`)) return undefined
          if (node === NODE)
            return {
              info: {
                identities: [{ category: 'automation', type: 'command-node', name: NAME }],
                features: [NS_COMMANDS],
              },
              items: [],
            }
          if (node !== NS_COMMANDS) return undefined
          return {
            info: { identities: [{ category: 'automation', type: 'command-list', name: NAME }], features: [] },
            items: [{ jid: to, node: NODE, name: NAME }],
          }
        },
      },
    }
  },
})
