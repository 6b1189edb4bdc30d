/**
 * XEP-0359: Unique and Stable Stanza IDs.
 *
 * An id that claims to be given by an account or domain of ours is taken off whatever comes in (§3, rule 2): only the archive gives
 * them, when it delivers.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { on } from '../contract/hook.ts'
import type { Element } from '../xmpp/element.ts'
import { domainOf, parseJid } from '../xmpp/jid.ts'
import { NS_SID } from '../xmpp/ns.ts'
import { type Message, Stanza } from '../xmpp/stanza.ts'

const ID = { name: 'stanza-id', ns: NS_SID }

export default defineFeature({
  name: 'stanza_id',
  xeps: [{ number: 359, version: '0.7.0', status: 'partial', note: 'ids tell when a message was kept (§6)' }],
  config: z.strictObject({}).prefault({}),
  disco: { server: [NS_SID], account: [NS_SID] },
  metrics: {},
  uses: ['disco'],
  setup: ({ ports: { disco } }) => {
    const isOurs = ({ by }: Element['attrs']): boolean => {
      const jid = by === undefined ? undefined : parseJid(by)
      return jid !== undefined && disco.domains.has(domainOf(jid))
    }
    const isForged = (payload: Element | string): boolean =>
      typeof payload !== 'string' && payload.name === 'stanza-id' && payload.ns === NS_SID && isOurs(payload.attrs)
    /** The tree is looked at only where there is such an id, which clients do not send. */
    function stripped(message: Message): Message {
      const { kind, type, id, from, to, lang, element } = message
      const kept = element.children.filter((payload) => !isForged(payload))
      return kept.length === element.children.length
        ? message
        : Stanza.of<'message'>({ kind, type, id, from, to, lang }, ...kept)
    }
    return {
      hooks: [
        on('fromClient', 'message', 'annotate', ({ stanza }) => stripped(stanza), ID),
        on('fromServer', 'message', 'annotate', ({ stanza }) => stripped(stanza), ID),
      ],
    }
  },
})
