/**
 * XEP-0424: Message Retraction.
 *
 * What its author takes back is a tombstone in the archives of both from then on, under the same id; the retraction itself is a
 * message like any other, and is archived. It is noted in the transaction that commits it, and the note goes with the tombstone's:
 * what was acknowledged is done after a crash too, before anybody reads.
 */
import { z } from 'zod'
import type { AccountView } from '../contract/account-view.ts'
import { defineFeature } from '../contract/feature.ts'
import { on } from '../contract/hook.ts'
import type { KeptRetraction, Tombstone } from '../inbox/archive.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import { NS_RETRACT } from '../xmpp/ns.ts'
import { isRepeated, retractionOf, tombstoneOf } from '../xmpp/retraction.ts'
import type { Message } from '../xmpp/stanza.ts'

/** Work that waits for the store. It is noted, and done later all the same. */
const MAX_WAITING = 1_000
/** Notes, and accounts that have some, read in one query. */
const AT_ONCE = 100
/** How often it is looked for what could not be done, or what another node has left. */
const AGAIN_MS = 60_000

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
  setup: async ({ log, signal, ports: { archive } }) => {
    const queue = new KeyedQueue<number>()
    let waiting = 0

    /**
     * The newest message of that id, if it is its author's to take back, and others that are the same: a client that could not know
     * whether a message had arrived has sent it again.
     */
    async function find(account: number, { id: before, contact, direction, retraction }: KeptRetraction) {
      const found: Tombstone[] = []
      let meant: Uint8Array | undefined
      for (const { id, payload } of await archive.candidates(account, contact, direction, retraction.of, before)) {
        const tombstone = tombstoneOf(payload, retraction, new Date())
        if (tombstone === undefined) continue
        meant ??= payload
        if (isRepeated(meant, payload)) found.push({ id, payload: tombstone })
      }
      return found
    }
    async function carryOut(account: number): Promise<void> {
      let kept: readonly KeptRetraction[]
      do {
        kept = await archive.retractions(account, AT_ONCE)
        for (const one of kept) await archive.retract(account, one.id, await find(account, one))
      } while (kept.length === AT_ONCE)
    }
    async function carryOutAll(): Promise<void> {
      for (let after: number | undefined = 0; after !== undefined && !signal.aborted; ) {
        const accounts: readonly number[] = await archive.retracting(after, AT_ONCE)
        for (const account of accounts) await done(account, () => carryOut(account))
        after = accounts.at(-1)
      }
    }
    async function done(account: number, work: () => Promise<void>): Promise<void> {
      try {
        await queue.run(account, work)
      } catch (error) {
        log.warn({ err: error }, 'retraction failed')
      }
    }
    function retracted(message: Message, { account }: AccountView): void {
      if (account === undefined || retractionOf(message) === undefined) return
      if (waiting >= MAX_WAITING) {
        log.warn('too many retractions, one was not done at once')
        return
      }
      const { id } = account
      waiting++
      void done(id, () => carryOut(id)).finally(() => waiting--)
    }

    let isLooking = false
    async function look(): Promise<void> {
      if (isLooking) return
      isLooking = true
      await carryOutAll().catch((error: unknown) => log.warn({ err: error }, 'retractions could not be looked for'))
      isLooking = false
    }
    await look()
    const timer = setInterval(() => void look(), AGAIN_MS).unref()
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
    return {
      hooks: [
        // After the commit of the retraction, which comes after that of what it takes back.
        on('toAccount', 'message', 'copy', ({ stanza, account }) => retracted(stanza, account), {
          name: 'retract',
          ns: NS_RETRACT,
        }),
      ],
    }
  },
})
