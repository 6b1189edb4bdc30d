import {
  config as defaults,
  enums,
  generateKey,
  PublicKeyPacket,
  PublicSubkeyPacket,
  readPrivateKey,
  readPrivateKeys,
  type SecretKeyPacket,
  SignaturePacket,
} from 'openpgp'
import { der, derBits, derUnsigned, TAG } from './der.ts'
import { KeyError } from './key-error.ts'

/** What the server accepts of the keys shown to it. */
export interface KeyPolicy {
  /** SHA-1 in self-signatures and bindings. */
  readonly sha1: boolean
  /** DSA and ElGamal keys, of 2,048 bits at least. */
  readonly dsa: boolean
}
/** `era` is for keys that the first Kontalk apps have made. */
export const POLICIES = {
  modern: { sha1: false, dsa: false },
  era: { sha1: true, dsa: true },
} as const satisfies Record<string, KeyPolicy>
export type PolicyName = keyof typeof POLICIES

const MIN_BITS = 2048
/** What verifying costs grows with the square of the one and with the other; phones make 65,537 and at most 4,096 bits. */
const MAX_BITS = 8192
const MAX_EXPONENT_BYTES = 8
const CURVES: ReadonlySet<string> = new Set(['nistP256', 'nistP384', 'nistP521', 'ed25519Legacy', 'curve25519Legacy'])
const CURVELESS: ReadonlySet<string> = new Set(['ed25519', 'x25519', 'ed448', 'x448'])
const STRONG_HASHES: ReadonlySet<number> = new Set([
  enums.hash.sha256,
  enums.hash.sha384,
  enums.hash.sha512,
  enums.hash.sha3_256,
  enums.hash.sha3_512,
])

/** A public key packet, primary or subkey. */
export class PublicKeyMaterial {
  readonly body: Uint8Array
  readonly packet: PublicKeyPacket | PublicSubkeyPacket
  /** 40 upper-case hex. */
  readonly fingerprint: string
  readonly keyId: string
  /** Ms since the epoch. */
  readonly createdAt: number

  private constructor(body: Uint8Array, packet: PublicKeyPacket | PublicSubkeyPacket) {
    this.body = body
    this.packet = packet
    this.fingerprint = packet.getFingerprint().toUpperCase()
    this.keyId = packet.getKeyID().toHex()
    this.createdAt = packet.created.getTime()
  }

  /** @throws KeyError malformed, too-large, weak */
  static async read(body: Uint8Array, kind: 'primary' | 'subkey', policy: KeyPolicy): Promise<PublicKeyMaterial> {
    if (body[0] !== 4) throw new KeyError('malformed', 'not a v4 key')
    const packet = kind === 'primary' ? new PublicKeyPacket() : new PublicSubkeyPacket()
    await packet.read(body).catch((cause: unknown) => {
      throw new KeyError('malformed', 'unreadable key packet', cause)
    })
    if (isHuge(packet)) throw new KeyError('too-large', 'key')
    if (!isStrong(packet, policy)) throw new KeyError('weak', 'algorithm')
    return new PublicKeyMaterial(body, packet)
  }

  /** RFC 9580 §9.1. */
  get algorithm(): number {
    return this.packet.algorithm
  }
  /** Of the modulus; undefined for curves. */
  get bits(): number | undefined {
    return this.packet.getAlgorithmInfo().bits
  }
  /** The key as an X.509 SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), for those algorithms that certificates have. */
  get spki(): Buffer | undefined {
    return spkiOf(this.packet)
  }
}

function isHuge(packet: PublicKeyPacket | PublicSubkeyPacket): boolean {
  const { e } = packet.publicParams as { readonly e?: Uint8Array }
  return (packet.getAlgorithmInfo().bits ?? 0) > MAX_BITS || (e?.length ?? 0) > MAX_EXPONENT_BYTES
}

function isStrong(packet: PublicKeyPacket | PublicSubkeyPacket, policy: KeyPolicy): boolean {
  const { algorithm, bits, curve } = packet.getAlgorithmInfo()
  if (algorithm.startsWith('rsa')) return (bits ?? 0) >= MIN_BITS
  if (algorithm === 'dsa' || algorithm === 'elgamal') return policy.dsa && (bits ?? 0) >= MIN_BITS
  return curve === undefined ? CURVELESS.has(algorithm) : CURVES.has(curve)
}

const OID_RSA = Buffer.from('06092a864886f70d010101', 'hex')
const OID_DSA = Buffer.from('06072a8648ce380401', 'hex')
const OID_EC = Buffer.from('06072a8648ce3d0201', 'hex')
const OID_ED25519 = Buffer.from('06032b6570', 'hex')
const OID_CURVES: Readonly<Record<string, Buffer>> = {
  nistP256: Buffer.from('06082a8648ce3d030107', 'hex'),
  nistP384: Buffer.from('06052b81040022', 'hex'),
  nistP521: Buffer.from('06052b81040023', 'hex'),
}
const DER_NULL = Buffer.of(TAG.null, 0)

