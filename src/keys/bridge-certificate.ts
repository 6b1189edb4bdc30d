import { childrenOf, type Der, DerError, TAG, wholeDer } from './der.ts'
import { KeyError } from './key-error.ts'

/** 2.25.49058212633447845622587297037800555803, compared as bytes: its arcs are longer than numbers are (kontalk-protocol e.1). */
const OID_BRIDGE = Buffer.from('0613' + '69c9e8a2a88d' + 'cbe0c7c789cbc080aaaed78a1b', 'hex')
const TAG_VERSION = 0xa0
const TAG_EXTENSIONS = 0xa3
/** Bytes of a certificate around a ring of the greatest size. */
const MAX_CERTIFICATE_BYTES = 98_304

/** A certificate around an OpenPGP key. Nothing else that it says is read: no name of it is believed. */
export interface BridgeCertificate {
  /** SubjectPublicKeyInfo: whoever showed the certificate has this key. */
  readonly spki: Buffer
  /** A transferable public key, not yet looked at. */
  readonly ring: Buffer
}

/** Takes a bridge certificate apart. @throws KeyError malformed */
export function readBridgeCertificate(certificate: Uint8Array): BridgeCertificate {
  try {
    const { spki, extensions } = partsOf(certificate)
    const [extension, another] = extensions.filter((candidate) => isBridge(certificate, candidate))
    if (extension === undefined) throw new DerError('no OpenPGP extension')
    if (another !== undefined) throw new DerError('two OpenPGP extensions')
    return { spki: slice(certificate, spki), ring: ringIn(certificate, extension) }
  } catch (error) {
    if (error instanceof DerError) throw new KeyError('malformed', `certificate: ${error.message}`, error)
    throw error
  }
}

/** Whether the certificate says that it holds an OpenPGP key. */
export function hasBridgeExtension(certificate: Uint8Array): boolean {
  try {
    return partsOf(certificate).extensions.some((extension) => isBridge(certificate, extension))
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

const slice = (bytes: Uint8Array, { start, end }: Der): Buffer => Buffer.from(bytes.subarray(start, end))

function expect(value: Der | undefined, tag: number, what: string): Der {
  if (value?.tag !== tag) throw new DerError(`no ${what}`)
  return value
}

/** RFC 5280 §4.1. */
function partsOf(bytes: Uint8Array): { readonly spki: Der; readonly extensions: readonly Der[] } {
  if (bytes.length > MAX_CERTIFICATE_BYTES) throw new DerError('too large')
  const [tbs] = childrenOf(bytes, expect(wholeDer(bytes), TAG.sequence, 'certificate'))
  const fields = childrenOf(bytes, expect(tbs, TAG.sequence, 'body'))
  // Version is left out only by version 1, which has no extensions.
  expect(fields[0], TAG_VERSION, 'version')
  const spki = expect(fields[6], TAG.sequence, 'public key')
  const wrapped = fields.slice(7).filter((field) => field.tag === TAG_EXTENSIONS)
  if (wrapped.length !== 1) throw new DerError('no extensions')
  const [list] = childrenOf(bytes, wrapped[0] as Der)
  return { spki, extensions: childrenOf(bytes, expect(list, TAG.sequence, 'extensions')) }
}

function isBridge(bytes: Uint8Array, extension: Der): boolean {
  if (extension.tag !== TAG.sequence) throw new DerError('no extension')
  const at = extension.content
  return OID_BRIDGE.equals(bytes.subarray(at, Math.min(at + OID_BRIDGE.length, extension.end)))
}

/** OCTET STRING { BIT STRING { key } }. */
function ringIn(bytes: Uint8Array, extension: Der): Buffer {
  const value = expect(childrenOf(bytes, extension).at(-1), TAG.octetString, 'extension value')
  const [bits, more] = childrenOf(bytes, value)
  expect(bits, TAG.bitString, 'bit string')
  if (more !== undefined || bytes[(bits as Der).content] !== 0) throw new DerError('bad bit string')
  return Buffer.from(bytes.subarray((bits as Der).content + 1, (bits as Der).end))
}
