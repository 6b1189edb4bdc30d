/**
 * XEP-0115: Entity Capabilities.
 *
 * The server's own, as a stream feature (§6.3): a client that knows the hash need not ask what the server can do.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { capsHash, capsNode, serverInfo } from '../xmpp/disco.ts'
import { el } from '../xmpp/element.ts'

const NS_CAPS = 'http://jabber.org/protocol/caps'

export default defineFeature({
  name: 'caps',
  xeps: [
    { number: 115, version: '1.6.0', status: 'partial', note: 'the server’s own capabilities; it keeps no others’' },
  ],
  requires: ['disco'],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_CAPS] },
  metrics: {},
  uses: ['disco'],
  setup: ({ ports: { disco } }) => ({
    streamFeatures: [
      {
        name: 'c',
        ns: NS_CAPS,
        needs: ['authenticated'],
        until: ['bound'],
        advertise: ({ domain }) => {
          const ver = capsHash(serverInfo(disco.software.name, disco.serverFeatures))
          return el('c', NS_CAPS, { hash: 'sha-1', node: capsNode(domain), ver })
        },
      },
    ],
  }),
})