function spkiOf(packet: PublicKeyPacket | PublicSubkeyPacket): Buffer | undefined {
  const params = packet.publicParams as Readonly<Record<string, unknown>>
  const bytes = (name: string): Uint8Array => {
    const value = params[name]
    if (!(value instanceof Uint8Array)) throw new KeyError('malformed', 'key parameters')
    return value
  }
  const spki = (algorithm: readonly Uint8Array[], key: Uint8Array): Buffer =>
    der(TAG.sequence, der(TAG.sequence, ...algorithm), derBits(key))
  const { algorithm, curve } = packet.getAlgorithmInfo()
  switch (algorithm) {
    case 'rsaEncryptSign':
    case 'rsaSign':
      return spki([OID_RSA, DER_NULL], der(TAG.sequence, derUnsigned(bytes('n')), derUnsigned(bytes('e'))))
    case 'dsa': {
      const domain = der(TAG.sequence, derUnsigned(bytes('p')), derUnsigned(bytes('q')), derUnsigned(bytes('g')))
      return spki([OID_DSA, domain], derUnsigned(bytes('y')))
    }
    case 'ecdsa': {
      const oid = OID_CURVES[curve ?? '']
      return oid && spki([OID_EC, oid], bytes('Q'))
    }
    case 'eddsaLegacy':
      // Q is the native point behind one prefix octet (RFC 9580 §11.2.2).
      return curve === 'ed25519Legacy' ? spki([OID_ED25519], bytes('Q').subarray(1)) : undefined
    case 'ed25519':
      return spki([OID_ED25519], bytes('A'))
    default:
      return undefined
  }
}

/** What a signature packet can be made over. */
export type Signed =
  | { readonly key: PublicKeyMaterial }
  | { readonly key: PublicKeyMaterial; readonly userId: Uint8Array }
  | { readonly key: PublicKeyMaterial; readonly subkey: PublicKeyMaterial }

/** Signature types of key blocks (RFC 9580 §5.2.1). */
export const SIGNATURE = {
  certification: 0x10,
  casual: 0x12,
  positive: 0x13,
  binding: 0x18,
  primaryBinding: 0x19,
  directKey: 0x1f,
  keyRevocation: 0x20,
  subkeyRevocation: 0x28,
  certificationRevocation: 0x30,
} as const
const SIGN_DATA = 0x02

/** A signature packet; worth nothing until `isBy` has said so. */
export class KeySignature {
  readonly body: Uint8Array
  readonly #packet: SignaturePacket

  private constructor(body: Uint8Array, packet: SignaturePacket) {
    this.body = body
    this.#packet = packet
  }
  /** Undefined for versions, algorithms and forms that are unknown: such a signature vouches for nothing. */
  static read(body: Uint8Array): KeySignature | undefined {
    if (body[0] !== 4) return undefined
    try {
      const packet = new SignaturePacket()
      packet.read(body)
      return new KeySignature(body, packet)
    } catch {
      return undefined
    }
  }

