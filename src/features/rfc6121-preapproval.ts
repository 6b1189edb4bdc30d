/**
 * RFC 6121 §3.4: pre-approving a subscription request.
 *
 * Says that the server does it; what it does is a part of the subscription table (roster/).
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { el } from '../xmpp/element.ts'

const NS_PREAPPROVAL = 'urn:xmpp:features:pre-approval'

export default defineFeature({
  name: 'preapproval',
  xeps: [],
  rfcs: [{ number: 6121, section: '3.4', status: 'complete' }],
  requires: ['roster'],
  config: z.strictObject({}).prefault({}),
  metrics: {},
  uses: [],
  setup: () => ({
    streamFeatures: [
      {
        name: 'sub',
        ns: NS_PREAPPROVAL,
        needs: ['authenticated'],
        until: ['bound'],
        advertise: () => el('sub', NS_PREAPPROVAL),
      },
    ],
  }),
})
