export type KeyFault =
  /** No OpenPGP block where one must be, or not one well-formed public key. */
  | 'malformed'
  | 'too-large'
  /** A secret key that a passphrase is needed for. */
  | 'locked'
  /** An algorithm or size below the policy. */
  | 'weak'
  /** A self-signature or a subkey binding does not verify. */
  | 'bad-signature'
  | 'revoked'
  | 'expired'
  /** Made in the future. */
  | 'future'
  /** The certificate's public key is not the OpenPGP master key. */
  | 'mismatch'
  /** No user ID names an account of the domain, or more than one does. */
  | 'no-account-name'
  /** Our certification is not on the user ID. */
  | 'not-certified'
  | 'no-account'
  | 'account-disabled'
  /** The account was registered with another key. */
  | 'other-key'

/** A key, or the certificate around it, cannot be accepted. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly fault: KeyFault
  constructor(fault: KeyFault, detail?: string, cause?: unknown) {
    super(detail === undefined ? `key ${fault}` : `key ${fault}: ${detail}`, cause === undefined ? {} : { cause })
    this.fault = fault
  }
}
