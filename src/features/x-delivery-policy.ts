/**
 * The account's own choice of how its messages reach its devices (DESIGN.md section 5), as a command of its clients (XEP-0050).
 */
import { z } from 'zod'
import { DELIVERIES, type Delivery } from '../account/store.ts'
import { defineFeature } from '../contract/feature.ts'
import { type DataForm, fieldValue } from '../xmpp/data-form.ts'
import { el } from '../xmpp/element.ts'
import { NS_COMMANDS } from '../xmpp/ns.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const AS_THE_DOMAIN = 'default'
const LABELS: Readonly<Record<Delivery | typeof AS_THE_DOMAIN, string>> = {
  'first-come': 'To all that are there; what one has taken does not wait for the others',
  'every-device': 'To each of my devices, also to those that come later',
  exclusive: 'To one device at a time',
  [AS_THE_DOMAIN]: 'As this server does for everybody',
}

export default defineFeature({
  name: 'delivery_policy',
  xeps: [],
  requires: ['commands'],
  config: z.strictObject({}).prefault({}),
  metrics: {},
  uses: ['accounts', 'views'],
  setup: ({ ports: { accounts, views } }) => ({
    commands: [
      {
        node: 'delivery-policy',
        name: 'How my messages reach my devices',
        who: 'account',
        run: async ({ session: { account }, form }) => {
          if (form !== undefined) {
            const choice = choiceOf(form)
            await accounts.setDelivery(account, choice === AS_THE_DOMAIN ? undefined : choice)
            return { note: `From now on: ${LABELS[choice]}.` }
          }
          const view = views.peek(account) ?? (await views.load(account))
          return { form: formFor(view.account?.delivery ?? AS_THE_DOMAIN) }
        },
      },
    ],
  }),
})

function formFor(current: string) {
  return {
    title: 'How my messages reach my devices',
    formType: 'fernruf:delivery-policy',
    fields: [
      {
        var: 'policy',
        type: 'list-single',
        label: 'New messages go',
        required: true,
        values: [current],
        options: Object.entries(LABELS).map(([value, label]) => ({ value, label })),
      },
    ],
  } as const
}
/** @throws StanzaError bad-request */
function choiceOf(form: DataForm): Delivery | typeof AS_THE_DOMAIN {
  const value = fieldValue(form, 'policy')
  const choice = [...DELIVERIES, AS_THE_DOMAIN].find((name) => name === value)
  if (choice !== undefined) return choice as Delivery | typeof AS_THE_DOMAIN
  throw new StanzaError('bad-request', { text: 'There is no such policy.', app: el('bad-payload', NS_COMMANDS) })
}
