import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { generateKey, type PrivateKey } from 'openpgp'
import { der, derBits, derUnsigned, TAG } from '../../src/keys/der.ts'

export type MasterKind = 'rsa' | 'nistP256' | 'nistP384' | 'nistP521' | 'ed25519Legacy' | 'dsa'

/** An OpenPGP key as a phone makes it, with its master key as TLS needs it. */
export interface PhoneKey {
  readonly key: PrivateKey
  /** Transferable public key, binary. */
  readonly ring: Buffer
  readonly fingerprint: string
  readonly kind: MasterKind
  readonly master: KeyObject
}

/** kontalk-protocol d.1: a master key that certifies, a subkey that signs, one that decrypts. */
export async function phoneKey(
  email: string,
  {
    kind = 'nistP256',
    date = new Date(),
    lifetime = 0,
    name = 'Romeo',
  }: {
    /** The library makes no DSA keys. */
    kind?: Exclude<MasterKind, 'dsa'>
    date?: Date
    /** Seconds; 0: for ever. */
    lifetime?: number
    name?: string
  } = {},
): Promise<PhoneKey> {
  const { privateKey } = await generateKey({
    ...(kind === 'rsa' ? { type: 'rsa' as const, rsaBits: 2048 } : { type: 'ecc' as const, curve: kind }),
    userIDs: [{ name, email }],
    subkeys: [
      { type: 'ecc', curve: 'nistP256', sign: true },
      { type: 'ecc', curve: 'nistP256' },
    ],
    date,
    keyExpirationTime: lifetime,
    format: 'object',
  })
  return phoneKeyOf(privateKey, kind)
}

/** The same for a key that a test has changed. */
export const phoneKeyOf = (key: PrivateKey, kind: MasterKind): PhoneKey => ({
  key,
  ring: Buffer.from(key.toPublic().write()),
  fingerprint: key.getFingerprint().toUpperCase(),
  kind,
  master: nodeKey(key, kind),
})

const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
const toInt = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const fromInt = (value: bigint): Uint8Array => {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
}

/** The master key as node:crypto knows it. */
function nodeKey(key: PrivateKey, kind: MasterKind): KeyObject {
  const { publicParams, privateParams } = key.keyPacket as unknown as Record<string, Record<string, Uint8Array>>
  const part = (name: string): Uint8Array => {
    const value = publicParams?.[name] ?? privateParams?.[name]
    if (value === undefined) throw new Error(`no ${name}`)
    return value
  }
  if (kind === 'rsa') {
    const [p, q, d] = [toInt(part('p')), toInt(part('q')), toInt(part('d'))]
    const jwk = {
      kty: 'RSA',
      n: b64(part('n')),
      e: b64(part('e')),
      d: b64(part('d')),
      // OpenPGP's u is p⁻¹ mod q (RFC 9580 §5.5.5.1), so p and q change places.
      p: b64(part('q')),
      q: b64(part('p')),
      dp: b64(fromInt(d % (q - 1n))),
      dq: b64(fromInt(d % (p - 1n))),
      qi: b64(part('u')),
    }
    return createPrivateKey({ key: jwk, format: 'jwk' })
  }
  if (kind === 'dsa') {
    const unsigned = (name: string): Buffer => derUnsigned(part(name))
    const algorithm = sequence(OID.dsa, sequence(unsigned('p'), unsigned('q'), unsigned('g')))
    const pkcs8 = sequence(derUnsigned(Buffer.of(0)), algorithm, octets(unsigned('x')))
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  }
  if (kind === 'ed25519Legacy') {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: b64(part('Q').subarray(1)), d: b64(part('seed')) }
    return createPrivateKey({ key: jwk, format: 'jwk' })
  }
  const point = part('Q')
  const half = (point.length - 1) / 2
  const [x, y] = [point.subarray(1, 1 + half), point.subarray(1 + half)]
  const d = Buffer.concat([Buffer.alloc(half), part('d')]).subarray(-half)
  const jwk = { kty: 'EC', crv: kind.replace('nistP', 'P-'), x: b64(x), y: b64(y), d: b64(d) }
  return createPrivateKey({ key: jwk, format: 'jwk' })
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const sequence = (...content: Uint8Array[]): Buffer => der(TAG.sequence, ...content)
const set = (...content: Uint8Array[]): Buffer => der(0x31, ...content)
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text))
const octets = (content: Uint8Array): Buffer => der(TAG.octetString, content)
const TRUE = hex('0101ff')
const OID = {
  bridge: hex('061369c9e8a2a88dcbe0c7c789cbc080aaaed78a1b'),
  organization: hex('060355040a'),
  commonName: hex('0603550403'),
  basicConstraints: hex('0603551d13'),
  keyUsage: hex('0603551d0f'),
  netscapeCertType: hex('06096086480186f8420101'),
  subjectAltName: hex('0603551d11'),
  xmppAddr: hex('06082b06010505070805'),
  sha1WithRsa: hex('06092a864886f70d010105'),
  ecdsaWithSha256: hex('06082a8648ce3d040302'),
  ed25519: hex('06032b6570'),
  dsa: hex('06072a8648ce380401'),
  dsaWithSha256: hex('0609608648016503040302'),
}

