/**
 * XEP-0363: HTTP File Upload, and its first drafts' namespace, which Kontalk's apps speak (kontalk-protocol j).
 *
 * The two differ in how a slot is written, and in what an upload is answered with: Kontalk's apps take nothing but 200.
 */
import { z } from 'zod'
import { defineFeature } from '../contract/feature.ts'
import type { HttpAnswer, HttpRequest } from '../contract/route.ts'
import { disposition, isShown, pathSegment } from '../uploads/names.ts'
import { UploadError, type UploadFault } from '../uploads/uploads.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { child, type Element, el, textOf } from '../xmpp/element.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_UPLOAD = 'urn:xmpp:http:upload:0'
/** Of the first drafts. */
const NS_UPLOAD_OLD = 'urn:xmpp:http:upload'
const LOCAL = 'upload'
const MAX_FILENAME = 4_096

/** What a PUT is refused with. */
const STATUS = {
  'too-large': [413, 'the file is too large'],
  quota: [413, 'there is no room'],
  forged: [403, 'this is no slot of ours'],
  expired: [403, 'the slot has expired'],
  'too-long': [413, 'the file is larger than its slot'],
  'too-short': [400, 'the file is smaller than its slot'],
  'other-type': [415, 'the slot is for another type'],
  busy: [409, 'the file is being uploaded'],
  done: [409, 'the file has been uploaded'],
  gone: [404, 'there is no such slot'],
  full: [507, 'there is no room'],
  'broken-off': [400, 'the file did not come to its end'],
} as const satisfies Readonly<Record<UploadFault, readonly [number, string]>>

export default defineFeature({
  name: 'upload',
  xeps: [{ number: 363, version: '1.2.0', status: 'partial', note: 'no purposes other than messages' }],
  requires: ['disco'],
  config: z.strictObject({}).prefault({}),
  metrics: {
    slots: {
      type: 'counter',
      name: 'fernruf_upload_slots_total',
      help: 'Slots asked for, by outcome.',
      labels: ['outcome'],
    },
    files: {
      type: 'counter',
      name: 'fernruf_upload_files_total',
      help: 'Files uploaded, by outcome.',
      labels: ['outcome'],
    },
    bytes: {
      type: 'counter',
      name: 'fernruf_upload_bytes_total',
      help: 'Bytes of files uploaded (in) and asked for (out).',
      labels: ['direction'],
    },
  },
  uses: ['views', 'web', 'uploads'],
  setup: ({ metrics, ports: { views, web, uploads } }) => {
    // Without a public HTTP server there is nothing to offer.
    if (web === undefined || uploads === undefined) return {}

    const slot = async (from: Element, account: BareJid, isOld: boolean): Promise<Element> => {
      const file = isOld ? oldRequest(from) : request(from)
      const view = views.peek(account) ?? (await views.load(account))
      if (view.account === undefined)
        throw new StanzaError('forbidden', { text: 'This is for accounts of this server.' })
      try {
        const { id, ticket, name } = await uploads.request(view.account.id, file, isOld ? 200 : 201)
        metrics.slots.inc({ outcome: 'given' })
        const put = `${web.url}/upload/${ticket}/${pathSegment(name)}`
        const get = `${web.url}/file/${id}/${pathSegment(name)}`
        return isOld
          ? el('slot', NS_UPLOAD_OLD, {}, el('put', NS_UPLOAD_OLD, {}, put), el('get', NS_UPLOAD_OLD, {}, get))
          : el('slot', NS_UPLOAD, {}, el('put', NS_UPLOAD, { url: put }), el('get', NS_UPLOAD, { url: get }))
      } catch (error) {
        if (!(error instanceof UploadError)) throw error
        metrics.slots.inc({ outcome: error.fault })
        throw refusal(error, uploads.maxFile, isOld ? NS_UPLOAD_OLD : NS_UPLOAD)
      }
    }

    const put = async (http: HttpRequest): Promise<HttpAnswer> => {
      const said = Number(http.header('content-length'))
      if (http.header('content-length') === undefined) return text(411, 'the length must be said')
      if (http.header('content-encoding') !== undefined) return text(415, 'no encodings')
      try {
        const slot = uploads.slot(http.params.ticket ?? '')
        const type = http.header('content-type')
        await uploads.receive(slot, { length: said, type, name: http.params.name ?? '' }, () => http.body())
        metrics.files.inc({ outcome: 'stored' })
        metrics.bytes.inc({ direction: 'in' }, slot.size)
        return { status: slot.success }
      } catch (error) {
        if (!(error instanceof UploadError)) throw error
        metrics.files.inc({ outcome: error.fault })
        const [status, words] = STATUS[error.fault]
        return text(status, words)
      }
    }

    const get = async (http: HttpRequest): Promise<HttpAnswer> => {
      const upload = await uploads.find(http.params.id ?? '', http.params.name ?? '')
      if (upload === undefined) return text(404, 'there is nothing here')
      const etag = `"${upload.id}"`
      const headers = {
        etag,
        'accept-ranges': 'bytes',
        // It never changes, until it goes; who has the address keeps it to himself.
        'cache-control': `private, max-age=${Math.floor((upload.goesAt - Date.now()) / 1000)}, immutable`,
      }
      if (isKnown(http.header('if-none-match'), etag)) return { status: 304, headers }
      const whole = { from: 0, to: upload.size - 1 }
      const ifRange = http.header('if-range')
      const asked = ifRange === undefined || ifRange === etag ? rangeOf(http.header('range'), upload.size) : undefined
      if (asked === 'unsatisfiable')
        return { status: 416, headers: { 'accept-ranges': 'bytes', 'content-range': `bytes */${upload.size}` } }
      const { from, to } = asked ?? whole
      const answer = {
        status: asked === undefined ? 200 : 206,
        headers: {
          ...headers,
          'content-type': upload.type,
          'content-length': String(to - from + 1),
          'content-disposition': disposition(isShown(upload.type) ? 'inline' : 'attachment', upload.name),
          ...(asked === undefined ? {} : { 'content-range': `bytes ${from}-${to}/${upload.size}` }),
        },
      }
      if (http.method === 'HEAD') return answer
      const body = await uploads.open(upload, from, to)
      if (body === undefined) return text(404, 'there is nothing here')
      metrics.bytes.inc({ direction: 'out' }, to - from + 1)
      return { ...answer, body }
    }

    const maxFile = { var: 'max-file-size', values: [String(uploads.maxFile)] }
    return {
      services: [
        {
          local: LOCAL,
          name: 'HTTP File Upload',
          category: 'store',
          type: 'file',
          features: [NS_UPLOAD, NS_UPLOAD_OLD],
          forms: [{ type: 'result', formType: NS_UPLOAD, fields: [maxFile] }],
        },
      ],
      iq: [NS_UPLOAD, NS_UPLOAD_OLD].map((ns) => ({
        type: 'get',
        target: 'service',
        local: LOCAL,
        name: 'request',
        ns,
        answer: ({ payload, session }) => {
          if (session === undefined) throw new StanzaError('forbidden', { text: 'Only accounts of this server.' })
          return slot(payload, session.account, ns === NS_UPLOAD_OLD)
        },
      })),
      routes: [
        { name: 'upload', path: '/upload/:ticket/:name', put, isOpen: true },
        { name: 'file', path: '/file/:id/:name', get, isOpen: true },
      ],
    }
  },
})

