/**
 * Kontalk's directory of OpenPGP keys, `urn:xmpp:pubkey:2`: a variant of XEP-0189 (kontalk-protocol f).
 *
 * Anybody may ask for a key, since without it he would write in clear text. That nobody finds out by trying who has an account is
 * the work of a budget (DESIGN.md section 6). Who is over it, blocked, or asks for an account without a key or for nobody, is told
 * the same.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import type { IqHandler } from '../contract/handler.ts'
import { on } from '../contract/hook.ts'
import { hasContact } from '../roster/roster.ts'
import type { Element } from '../xmpp/element.ts'
import { type BareJid, bareOf } from '../xmpp/jid.ts'
import { NS_PUBKEY } from '../xmpp/ns.ts'
import { keyAnswer, withNotice } from '../xmpp/public-key.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const PUBKEY = { name: 'pubkey', ns: NS_PUBKEY }
/** Without a text: none could be true of all that it is said of. */
const REFUSAL = 'item-not-found'

export default defineFeature({
  name: 'public_keys',
  xeps: [{ number: 189, version: '0.14', status: 'partial', note: 'Kontalk’s variant: the whole key as base64' }],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_PUBKEY], account: [NS_PUBKEY] },
  metrics: {
    refused: {
      type: 'counter',
      name: 'fernruf_public_keys_refused_total',
      help: 'Requests for keys of strangers over the asker’s budget.',
    },
  },
  uses: ['views', 'keys', 'lookups'],
  setup: ({ metrics, ports: { views, keys, lookups } }) => {
    async function keyOf(jid: BareJid): Promise<Element> {
      const { account } = views.peek(jid) ?? (await views.load(jid))
      const key = account === undefined ? undefined : await keys.of(account)
      if (key === undefined) throw new StanzaError(REFUSAL)
      return keyAnswer(key)
    }

    return {
      iq: [
        { type: 'get', target: 'server', ...PUBKEY, answer: () => keyAnswer(keys.serverKey()) },
        {
          type: 'get',
          target: 'self',
          ...PUBKEY,
          // f.2: without an address it is the server's key that is meant.
          answer: ({ request, session }) =>
            request.to === undefined ? keyAnswer(keys.serverKey()) : keyOf(session.account),
        },
        {
          type: 'get',
          target: 'account',
          ...PUBKEY,
          refusal: REFUSAL,
          admit: async ({ from, view }) => {
            if (hasContact(view, bareOf(from)) || (await lookups.spend(lookups.askerOf(from), view.jid))) return
            metrics.refused.inc()
            throw new StanzaError(REFUSAL)
          },
          answer: ({ account }) => keyOf(account),
        },
        // f.2: a key comes with registration, never so.
        ...(['server', 'self', 'account'] as const).map(
          (target): IqHandler => ({ type: 'set', target, ...PUBKEY, refusal: 'bad-request', answer: refuseSet }),
        ),
      ],
      hooks: [
        // f.1: what the client says of its key is replaced. A request for subscription gets the whole key on its way.
        on('fromClient', 'presence', 'annotate', ({ stanza, session }) =>
          withNotice(stanza, stanza.type === '' ? views.latest(session.account)?.account?.fingerprint : undefined),
        ),
      ],
    }
  },
})

function refuseSet(): never {
  throw new StanzaError('bad-request')
}