export interface BridgeOptions {
  /** What the OpenPGP extension holds; the key's own ring by default, undefined for no such extension. */
  readonly ring?: Buffer | undefined
  /** How often the extension is there. */
  readonly copies?: number
  /** Another key in the certificate, which also signs it. */
  readonly master?: KeyObject
  readonly commonNames?: readonly string[]
  /** One otherName each; written as Kontalk does, without the `[0] EXPLICIT` layer. */
  readonly addresses?: readonly string[]
  /** Writes them as RFC 5280 wants it. */
  readonly wellFormedSan?: boolean
  /** Instead of the extension's OCTET STRING content. */
  readonly extensionValue?: Buffer
}

/** The X.509 certificate that Kontalk's clients make around an OpenPGP key (kontalk-protocol e.1), DER. */
export function bridgeCertificate(phone: PhoneKey, options: BridgeOptions = {}): Buffer {
  const user = phone.key.getUserIDs()[0] ?? ''
  const address = /<(.*)>/.exec(user)?.[1] ?? ''
  const { copies = 1, master = phone.master, commonNames = [user], addresses = [address] } = options
  const ring = 'ring' in options ? options.ring : phone.ring
  const algorithm = algorithmOf(master)
  const name = sequence(
    set(sequence(OID.organization, utf8('OpenPGP to X.509 Bridge'))),
    ...commonNames.map((text) => set(sequence(OID.commonName, utf8(text)))),
  )
  const otherNames = addresses.map((text) =>
    der(0xa0, OID.xmppAddr, options.wellFormedSan ? der(0xa0, utf8(text)) : utf8(text)),
  )
  const extension = (oid: Buffer, value: Buffer, critical = false): Buffer =>
    sequence(oid, ...(critical ? [TRUE] : []), octets(value))
  const bridge = ring && extension(OID.bridge, options.extensionValue ?? derBits(ring))
  const extensions = sequence(
    extension(OID.basicConstraints, sequence(TRUE), true),
    extension(OID.keyUsage, hex('030202ec'), true),
    extension(OID.netscapeCertType, hex('030205a0')),
    ...(otherNames.length > 0 ? [extension(OID.subjectAltName, sequence(...otherNames))] : []),
    ...(bridge ? Array.from({ length: copies }, () => bridge) : []),
  )
  const made = utcTime(phone.key.getCreationTime())
  const body = sequence(
    der(0xa0, derUnsigned(Buffer.of(2))),
    derUnsigned(Buffer.of(1)),
    algorithm.identifier,
    name,
    // A key that never expires has a certificate that has always been expired.
    sequence(made, made),
    name,
    createPublicKey(master.export({ type: 'pkcs8', format: 'pem' })).export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  return sequence(body, algorithm.identifier, derBits(sign(algorithm.digest, body, master)))
}

export const toPem = (certificate: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`

/** The TLS key that belongs to the certificate. */
export const keyPem = (master: KeyObject): string => master.export({ type: 'pkcs8', format: 'pem' }).toString()

const utcTime = (date: Date): Buffer => {
  const digits = date
    .toISOString()
    .replaceAll(/[^0-9]/g, '')
    .slice(2, 14)
  return der(0x17, Buffer.from(`${digits}Z`))
}

function algorithmOf(key: KeyObject): { identifier: Buffer; digest: string | null } {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { identifier: sequence(OID.sha1WithRsa, hex('0500')), digest: 'sha1' }
    case 'dsa':
      return { identifier: sequence(OID.dsaWithSha256), digest: 'sha256' }
    case 'ed25519':
      return { identifier: sequence(OID.ed25519), digest: null }
    default:
      return { identifier: sequence(OID.ecdsaWithSha256), digest: 'sha256' }
  }
}
