/**
 * RFC 6121 §2: the roster, with versions (§2.6).
 *
 * A session reads and changes its own account's roster only; nobody else's request is ever applied or passed on.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import { on } from '../contract/hook.ts'
import type { Session } from '../contract/session.ts'
import type { RosterNews } from '../roster/roster.ts'
import { RosterError, type RosterFault } from '../roster/roster-error.ts'
import { children, type Element, el, textOf } from '../xmpp/element.ts'
import { type BareJid, bareOf, isFull, parseJid } from '../xmpp/jid.ts'
import { NS_ROSTER } from '../xmpp/ns.ts'
import { contactElement, removedElement, rosterElement } from '../xmpp/roster.ts'
import { type Iq, Stanza } from '../xmpp/stanza.ts'
import { type Condition, StanzaError } from '../xmpp/stanza-error.ts'

const NS_ROSTER_VERSION = 'urn:xmpp:features:rosterver'
/** RFC 6121 §2.3.3 leaves the limit to the server; this is a JID part's (RFC 7622 §3.1). */
const MAX_NAME_BYTES = 1023
/** With more changes than this the whole roster is the shorter answer. */
const MAX_DELTA = 50

/** What is told who sets another's roster. */
const REFUSAL = 'forbidden'
const ERROR_OF: Readonly<Record<RosterFault, readonly [Condition, string]>> = {
  full: ['resource-constraint', 'The roster is full.'],
  'too-many-groups': ['not-acceptable', 'The contact is in too many groups.'],
  'unknown-contact': ['item-not-found', 'This contact is not on the roster.'],
  'no-account': ['item-not-found', 'There is no such account.'],
}

export default defineFeature({
  name: 'roster',
  xeps: [{ number: 237, version: '1.3', status: 'complete' }],
  rfcs: [{ number: 6121, section: '2', status: 'complete' }],
  config: z.strictObject({}).prefault({}),
  tables: ['roster', 'roster_item'],
  metrics: {},
  uses: ['line', 'views', 'rosters', 'presence'],
  setup: ({ log, ports: { line, views, rosters, presence } }) => {
    const viewOf = (account: BareJid) => views.peek(account) ?? views.load(account)

    /** Sessions that are being told the roster. What is pushed meanwhile may be newer than what was read: it comes after that. */
    const telling = new WeakMap<Session, Telling>()

    async function get(query: Element, session: Session): Promise<Element | undefined> {
      // Before the roster is read, so that no change falls between the answer and the first push.
      session.flag('interested', true)
      const state: Telling = { hasMissed: false, isSpeaking: false }
      telling.set(session, state)
      try {
        const { ver } = query.attrs
        const news = ver ? await rosters.since(await viewOf(session.account), ver) : undefined
        if (ver && news !== undefined && news.length <= MAX_DELTA) {
          // §2.6.3: the empty result goes first; it is queued before the event loop comes round.
          setImmediate(() => void catchUp(session, state, news, ver))
          return undefined
        }
        const roster = await rosters.get(session.account)
        setImmediate(() => void catchUp(session, state, [], roster.version))
        return rosterElement(roster.items.map(contactElement), ver === undefined ? undefined : roster.version)
      } catch (error) {
        told(session, state)
        throw error
      }
    }
    /** What is new, and what came while it was read. */
    async function catchUp(session: Session, state: Telling, news: readonly RosterNews[], version: string) {
      let [more, last] = [news, version]
      try {
        for (;;) {
          state.isSpeaking = true
          for (const one of more) pushTo(session, one)
          state.isSpeaking = false
          last = more.at(-1)?.version ?? last
          if (!state.hasMissed) break
          state.hasMissed = false
          more = (await rosters.since(await viewOf(session.account), last)) ?? []
        }
      } catch (error) {
        log.warn({ err: error }, 'roster not read again')
      }
      told(session, state)
    }
    function told(session: Session, state: Telling): void {
      if (telling.get(session) === state) telling.delete(session)
    }
    /** Each with its own version: cut off half way, the client will be told of the rest. */
    function pushTo(session: Session, { contact, item, version }: RosterNews): void {
      const query = rosterElement([item === undefined ? removedElement(contact) : contactElement(item)], version)
      const fields = { kind: 'iq', type: 'set', from: session.account, to: session.jid } as const
      line.sendTo(session, Stanza.of({ ...fields, id: `push-${version}` }, query))
    }

    async function set(query: Element, session: Session): Promise<undefined> {
      const item = itemOf(query)
      const contact = contactOf(item)
      const { account } = session
      const view = await viewOf(account)
      if (item.attrs.subscription === 'remove') {
        const change = await rosters.remove(view, contact)
        views.changed(account)
        await presence.push(account, change)
        await presence.cancel(account, change.before)
        return
      }
      const change = await rosters.set(view, contact, { name: nameOf(item), groups: groupsOf(item) })
      views.changed(account)
      await presence.push(account, change)
    }

    return {
      streamFeatures: [
        {
          name: 'ver',
          ns: NS_ROSTER_VERSION,
          needs: ['authenticated'],
          until: ['bound'],
          advertise: () => el('ver', NS_ROSTER_VERSION),
        },
      ],
      iq: [
        {
          type: 'get',
          target: 'self',
          name: 'query',
          ns: NS_ROSTER,
          answer: ({ payload, session }) =>
            presence.inOrder(session.account, () => get(payload, session)).catch(explain),
        },
        {
          type: 'set',
          target: 'self',
          name: 'query',
          ns: NS_ROSTER,
          answer: ({ payload, session }) =>
            presence.inOrder(session.account, () => set(payload, session)).catch(explain),
        },
        // §2.1.5; the same where there is no such account, which must not show.
        {
          type: 'set',
          target: 'account',
          name: 'query',
          ns: NS_ROSTER,
          refusal: REFUSAL,
          answer: () => {
            throw new StanzaError(REFUSAL)
          },
        },
      ],
      hooks: [
        // §2.1.6: a client must not take a push from anybody but its server; ours need not find out whether it does.
        on('toAccount', 'iq', 'guard', ({ stanza, direction, origin }) => {
          if (direction === 'received' && origin.kind !== 'server' && isRosterRequest(stanza)) {
            throw new StanzaError('service-unavailable')
          }
          return 'pass'
        }),
        on(
          'toSession',
          'iq',
          'guard',
          ({ stanza, session }) => {
            const state = stanza.type === 'set' ? telling.get(session) : undefined
            if (state === undefined || state.isSpeaking) return 'pass'
            state.hasMissed = true
            return 'drop'
          },
          { name: 'query', ns: NS_ROSTER },
        ),
      ],
    }
  },
})

