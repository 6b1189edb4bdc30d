/**
 * XEP-0313: Message Archive Management.
 *
 * An account's own sessions read its archive, page by page; everybody else gets the answer that strangers get from no account.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { on } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import { type ArchiveFilter, type ArchivePage, deleteHistory } from '../inbox/archive.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import { booleanOf, type DataForm, fieldValue } from '../xmpp/data-form.ts'
import { parseDay } from '../xmpp/date-time.ts'
import { type Element, el } from '../xmpp/element.ts'
import { type BareJid, parseJid } from '../xmpp/jid.ts'
import { type ArchiveQuery, archiveFormElement, metadataElement, readArchiveQuery, resultMessage } from '../xmpp/mam.ts'
import { NS_COMMANDS, NS_MAM, NS_RSM } from '../xmpp/ns.ts'
import { type PageInfo, pageElement } from '../xmpp/rsm.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { entryIdOf } from '../xmpp/stanza-id.ts'

/** Payloads of one page: less than a slow client may let wait. */
const PAGE_BYTES = 256 * 1024
/** More than that are not counted for who asks for nothing but their number (XEP-0059 §2.7). */
const COUNT_UP_TO = 10_000

export default defineFeature({
  name: 'archive',
  xeps: [
    { number: 313, version: '1.1.3', status: 'partial', note: 'archives of accounts; rooms’ come with rooms' },
    { number: 59, version: '1.0', status: 'partial', note: 'pages by id, not by index; for archives' },
  ],
  config: z
    .strictObject({
      page: z.int().min(1).max(1_000).default(50).describe('Results of a page when a client names no number.'),
      max_page: z.int().min(1).max(1_000).default(250).describe('Results a client may ask for at once.'),
    })
    .prefault({}),
  disco: { account: [NS_MAM, `${NS_MAM}#extended`, `${NS_MAM}#groupchat-field`, NS_RSM] },
  metrics: {},
  uses: ['archive', 'views'],
  setup: ({ config, ports: { archive, views } }) => {
    /** A session has one query at a time; more wait. */
    const queue = new KeyedQueue<Session>()

    async function accountId(jid: BareJid): Promise<number> {
      const view = views.peek(jid) ?? (await views.load(jid))
      if (view.account === undefined) throw new StanzaError('service-unavailable')
      return view.account.id
    }

    async function answer(query: ArchiveQuery, session: Session): Promise<Element> {
      const account = await accountId(session.account)
      const { filter, whole, named } = filterOf(query)
      const { max, backwards } = query.page
      if (max === 0) {
        const [count] = await Promise.all([archive.count(account, whole, COUNT_UP_TO), check(account, named)])
        return finElement(count === 0, { count })
      }
      const bounds = {
        edge: backwards ? 'last' : 'first',
        entries: Math.min(max ?? config.page, config.max_page),
        bytes: PAGE_BYTES,
      } as const
      const [page] = await Promise.all([archive.page(account, filter, bounds), check(account, named)])
      send(page, query, session)
      return finElement(page.isComplete, infoOf(page, query))
    }
    /** §4.1.4, §4.3.2: an id that the archive does not hold is an error, since whoever names it has missed something. */
    async function check(account: number, ids: readonly number[]): Promise<void> {
      if (ids.length > 0 && !(await archive.hasAll(account, ids))) throw new StanzaError('item-not-found')
    }

    return {
      iq: [
        {
          type: 'set',
          target: 'self',
          name: 'query',
          ns: NS_MAM,
          answer: ({ payload, session }) => {
            const query = readArchiveQuery(payload)
            // Who reads the archive first is not given besides what it holds (DESIGN.md section 5).
            const isReading = session.priority === undefined && query.page.max !== 0
            const isKnown = isReading ? session.skipWaiting() : undefined
            return queue.run(session, async () => {
              await isKnown
              return answer(query, session)
            })
          },
        },
        { type: 'get', target: 'self', name: 'query', ns: NS_MAM, answer: archiveFormElement },
        {
          type: 'get',
          target: 'self',
          name: 'metadata',
          ns: NS_MAM,
          answer: async ({ session }) => metadataElement(await archive.ends(await accountId(session.account))),
        },
      ],
      // What the archive holds when the session begins (XEP-0386 §3.3): what comes later the session is given.
      bind2: [
        {
          ns: NS_MAM,
          apply: async (_, session) => {
            // What is not given for being in the archive is within what is told here.
            await session.skipWaiting()
            return metadataElement(await archive.ends(await accountId(session.account)))
          },
        },
      ],
      commands: [
        {
          node: 'delete-history',
          name: 'Delete my history',
          who: 'account',
          run: async ({ session, form }) => {
            if (form === undefined) return { form: DELETE_FORM }
            const filter = deletedBy(form)
            if (filter === undefined) return { note: 'Nothing was deleted.', level: 'warn' }
            const removed = await deleteHistory(archive, await accountId(session.account), filter)
            return { note: `${removed} messages were deleted from the archive.` }
          },
        },
      ],
      hooks: [
        // §8.2: clients must tell such a message from an answer of their archive; ours need not find out whether they do.
        on(
          'fromClient',
          'message',
          'guard',
          () => {
            throw new StanzaError('not-allowed', { text: 'Results come from archives only.' })
          },
          { name: 'result', ns: NS_MAM },
        ),
      ],
    }
  },
})