interface Asked {
  readonly name: string
  readonly size: number
  readonly type: string | undefined
}
const request = ({ attrs }: Element): Asked => askedFor(attrs.filename, attrs.size, attrs['content-type'])
function oldRequest(from: Element): Asked {
  const said = (name: string): string | undefined => {
    const found = child(from, name, NS_UPLOAD_OLD)
    return found === undefined ? undefined : textOf(found).trim()
  }
  return askedFor(said('filename'), said('size'), said('content-type'))
}
/** @throws StanzaError bad-request */
function askedFor(name: string | undefined, size: string | undefined, type: string | undefined): Asked {
  if (name === undefined || name === '' || name.length > MAX_FILENAME)
    throw new StanzaError('bad-request', { text: 'There is to be a name of the file.' })
  if (size === undefined || !/^0*[1-9]\d{0,14}$/.test(size))
    throw new StanzaError('bad-request', { text: 'There is to be a size of the file, in bytes.' })
  return { name, size: Number(size), type: type === '' ? undefined : type }
}

function refusal({ fault, retryAt }: UploadError, maxFile: number, ns: string): StanzaError {
  if (fault === 'too-large') {
    const app = el('file-too-large', ns, {}, el('max-file-size', ns, {}, String(maxFile)))
    return new StanzaError('not-acceptable', { text: `No file may be larger than ${maxFile} bytes.`, app })
  }
  const used = 'You have uploaded as much as you may.'
  if (retryAt === undefined) return new StanzaError('resource-constraint', { text: used, type: 'cancel' })
  const stamp = formatDateTime(new Date(retryAt))
  return new StanzaError('resource-constraint', { text: used, app: el('retry', ns, { stamp }) })
}

const text = (status: number, words: string): HttpAnswer => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body: `${words}\n`,
})

/** RFC 9110 §13.1.2. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const known = ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? []
  return known.includes(etag) || known[0] === '*'
}
/** RFC 9110 §14.1.2; undefined: all of it, which may always be the answer, and is to what asks for several parts. */
function rangeOf(
  range: string | undefined,
  size: number,
): { readonly from: number; readonly to: number } | 'unsatisfiable' | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  if (first === '') return last === '0' ? 'unsatisfiable' : { from: Math.max(0, size - Number(last)), to: size - 1 }
  const from = Number(first)
  const to = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (last !== '' && Number(last) < from) return undefined
  return from >= size ? 'unsatisfiable' : { from, to }
}