interface Telling {
  /** Something was to be pushed. */
  hasMissed: boolean
  isSpeaking: boolean
}

const isRosterRequest = (iq: Iq): boolean => (iq.type === 'set' || iq.type === 'get') && iq.has('query', NS_ROSTER)

function explain(error: unknown): never {
  if (!(error instanceof RosterError)) throw error
  const [condition, text] = ERROR_OF[error.fault]
  throw new StanzaError(condition, { text, cause: error })
}

/** §2.3.3: exactly one. */
function itemOf(query: Element): Element {
  const [item, ...more] = query.children.filter((c) => typeof c !== 'string')
  if (item === undefined || more.length > 0 || item.name !== 'item' || item.ns !== NS_ROSTER) {
    throw new StanzaError('bad-request', { text: 'A roster set has exactly one item.' })
  }
  return item
}
function contactOf(item: Element): BareJid {
  const { jid } = item.attrs
  if (jid === undefined) throw new StanzaError('bad-request', { text: 'The item has no address.' })
  const parsed = parseJid(jid)
  if (parsed === undefined) throw new StanzaError('jid-malformed')
  if (isFull(parsed)) throw new StanzaError('bad-request', { text: 'A contact is an address without resource.' })
  return bareOf(parsed)
}
function nameOf(item: Element): string | undefined {
  const { name } = item.attrs
  if (name === undefined || name === '') return undefined
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw new StanzaError('not-acceptable', { text: 'The name is too long.' })
  return name
}
function groupsOf(item: Element): string[] {
  const groups = children(item, 'group', NS_ROSTER).map(textOf)
  for (const group of groups) {
    if (group === '') throw new StanzaError('not-acceptable', { text: 'A group has no name.' })
    if (Buffer.byteLength(group) > MAX_NAME_BYTES) {
      throw new StanzaError('not-acceptable', { text: 'The name of a group is too long.' })
    }
  }
  if (new Set(groups).size < groups.length) {
    throw new StanzaError('bad-request', { text: 'The contact is twice in one group.' })
  }
  return groups
}
