import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto'

/** The first byte of what is sealed; no XML begins with it. */
const FORMAT = 1
export const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + NONCE_BYTES

/** By how much what is sealed is longer. */
export const SEAL_BYTES = HEAD_BYTES + TAG_BYTES

/**
 * AES-256-GCM: format, nonce, cipher text, tag. `place` says where it belongs; it opens nowhere else.
 *
 * The nonce is random, so one key should seal no more than 2^32 texts (NIST SP 800-38D section 8.3): then two of them have the
 * same nonce with a chance of 2^-33.
 * @param key 32 bytes; as a KeyObject, since preparing a bare one costs four times what sealing a message does
 * @param nonce random, of 12 bytes, never used before
 */
export function seal(key: KeyObject, plain: Uint8Array, place: string, nonce = randomBytes(NONCE_BYTES)): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(place))
  return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** Undefined when it was not sealed by this key for this place, or was changed since. */
export function unseal(key: KeyObject, sealed: Uint8Array, place: string): Buffer | undefined {
  if (!isSealed(sealed) || sealed.length < SEAL_BYTES) return undefined
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, HEAD_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(place))
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(HEAD_BYTES, end))
  try {
    // Checks the tag; there is nothing left to come.
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}

export const isSealed = (bytes: Uint8Array): boolean => bytes[0] === FORMAT