  get type(): number {
    return this.#packet.signatureType ?? -1
  }
  get issuer(): string {
    return this.#packet.issuerKeyID.toHex()
  }
  /** Ms since the epoch. */
  get createdAt(): number {
    return this.#packet.created?.getTime() ?? Infinity
  }
  /** Ms since the epoch; Infinity: never. */
  get expiresAt(): number {
    return Number(this.#packet.getExpirationTime())
  }
  /** How long the key lives that this self-signature is about, in ms; Infinity: for ever. */
  get keyLifetime(): number {
    const { keyNeverExpires, keyExpirationTime } = this.#packet
    return keyNeverExpires === false && keyExpirationTime !== null ? keyExpirationTime * 1000 : Infinity
  }
  /** A binding of a subkey that signs must bear the subkey's own signature (RFC 9580 §5.2.1.8). */
  get needsBackSignature(): boolean {
    return ((this.#packet.keyFlags?.[0] ?? 0) & SIGN_DATA) !== 0
  }

  /** Whether the key has made this signature over this, whatever the time. */
  async isBy(key: PublicKeyMaterial, over: Signed, policy: KeyPolicy): Promise<boolean> {
    return verifies(this.#packet, this.type, key, over, policy)
  }
  /** Whether the subkey of a binding agrees to it. */
  async isAgreedBy(subkey: PublicKeyMaterial, over: Signed, policy: KeyPolicy): Promise<boolean> {
    const back = this.#packet.embeddedSignature
    if (back?.signatureType !== SIGNATURE.primaryBinding) return false
    return verifies(back, SIGNATURE.primaryBinding, subkey, over, policy)
  }
}

async function verifies(
  packet: SignaturePacket,
  type: number,
  key: PublicKeyMaterial,
  over: Signed,
  policy: KeyPolicy,
): Promise<boolean> {
  if (packet.version !== 4) return false
  const hash = packet.hashAlgorithm ?? 0
  if (!STRONG_HASHES.has(hash) && !(policy.sha1 && hash === enums.hash.sha1)) return false
  try {
    // The types ask for a Date, the code takes null for «at any time».
    await packet.verify(key.packet, type, signedData(over), null as unknown as Date, false, defaults)
    return true
  } catch {
    return false
  }
}

/** The library asks of a user ID only its bytes. */
function signedData(over: Signed): object {
  if ('userId' in over) return { key: over.key.packet, userID: { write: () => over.userId } }
  return 'subkey' in over ? { key: over.key.packet, bind: over.subkey.packet } : { key: over.key.packet }
}

/** Makes certifications; needs the config that the library's types leave out. */
interface Signer {
  sign(key: SecretKeyPacket, data: object, date: Date, detached: boolean, config: typeof defaults): Promise<void>
}

/** A secret key that can certify. */
export class SecretKeyMaterial {
  readonly #packet: SecretKeyPacket

  private constructor(packet: SecretKeyPacket) {
    this.#packet = packet
  }
  /** A fresh key with one user ID; the blocks are binary. */
  static async generate(
    name: string,
    email: string,
    date: Date,
  ): Promise<{ readonly secret: Uint8Array; readonly ring: Uint8Array }> {
    const { privateKey, publicKey } = await generateKey({
      type: 'ecc',
      curve: 'ed25519Legacy',
      userIDs: [{ name, email }],
      subkeys: [],
      date,
      format: 'binary',
    })
    return { secret: privateKey, ring: publicKey }
  }
  /** @throws Error when it is no unlocked secret key */
  static async read(secret: Uint8Array): Promise<SecretKeyMaterial> {
    const key = await readPrivateKey({ binaryKey: secret })
    if (!key.isDecrypted()) throw new Error('locked secret key')
    return new SecretKeyMaterial(key.keyPacket as SecretKeyPacket)
  }

  /** The body of a certification (type 0x10, SHA-512) of the user ID, valid from `from` to `until`, ms since the epoch. */
  async certify(over: Extract<Signed, { userId: Uint8Array }>, from: number, until: number): Promise<Uint8Array> {
    const packet = new SignaturePacket()
    packet.signatureType = enums.signature.certGeneric
    packet.publicKeyAlgorithm = this.#packet.algorithm
    packet.hashAlgorithm = enums.hash.sha512
    packet.signatureNeverExpires = false
    packet.signatureExpirationTime = Math.floor((until - from) / 1000)
    await (packet as unknown as Signer).sign(this.#packet, signedData(over), new Date(from), false, defaults)
    return packet.write()
  }
}

/**
 * A secret key that an operator brings, armoured or binary; the blocks are binary. It is not locked, all of it is there, and its
 * secret part belongs to its public part. @throws KeyError malformed, locked
 */
export async function readSecretKey(
  text: Uint8Array,
): Promise<{ readonly secret: Uint8Array; readonly ring: Uint8Array }> {
  const isBinary = ((text[0] ?? 0) & 0x80) !== 0
  const read = isBinary
    ? readPrivateKeys({ binaryKeys: text })
    : readPrivateKeys({ armoredKeys: Buffer.from(text).toString('utf8') })
  const [key, ...more] = await read.catch((cause: unknown) => {
    throw new KeyError('malformed', 'unreadable secret key', cause)
  })
  if (key === undefined || more.length > 0) throw new KeyError('malformed', 'not one secret key')
  const packet = key.keyPacket as SecretKeyPacket & { validate(): Promise<void> }
  if (packet.isDummy()) throw new KeyError('malformed', 'the primary key itself is not in it')
  if (!packet.isDecrypted()) throw new KeyError('locked')
  await packet.validate().catch((cause: unknown) => {
    throw new KeyError('malformed', 'secret and public part differ', cause)
  })
  return { secret: key.write(), ring: key.toPublic().write() }
}

/**
 * The one secret keyring in these bytes, all of it locked with a passphrase (RFC 9580 §3.7.2).
 * @returns its fingerprint, 40 upper-case hex @throws KeyError malformed
 */
export async function lockedSecretKey(ring: Uint8Array): Promise<string> {
  const [key, ...more] = await readPrivateKeys({ binaryKeys: ring }).catch((cause: unknown) => {
    throw new KeyError('malformed', 'unreadable secret key', cause)
  })
  if (key === undefined || more.length > 0) throw new KeyError('malformed', 'not one secret key')
  for (const { keyPacket } of key.getKeys())
    if (!('isDecrypted' in keyPacket) || keyPacket.isDecrypted()) throw new KeyError('malformed', 'not locked')
  return key.getFingerprint().toUpperCase()
}
