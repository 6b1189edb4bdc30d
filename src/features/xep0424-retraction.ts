/**
 * XEP-0424: Message Retraction.
 *
 * What its author takes back is a tombstone in the archives of both from then on, under the same id; the retraction itself is a
 * message like any other, and is archived.
 */
import { z } from 'zod'
import type { AccountView } from '../contract/account-view.ts'
import { defineFeature } from '../contract/feature.ts'
import { type Direction, on } from '../contract/hook.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import { bareOf } from '../xmpp/jid.ts'
import { NS_RETRACT } from '../xmpp/ns.ts'
import { type Retraction, retractionOf, tombstoneOf } from '../xmpp/retraction.ts'
import type { Message } from '../xmpp/stanza.ts'

/** Retractions that wait for the store; whoever sends more than it can take has the others' messages stay. */
const MAX_WAITING = 1_000

export default defineFeature({
  name: 'retraction',
  xeps: [{ number: 424, version: '0.4.2', status: 'partial', note: 'between accounts; rooms’ come with rooms' }],
  requires: ['archive'],
  config: z.strictObject({}).prefault({}),
  disco: {
    server: [NS_RETRACT, `${NS_RETRACT}#tombstone`],
    account: [NS_RETRACT, `${NS_RETRACT}#tombstone`],
  },
  metrics: {},
  uses: ['archive'],
  setup: ({ log, ports: { archive } }) => {
    const queue = new KeyedQueue<number>()
    let waiting = 0

    /** The newest message of that id, if it is its author's to take back. */
    async function bury(
      account: number,
      message: Message,
      direction: Direction,
      retraction: Retraction,
    ): Promise<void> {
      const contact = bareOf(direction === 'sent' ? (message.to ?? message.from) : message.from)
      for (const { id, payload } of await archive.candidates(account, contact, direction, retraction.of)) {
        const tombstone = tombstoneOf(payload, retraction, new Date())
        if (tombstone === undefined) continue
        await archive.replace(account, id, tombstone)
        return
      }
    }
    function retracted(message: Message, { account }: AccountView, direction: Direction): void {
      const retraction = retractionOf(message)
      if (retraction === undefined || account === undefined) return
      if (waiting >= MAX_WAITING) {
        log.warn('too many retractions, one was not done')
        return
      }
      waiting++
      void Promise.resolve(queue.run(account.id, () => bury(account.id, message, direction, retraction)))
        .catch((error: unknown) => log.warn({ err: error }, 'retraction failed'))
        .finally(() => waiting--)
    }
    return {
      hooks: [
        // After the commit of the retraction, which comes after that of what it takes back.
        on('toAccount', 'message', 'copy', ({ stanza, account, direction }) => retracted(stanza, account, direction), {
          name: 'retract',
          ns: NS_RETRACT,
        }),
      ],
    }
  },
})
