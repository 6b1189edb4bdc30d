/**
 * XEP-0199: XMPP Ping.
 *
 * Answers pings to the server and to the sender's own account (§4.2).
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { NS_PING } from '../xmpp/ns.ts'

export default defineFeature({
  name: 'ping',
  xeps: [{ number: 199, version: '2.0.1', status: 'complete' }],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_PING], account: [NS_PING] },
  metrics: {},
  uses: [],
  setup: () => ({
    iq: [
      { type: 'get', target: 'server', name: 'ping', ns: NS_PING, answer: () => undefined },
      { type: 'get', target: 'self', name: 'ping', ns: NS_PING, answer: () => undefined },
    ],
  }),
})
