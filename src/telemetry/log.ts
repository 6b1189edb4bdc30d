import { createHmac } from 'node:crypto'
import pino, { type Bindings, type DestinationStream, type Logger } from 'pino'
import { bareOf, domainOf, type Jid, localOf } from '../xmpp/jid.ts'
import { prettyStream } from './pretty.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** Names under which something may stand that no log may hold; on the top and one level down. */
const REDACTED = [
  'password',
  'secret',
  'token',
  'code',
  'phone',
  'number',
  'body',
  'payload',
  'sasl',
  'key',
  'authorization',
  'cookie',
] as const
const PATHS = REDACTED.flatMap((name) => [name, `*.${name}`])

/** The localpart of a number account: SHA-1 in lower-case hex, as good as the number itself. */
const NUMBER_LOCALPART = /\b[0-9a-f]{40}\b/g
const E164 = /\+[1-9]\d{6,14}\b/g

/** Stands in for a JID in logs: a number account's localpart becomes a keyed hash, and resources are left out. */
export type AccountTag = (jid: Jid) => string

/** @param key secret, so that a log alone does not reverse to numbers */
export function accountTagger(key: Uint8Array): AccountTag {
  const hide = localpartHider(key)
  return (jid) => {
    const local = localOf(jid)
    return local === undefined ? bareOf(jid) : `${hide(local)}@${domainOf(jid)}`
  }
}

/** Replaces every localpart of a number account within a text by its keyed hash, 12 hex digits after a tilde. */
function localpartHider(key: Uint8Array): (text: string) => string {
  const tag = (localpart: string): string =>
    `~${createHmac('sha256', key).update(localpart).digest('hex').slice(0, 12)}`
  return (text) => text.replace(NUMBER_LOCALPART, tag)
}

/** The program's logs. */
export interface Logs {
  readonly root: Logger
  readonly accountTag: AccountTag
  /** A logger of one part or feature, whose level follows `level`. What it has made before keeps its level. */
  part(bindings: Bindings): Logger
  level(level: LogLevel): void
}

export interface LogOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'pretty'
  /** For `accountTag`; derived from the root secret. */
  readonly tagKey: Uint8Array
  /** Default: standard output. */
  readonly destination?: DestinationStream
}

/**
 * JSON lines on standard output: data first, then a constant phrase. The values named above are redacted; as a second net,
 * numbers and number accounts' localparts are replaced in the finished line, wherever they come from.
 */
export function createLogs(options: LogOptions): Logs {
  const hide = localpartHider(options.tagKey)
  const out = options.destination ?? pino.destination({ fd: 1, sync: true })
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorFields },
      redact: { paths: [...PATHS], censor: '[redacted]' },
      hooks: { streamWrite: (line) => hide(line.replace(E164, '[number]')) },
    },
    options.format === 'pretty' ? prettyStream(out) : out,
  )
  const parts: Logger[] = [root]
  return {
    root,
    accountTag: accountTagger(options.tagKey),
    part(bindings) {
      const part = root.child(bindings)
      parts.push(part)
      return part
    },
    level(level) {
      for (const part of parts) part.level = level
    },
  }
}

/** What may be told of an error: never its other properties, which may hold requests, rows or stanzas. */
function errorFields(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: typeof error === 'string' ? error : typeof error }
  const { code, condition, fault } = error as { code?: unknown; condition?: unknown; fault?: unknown }
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { errno: code } : {}),
    ...(typeof condition === 'string' ? { condition } : {}),
    ...(typeof fault === 'string' ? { fault } : {}),
    stack: error.stack,
    ...(error.cause === undefined || depth > 3 ? {} : { cause: errorFields(error.cause, depth + 1) }),
  }
}
