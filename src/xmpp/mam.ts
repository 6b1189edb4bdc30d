import { booleanOf, type DataForm, fieldValue, formElement, readForm } from './data-form.ts'
import { formatDateTime, parseDateTime } from './date-time.ts'
import { child, type Element, el } from './element.ts'
import { type Jid, parseJid } from './jid.ts'
import { NS_CLIENT, NS_DATA, NS_DELAY, NS_MAM } from './ns.ts'
import { type PageRequest, readPageRequest } from './rsm.ts'
import { escapeAttribute } from './serialize.ts'
import { type Message, Stanza } from './stanza.ts'
import { StanzaError } from './stanza-error.ts'

const NS_FORWARD = 'urn:xmpp:forward:0'
const NS_VALIDATE = 'http://jabber.org/protocol/xdata-validate'
/** It comes back with every result. */
const MAX_QUERY_ID = 256
const MAX_IDS = 100
const FIELDS: ReadonlySet<string> = new Set([
  'with',
  'start',
  'end',
  'before-id',
  'after-id',
  'ids',
  'include-groupchat',
])
const MESSAGE_TAG = Buffer.from('<message')
const CLOSING = Buffer.from('</forwarded></result>')

/** What of an archive is asked for (XEP-0313 §4). Ids are the asker's words: nothing is known of them. */
export interface ArchiveQuery {
  readonly queryId: string | undefined
  readonly with: Jid | undefined
  /** Ms since the epoch, both included. */
  readonly start: number | undefined
  readonly end: number | undefined
  readonly afterId: string | undefined
  readonly beforeId: string | undefined
  readonly ids: readonly string[] | undefined
  readonly page: PageRequest
  /** Results of the page in reverse order. */
  readonly flip: boolean
}

/** Reads a `<query/>`. @throws StanzaError bad-request, jid-malformed, policy-violation; feature-not-implemented for unknown fields (§4.1.5), and for nodes */
export function readArchiveQuery(query: Element): ArchiveQuery {
  // §6.1.3 reserves it for the archives of nodes (XEP-0442): an account's messages are no answer to that.
  if (query.attrs.node !== undefined)
    throw new StanzaError('feature-not-implemented', { text: 'There are no archives of nodes here.' })
  const form = formOf(query)
  const queryId = query.attrs.queryid
  if (queryId !== undefined && queryId.length > MAX_QUERY_ID)
    throw new StanzaError('policy-violation', { text: 'The queryid is too long.' })
  return {
    queryId,
    with: form && readWith(form),
    start: form && readTime(form, 'start'),
    end: form && readTime(form, 'end'),
    afterId: form && fieldValue(form, 'after-id'),
    beforeId: form && fieldValue(form, 'before-id'),
    ids: form && readIds(form),
    page: readPageRequest(query),
    flip: child(query, 'flip-page', NS_MAM) !== undefined,
  }
}

function formOf(query: Element): DataForm | undefined {
  const x = child(query, 'x', NS_DATA)
  if (x === undefined) return undefined
  const form = readForm(x)
  if (form === undefined || form.type !== 'submit' || form.formType !== NS_MAM)
    throw new StanzaError('bad-request', { text: `The form is to be submitted with FORM_TYPE ${NS_MAM}.` })
  for (const name of form.fields.keys())
    if (!FIELDS.has(name)) throw new StanzaError('feature-not-implemented', { text: 'There is no such field.' })
  if (form.fields.has('include-groupchat') && booleanOf(form, 'include-groupchat') === undefined)
    throw new StanzaError('bad-request', { text: 'include-groupchat is true or false.' })
  return form
}
function readWith(form: DataForm): Jid | undefined {
  if (!form.fields.has('with')) return undefined
  const jid = parseJid(fieldValue(form, 'with') ?? '')
  if (jid === undefined) throw new StanzaError('jid-malformed', { text: 'with is an address.' })
  return jid
}
function readTime(form: DataForm, name: 'start' | 'end'): number | undefined {
  if (!form.fields.has(name)) return undefined
  // Times are kept in milliseconds: what is before the start is not among them, by however little (§4.1.2).
  const date = parseDateTime(fieldValue(form, name) ?? '', name === 'start' ? 'up' : 'down')
  if (date === undefined) throw new StanzaError('bad-request', { text: `${name} is a time (XEP-0082).` })
  return date.getTime()
}
function readIds(form: DataForm): readonly string[] | undefined {
  const ids = form.fields.get('ids')
  if (ids !== undefined && ids.length > MAX_IDS)
    throw new StanzaError('policy-violation', { text: `At most ${MAX_IDS} ids may be asked for at once.` })
  return ids
}

/** The fields a query may have (§4.1.5). */
export function archiveFormElement(): Element {
  const open = el('validate', NS_VALIDATE, { datatype: 'xs:string' }, el('open', NS_VALIDATE))
  const form = formElement({
    type: 'form',
    formType: NS_MAM,
    fields: [
      { var: 'with', type: 'jid-single' },
      { var: 'start', type: 'text-single' },
      { var: 'end', type: 'text-single' },
      { var: 'before-id', type: 'text-single' },
      { var: 'after-id', type: 'text-single' },
      { var: 'ids', type: 'list-multi', payloads: [open] },
      { var: 'include-groupchat', type: 'boolean' },
    ],
  })
  return el('query', NS_MAM, {}, form)
}

/** One result (§4.2): a message of the archive `from`, forwarded as it was. */
export function resultMessage(
  result: { readonly id: string; readonly at: number; readonly payload: Uint8Array },
  addresses: { readonly from: Jid; readonly to: Jid },
  queryId: string | undefined,
): Message {
  const query = queryId === undefined ? '' : ` queryid='${escapeAttribute(queryId)}'`
  const head =
    `<result xmlns='${NS_MAM}'${query} id='${escapeAttribute(result.id)}'><forwarded xmlns='${NS_FORWARD}'>` +
    `<delay xmlns='${NS_DELAY}' stamp='${formatDateTime(new Date(result.at))}'/>`
  const content = Buffer.concat([Buffer.from(head), ...forwarded(result.payload), CLOSING])
  const fields = { kind: 'message', type: 'normal', id: undefined, ...addresses } as const
  return Stanza.stored(fields, content, [{ name: 'result', ns: NS_MAM }])
}
/** A stanza of ours is canonical for the default namespace it was written under, which has to be said here. */
function forwarded(payload: Uint8Array): readonly Uint8Array[] {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  // What cannot be told is left out (§3.2).
  if (!bytes.subarray(0, MESSAGE_TAG.length).equals(MESSAGE_TAG)) return []
  return [MESSAGE_TAG, Buffer.from(` xmlns='${NS_CLIENT}'`), bytes.subarray(MESSAGE_TAG.length)]
}

/** What an archive holds (§5), ends left out when it is empty. */
export function metadataElement(
  ends: Readonly<Record<'first' | 'last', { readonly id: number; readonly at: number }>> | undefined,
): Element {
  if (ends === undefined) return el('metadata', NS_MAM)
  const end = (name: string, { id, at }: { readonly id: number; readonly at: number }): Element =>
    el(name, NS_MAM, { id: String(id), timestamp: formatDateTime(new Date(at)) })
  return el('metadata', NS_MAM, {}, end('start', ends.first), end('end', ends.last))
}
