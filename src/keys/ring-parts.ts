import { KeyError } from './key-error.ts'
import { type KeyPolicy, type KeySignature, type PublicKeyMaterial, SIGNATURE, type Signed } from './openpgp.ts'
import { PACKET, type RawPacket } from './packets.ts'

/** User IDs and subkeys, each. */
const MAX_PARTS = 16

interface Part {
  readonly signatures: readonly KeySignature[]
}
export interface UserId extends Part {
  readonly userId: Uint8Array
}
export interface Subkey extends Part {
  readonly subkey: PublicKeyMaterial
}
/** The server's keys that may have certified a user ID, and the policy for everything else. */
export interface Judge {
  readonly servers: readonly PublicKeyMaterial[]
  readonly policy: KeyPolicy
  /** What was found of signatures before, by all that they are over: two rings of one key share nearly all of them. */
  readonly verdicts?: Map<string, Promise<boolean>>
}

const keyed = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
export const isCertification = (signature: KeySignature): boolean =>
  signature.type >= SIGNATURE.certification && signature.type <= SIGNATURE.positive

export interface Group {
  readonly head: RawPacket
  readonly signatures: Uint8Array[]
}
/** Orders the packets of one transferable public key (RFC 9580 §10.1). @throws KeyError malformed, too-large */
export function groupsOf(packets: readonly RawPacket[]): { primary: Group; userIds: Group[]; subkeys: Group[] } {
  const [head, ...rest] = packets
  if (head?.tag !== PACKET.publicKey) throw new KeyError('malformed', 'no public key')
  const primary: Group = { head, signatures: [] }
  const userIds: Group[] = []
  const subkeys: Group[] = []
  const attributes: Group[] = []
  const places = new Map([
    [PACKET.userId as number, userIds],
    [PACKET.publicSubkey, subkeys],
    [PACKET.attribute, attributes],
  ])
  let group = primary
  for (const packet of rest) {
    const place = places.get(packet.tag)
    if (place !== undefined) {
      group = { head: packet, signatures: [] }
      place.push(group)
    } else if (packet.tag === PACKET.signature) group.signatures.push(packet.body)
    // A second primary key, a secret key, a message.
    else if (packet.tag !== PACKET.trust) throw new KeyError('malformed', `packet ${packet.tag}`)
  }
  if (userIds.length > MAX_PARTS || subkeys.length > MAX_PARTS) throw new KeyError('too-large', 'too many parts')
  return { primary, userIds, subkeys }
}

/** Those of the signatures that are of one of the types and by one of the keys. */
export async function genuine(
  signatures: readonly KeySignature[],
  over: Signed,
  by: readonly PublicKeyMaterial[],
  judge: Judge,
  types: readonly number[],
): Promise<readonly KeySignature[]> {
  const kept: KeySignature[] = []
  for (const signature of signatures) {
    if (!types.includes(signature.type)) continue
    for (const key of by) {
      if (key.keyId === signature.issuer && (await isBy(signature, key, over, judge))) kept.push(signature)
    }
  }
  return union(kept)
}

function isBy(signature: KeySignature, key: PublicKeyMaterial, over: Signed, judge: Judge): Promise<boolean> {
  return once(judge, ['by', signature.body, key.body, ...partsOf(over)], () => signature.isBy(key, over, judge.policy))
}
function isAgreedBy(signature: KeySignature, subkey: PublicKeyMaterial, over: Signed, judge: Judge): Promise<boolean> {
  const about = ['agreed', signature.body, subkey.body, ...partsOf(over)]
  return once(judge, about, () => signature.isAgreedBy(subkey, over, judge.policy))
}
function partsOf(over: Signed): readonly (string | Uint8Array)[] {
  if ('userId' in over) return ['user ID', over.key.body, over.userId]
  return 'subkey' in over ? ['subkey', over.key.body, over.subkey.body] : ['key', over.key.body]
}
function once(
  { verdicts }: Judge,
  about: readonly (string | Uint8Array)[],
  verify: () => Promise<boolean>,
): Promise<boolean> {
  if (verdicts === undefined) return verify()
  // With their lengths, so that no two lists of parts are written the same.
  const name = about.map((part) => `${part.length}:${typeof part === 'string' ? part : keyed(part)}`).join('')
  const verdict = verdicts.get(name) ?? verify()
  verdicts.set(name, verdict)
  return verdict
}

export async function readUserId(
  primary: PublicKeyMaterial,
  userId: Uint8Array,
  signatures: readonly KeySignature[],
  judge: Judge,
): Promise<UserId> {
  const types = [0x10, 0x11, 0x12, 0x13, SIGNATURE.certificationRevocation]
  const kept = await genuine(signatures, { key: primary, userId }, [primary, ...judge.servers], judge, types)
  const isOwn = kept.some((signature) => signature.issuer === primary.keyId && isCertification(signature))
  if (!isOwn) throw new KeyError('bad-signature', 'user ID without self-certification')
  return { userId, signatures: kept }
}

export async function readSubkey(
  primary: PublicKeyMaterial,
  subkey: PublicKeyMaterial,
  signatures: readonly KeySignature[],
  judge: Judge,
): Promise<Subkey> {
  const over = { key: primary, subkey }
  const types = [SIGNATURE.binding, SIGNATURE.subkeyRevocation]
  const kept: KeySignature[] = []
  for (const signature of await genuine(signatures, over, [primary], judge, types)) {
    const isAgreed = signature.type !== SIGNATURE.binding || !signature.needsBackSignature
    if (isAgreed || (await isAgreedBy(signature, subkey, over, judge))) kept.push(signature)
  }
  if (!kept.some((signature) => signature.type === SIGNATURE.binding)) {
    throw new KeyError('bad-signature', 'subkey without binding')
  }
  return { subkey, signatures: kept }
}

export function isRevokedBy(certification: KeySignature, signatures: readonly KeySignature[]): boolean {
  return signatures.some(
    (signature) =>
      signature.type === SIGNATURE.certificationRevocation &&
      signature.issuer === certification.issuer &&
      signature.createdAt >= certification.createdAt,
  )
}

export function union(signatures: readonly KeySignature[]): readonly KeySignature[] {
  return [...new Map(signatures.map((signature) => [keyed(signature.body), signature])).values()]
}

export function mergeParts<P extends Part>(parts: readonly P[], identity: (part: P) => Uint8Array): readonly P[] {
  const merged = new Map<string, P>()
  for (const part of parts) {
    const id = keyed(identity(part))
    const known = merged.get(id)
    merged.set(id, known ? { ...known, signatures: union([...known.signatures, ...part.signatures]) } : part)
  }
  return [...merged.values()]
}
