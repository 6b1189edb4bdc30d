/** RFC 6120 §6.5. */
export type SaslCondition =
  | 'aborted'
  | 'account-disabled'
  | 'credentials-expired'
  | 'encryption-required'
  | 'incorrect-encoding'
  | 'invalid-authzid'
  | 'invalid-mechanism'
  | 'malformed-request'
  | 'mechanism-too-weak'
  | 'not-authorized'
  | 'temporary-auth-failure'

/** Ends one attempt to authenticate (RFC 6120 §6.5); the stream goes on. `cause` is only logged. */
export class SaslError extends Error {
  override readonly name = 'SaslError'
  readonly condition: SaslCondition
  readonly text: string | undefined
  constructor(condition: SaslCondition, text?: string, options: { cause?: unknown } = {}) {
    super(text ?? condition, options.cause === undefined ? {} : { cause: options.cause })
    this.condition = condition
    this.text = text
  }
}

/** The channel binding did not fit (RFC 5802 §6); no password was tried, and clients go on with another mechanism. */
export class BindingError extends SaslError {
  constructor(text: string) {
    super('not-authorized', text)
  }
}
