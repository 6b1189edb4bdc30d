import type { ScramMechanism } from '../account/store.ts'
import { type Attributes, child, children, type Element, textOf } from '../xmpp/element.ts'
import { prepareResource } from '../xmpp/jid.ts'
import { NS_BIND2, NS_FAST, NS_SASL2, NS_SM } from '../xmpp/ns.ts'
import { SaslError } from '../xmpp/sasl-error.ts'
import { readCount } from './ack-queue.ts'
import { decodeResponse } from './sasl-mechanism.ts'

export const NS_UPGRADE = 'urn:xmpp:sasl:upgrade:0'
/** XEP-0388 §2.3: "The contents of the 'id' attribute MUST be a UUID v4." */
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i
/** Characters of what a client says of itself. */
const MAX_NAME = 100
const MAX_TAG_BYTES = 128
/** xs:int, "positive". */
const MAX_COUNT = 2 ** 31 - 1
/** XEP-0480 §3: "the name of the upgrade task". */
export const UPGRADES: ReadonlyMap<string, ScramMechanism> = new Map([
  ['UPGR-SCRAM-SHA-256', 'SCRAM-SHA-256'],
  ['UPGR-SCRAM-SHA-512', 'SCRAM-SHA-512'],
])

/** What an <authenticate/> asks for (XEP-0388 §2.3), with all that is to follow on success. */
export interface Sasl2Request {
  readonly mechanism: string
  readonly initial: Buffer | undefined
  readonly agent: UserAgent | undefined
  readonly upgrades: readonly string[]
  readonly resume: Resume | undefined
  readonly bind: { readonly tag: string | undefined; readonly element: Element } | undefined
  /** The mechanism that a token is wanted for. */
  readonly wantsToken: string | undefined
  readonly fast: { readonly count: number | undefined; readonly invalidate: boolean } | undefined
}
/** A <resume/> (XEP-0198 §5). */
export interface Resume {
  readonly previd: string
  /** Undefined: what it says is no count, so that nothing can be resumed. */
  readonly h: number | undefined
}
export interface UserAgent {
  readonly id: string | undefined
  readonly software: string | undefined
  readonly device: string | undefined
}

/** @throws SaslError malformed-request, incorrect-encoding */
export function readRequest(element: Element): Sasl2Request {
  const initial = child(element, 'initial-response', NS_SASL2)
  const resume = child(element, 'resume', NS_SM)
  const bind = child(element, 'bind', NS_BIND2)
  const token = child(element, 'request-token', NS_FAST)
  const fast = child(element, 'fast', NS_FAST)
  return {
    mechanism: element.attrs.mechanism ?? '',
    initial: initial && decodeResponse(textOf(initial)),
    agent: readAgent(child(element, 'user-agent', NS_SASL2)),
    upgrades: children(element, 'upgrade', NS_UPGRADE).map((e) => textOf(e).trim()),
    resume: resume && readResume(resume.attrs),
    bind: bind && { tag: readTag(bind), element: bind },
    wantsToken: token?.attrs.mechanism,
    fast: fast && { count: readTokenCount(fast.attrs.count), invalidate: isTrue(fast.attrs.invalidate) },
  }
}

export const readResume = ({ previd, h }: Attributes): Resume => ({ previd: previd ?? '', h: readCount(h) })

function readAgent(element: Element | undefined): UserAgent | undefined {
  if (element === undefined) return undefined
  const { id } = element.attrs
  if (id !== undefined && !UUID_V4.test(id))
    throw new SaslError('malformed-request', 'The id of a user-agent must be a UUID of version 4.')
  const named = (name: string): string | undefined => {
    const found = child(element, name, NS_SASL2)
    const text = found === undefined ? '' : [...textOf(found).trim()].slice(0, MAX_NAME).join('')
    return text === '' ? undefined : text
  }
  return { id, software: named('software'), device: named('device') }
}

/** XEP-0386 §3.2.1: "subject to the necessary validation for resource identifiers". */
function readTag(bind: Element): string | undefined {
  const element = child(bind, 'tag', NS_BIND2)
  const text = element === undefined ? '' : textOf(element)
  if (text === '') return undefined
  const tag = Buffer.byteLength(text) > MAX_TAG_BYTES ? undefined : prepareResource(text)
  if (tag === undefined) throw new SaslError('malformed-request', 'This tag cannot be part of a resource.')
  return tag
}

function readTokenCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const count = /^\d{1,10}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > MAX_COUNT) throw new SaslError('malformed-request', 'count must be a positive number.')
  return count
}
const isTrue = (text: string | undefined): boolean => text === 'true' || text === '1'
