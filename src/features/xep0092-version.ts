/**
 * XEP-0092: Software Version.
 *
 * Name and version of the server; the operating system is nobody's business.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { el } from '../xmpp/element.ts'

const NS_VERSION = 'jabber:iq:version'

export default defineFeature({
  name: 'version',
  xeps: [{ number: 92, version: '1.1', status: 'complete' }],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_VERSION] },
  metrics: {},
  uses: ['disco'],
  setup: ({ ports: { disco } }) => ({
    iq: [
      {
        type: 'get',
        target: 'server',
        name: 'query',
        ns: NS_VERSION,
        answer: () => {
          const { name, version } = disco.software
          return el('query', NS_VERSION, {}, el('name', NS_VERSION, {}, name), el('version', NS_VERSION, {}, version))
        },
      },
    ],
  }),
})
