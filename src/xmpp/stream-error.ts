import type { Element } from './element.ts'

/** RFC 6120 §4.9.3. */
export const STREAM_CONDITIONS = [
  'bad-format',
  'bad-namespace-prefix',
  'conflict',
  'connection-timeout',
  'host-gone',
  'host-unknown',
  'improper-addressing',
  'internal-server-error',
  'invalid-from',
  'invalid-namespace',
  'invalid-xml',
  'not-authorized',
  'not-well-formed',
  'policy-violation',
  'remote-connection-failed',
  'reset',
  'resource-constraint',
  'restricted-xml',
  'see-other-host',
  'system-shutdown',
  'undefined-condition',
  'unsupported-encoding',
  'unsupported-feature',
  'unsupported-stanza-type',
  'unsupported-version',
] as const
export type StreamCondition = (typeof STREAM_CONDITIONS)[number]

/** Ends the stream (RFC 6120 §4.9). `text` goes to the peer, `cause` only to the log. */
export class StreamError extends Error {
  override readonly name = 'StreamError'
  readonly condition: StreamCondition
  readonly text: string | undefined
  /** Application-specific condition (§4.9.4). */
  readonly app: Element | undefined
  constructor(condition: StreamCondition, text?: string, options: { app?: Element; cause?: unknown } = {}) {
    super(text ?? condition, options.cause === undefined ? {} : { cause: options.cause })
    this.condition = condition
    this.text = text
    this.app = options.app
  }
}