const DELETE_FORM = {
  title: 'Delete my history',
  instructions:
    'Deletes messages from the archive on the server for good. What your devices have stays there, and what waits for them is delivered.',
  formType: 'fernruf:delete-history',
  fields: [
    { var: 'with', type: 'jid-single', label: 'Only with this contact' },
    { var: 'before', type: 'text-single', label: 'Only before this day, such as 2026-01-31' },
    { var: 'confirm', type: 'boolean', label: 'Yes, delete it', required: true, values: ['false'] },
  ],
} as const
/** What the form wants deleted; undefined when it is not confirmed. @throws StanzaError bad-request */
function deletedBy(form: DataForm): Pick<ArchiveFilter, 'with' | 'end'> | undefined {
  const peer = fieldValue(form, 'with')?.trim() || undefined
  const day = fieldValue(form, 'before')?.trim() || undefined
  const contact = peer === undefined ? undefined : parseJid(peer)
  const before = day === undefined ? undefined : parseDay(day)?.getTime()
  if (peer !== undefined && contact === undefined) throw unfit('The contact is no address.')
  if (day !== undefined && before === undefined) throw unfit('The day is no date.')
  if (booleanOf(form, 'confirm') !== true) return undefined
  return { with: contact, end: before === undefined ? undefined : before - 1 }
}
const unfit = (text: string): StanzaError =>
  new StanzaError('bad-request', { text, app: el('bad-payload', NS_COMMANDS) })

/** The page's messages, ahead of the answer that ends it (§4). The only place where entries of the log leave as results. */
function send({ entries }: ArchivePage, { queryId, flip }: ArchiveQuery, session: Session): void {
  const addresses = { from: session.account, to: session.jid }
  for (const { id, at, direction, payload } of flip ? entries.toReversed() : entries) {
    const result = resultMessage({ id: String(id), at, payload }, addresses, queryId)
    // Whoever waits for a message has it when the page has arrived.
    session.sendArchived(result, direction === 'received' ? id : undefined)
  }
}

/**
 * What is asked for in the archive's terms, for its page and as a whole, and which entries were named and have to exist. @throws
 * StanzaError item-not-found
 */
function filterOf(query: ArchiveQuery): {
  readonly filter: ArchiveFilter
  readonly whole: ArchiveFilter
  readonly named: readonly number[]
} {
  const { with: peer, start, end, page } = query
  const [afterId, beforeId, after, before] = [query.afterId, query.beforeId, page.after, page.before].map((id) =>
    id === undefined ? undefined : idOf(id),
  )
  const ids = query.ids?.map(idOf)
  const whole: ArchiveFilter = { with: peer, start, end, after: afterId, before: beforeId, ids }
  const filter: ArchiveFilter = {
    ...whole,
    after: after === undefined ? afterId : Math.max(after, afterId ?? 0),
    before: before === undefined ? beforeId : Math.min(before, beforeId ?? before),
  }
  const named = [afterId, beforeId, after, before, ...(ids ?? [])].filter((id) => id !== undefined)
  return { filter, whole, named }
}
function idOf(text: string): number {
  const id = entryIdOf(text)
  if (id === undefined) throw new StanzaError('item-not-found')
  return id
}

function infoOf({ entries, isComplete }: ArchivePage, { page }: ArchiveQuery): PageInfo {
  const [first] = entries
  const last = entries.at(-1)
  // Of a page that is all there is, the number is known.
  const isAll = isComplete && page.after === undefined && page.before === undefined
  return {
    first: first && String(first.id),
    last: last && String(last.id),
    count: isAll ? entries.length : undefined,
  }
}
function finElement(isComplete: boolean, info: PageInfo): Element {
  return el('fin', NS_MAM, isComplete ? { complete: 'true' } : {}, pageElement(info))
}
