import { type BareJid, bareOf, type Domain, domainOf, isFull, localOf, parseJid } from '../xmpp/jid.ts'
import { KeyError } from './key-error.ts'
import { KeySignature, PublicKeyMaterial, SIGNATURE, type Signed } from './openpgp.ts'
import { PACKET, type RawPacket, splitPackets, writePacket } from './packets.ts'
import {
  type Group,
  genuine,
  groupsOf,
  isCertification,
  isRevokedBy,
  type Judge,
  mergeParts,
  readSubkey,
  readUserId,
  type Subkey,
  type UserId,
  union,
} from './ring-parts.ts'

/** Bytes of a transferable public key, before it is looked at and after every merge. */
export const MAX_RING_BYTES = 65_536
const MAX_PACKETS = 512
/** Signatures that are worth verifying: those of the key itself and of the server. */
const MAX_SIGNATURES = 96
/** How far ahead a device's clock may be. */
const CLOCK_SKEW_MS = 10 * 60_000

/** A ring with nothing in it but what concerns one account. */
export interface ShownRing {
  readonly ring: PublicRing
  readonly userId: Uint8Array
  /** Of the key, in ms since the epoch; Infinity: never. */
  readonly expiresAt: number
  /** When something was last said of the key, by itself or by one of the servers; ms since the epoch. */
  readonly updatedAt: number
  /** As long as what makes it so holds. */
  readonly until: number
}
const latestFirst = (a: KeySignature, b: KeySignature): number => b.createdAt - a.createdAt

/**
 * A transferable public key of which every part has been verified: self-signatures, bindings, and the server's certifications.
 * What others have signed, user attributes and surplus signatures that do not verify are gone.
 */
export class PublicRing {
  readonly primary: PublicKeyMaterial
  /** Over the key itself: direct-key signatures and revocations. */
  readonly #direct: readonly KeySignature[]
  readonly #userIds: readonly UserId[]
  readonly #subkeys: readonly Subkey[]

  private constructor(
    primary: PublicKeyMaterial,
    direct: readonly KeySignature[],
    userIds: readonly UserId[],
    subkeys: readonly Subkey[],
  ) {
    this.primary = primary
    this.#direct = direct
    this.#userIds = userIds
    this.#subkeys = subkeys
  }

  /** @throws KeyError too-large, malformed, weak, bad-signature */
  static async read(bytes: Uint8Array, judge: Judge): Promise<PublicRing> {
    if (bytes.length > MAX_RING_BYTES) throw new KeyError('too-large')
    const groups = groupsOf(splitPackets(bytes, MAX_PACKETS))
    const primary = await PublicKeyMaterial.read(groups.primary.head.body, 'primary', judge.policy)
    const issuers = new Set([primary.keyId, ...judge.servers.map((server) => server.keyId)])
    let left = MAX_SIGNATURES
    const signaturesOf = (group: Group): readonly KeySignature[] => {
      const signatures = group.signatures
        .map((body) => KeySignature.read(body))
        .filter((s) => s && issuers.has(s.issuer))
      left -= signatures.length
      if (left < 0) throw new KeyError('too-large', 'too many signatures')
      return signatures as KeySignature[]
    }
    const direct = await genuine(signaturesOf(groups.primary), { key: primary }, [primary], judge, [
      SIGNATURE.directKey,
      SIGNATURE.keyRevocation,
    ])
    const userIds: UserId[] = []
    for (const group of groups.userIds) {
      userIds.push(await readUserId(primary, group.head.body, signaturesOf(group), judge))
    }
    const subkeys: Subkey[] = []
    for (const group of groups.subkeys) {
      const subkey = await PublicKeyMaterial.read(group.head.body, 'subkey', judge.policy)
      subkeys.push(await readSubkey(primary, subkey, signaturesOf(group), judge))
    }
    return new PublicRing(primary, direct, userIds, subkeys)
  }

  get fingerprint(): string {
    return this.primary.fingerprint
  }

  /** The transferable public key, binary. @throws KeyError too-large */
  get bytes(): Buffer {
    const packets: RawPacket[] = [{ tag: PACKET.publicKey, body: this.primary.body }]
    const add = (signatures: readonly KeySignature[]): void => {
      for (const { body } of signatures) packets.push({ tag: PACKET.signature, body })
    }
    add(this.#direct)
    for (const { userId, signatures } of this.#userIds) {
      packets.push({ tag: PACKET.userId, body: userId })
      add(signatures)
    }
    for (const { subkey, signatures } of this.#subkeys) {
      packets.push({ tag: PACKET.publicSubkey, body: subkey.body })
      add(signatures)
    }
    const bytes = Buffer.concat(packets.map(writePacket))
    if (bytes.length > MAX_RING_BYTES) throw new KeyError('too-large', 'merged')
    return bytes
  }

  /** The key itself has said that it is not to be used any more. */
  get isRevoked(): boolean {
    return this.#direct.some((signature) => signature.type === SIGNATURE.keyRevocation)
  }

  /** Whether the key may be used now. @throws KeyError revoked, future, expired */
  checkTime(now: number): void {
    if (this.isRevoked) throw new KeyError('revoked')
    if (this.primary.createdAt > now + CLOCK_SKEW_MS) throw new KeyError('future')
    const current = this.#userIds.map(({ signatures }) => this.#ownCertification(signatures))
    const directKey = this.#directKey
    if (directKey !== undefined && !this.#isAlive(directKey, now)) throw new KeyError('expired')
    if (!current.some((signature) => signature !== undefined && this.#isAlive(signature, now)))
      throw new KeyError('expired')
  }

  /** When the key ceases to be good for the account, in ms since the epoch; Infinity: never by itself. */
  endsAt(jid: BareJid, now: number): number {
    const ends = this.#named(domainOf(jid), now)
      .filter(([name]) => name === jid)
      .map(([, { signatures }]) => this.#endOf(this.#ownCertification(signatures)))
    const direct = this.#directKey
    return Math.min(Math.max(0, ...ends), direct === undefined ? Number.POSITIVE_INFINITY : this.#endOf(direct))
  }

  /**
   * The account of the domain that the key is for: the e-mail part of a user ID that is neither revoked nor expired.
   * @throws KeyError no-account-name when there is none, or when the key names several
   */
  accountName(domain: Domain, now: number): BareJid {
    const names = new Set(this.#named(domain, now).map(([jid]) => jid))
    const [jid] = names
    if (jid === undefined || names.size > 1) throw new KeyError('no-account-name')
    return jid
  }

  /** Until when, in ms since the epoch, the server's certification of the account's user ID holds; undefined without one. */
  certifiedUntil(jid: BareJid, servers: readonly PublicKeyMaterial[], now: number): number | undefined {
    const issuers = new Set(servers.map((server) => server.keyId))
    const until = this.#named(domainOf(jid), now)
      .filter(([name]) => name === jid)
      .flatMap(([, { signatures }]) => this.#certifications(signatures, issuers, now))
      .map((signature) => signature.expiresAt)
    return until.length === 0 ? undefined : Math.max(...until)
  }

  /**
   * What anybody may have: of all user IDs that of the account, with the key's own signature and one of the servers'; undefined when
   * no certification of theirs holds.
   */
  shown(jid: BareJid, servers: readonly PublicKeyMaterial[], now: number): ShownRing | undefined {
    const issuers = new Set(servers.map((server) => server.keyId))
    for (const [name, { userId, signatures }] of this.#named(domainOf(jid), now)) {
      if (name !== jid) continue
      const own = this.#ownCertification(signatures)
      const ours = this.#certifications(signatures, issuers, now).toSorted(latestFirst)[0]
      if (own === undefined || ours === undefined) continue
      const part = { userId, signatures: [own, ours] }
      const expiresAt = this.#endOf(own)
      const ring = new PublicRing(this.primary, this.#direct, [part], this.#subkeys)
      const said = [...this.#direct, own, ours, ...this.#subkeys.flatMap((subkey) => subkey.signatures)]
      // A device whose clock is ahead is no reason for a date that nobody believes.
      const times = said.map(({ createdAt }) => createdAt).filter((at) => at <= now + CLOCK_SKEW_MS)
      const updatedAt = Math.max(this.primary.createdAt, ...times)
      return { ring, userId, expiresAt, updatedAt, until: Math.min(expiresAt, ours.expiresAt) }
    }
    return undefined
  }

  /** What both hold together. Both must be rings of one key. */
  merged(other: PublicRing): PublicRing {
    if (other.fingerprint !== this.fingerprint) throw new KeyError('other-key')
    return new PublicRing(
      this.primary,
      union([...this.#direct, ...other.#direct]),
      mergeParts([...this.#userIds, ...other.#userIds], ({ userId }) => userId),
      mergeParts([...this.#subkeys, ...other.#subkeys], ({ subkey }) => subkey.body),
    )
  }

  /** The ring with a certification of the account's user ID, in place of those that `issuer` has made before. @throws KeyError no-account-name */
  async certified(
    jid: BareJid,
    issuer: PublicKeyMaterial,
    now: number,
    certify: (over: Extract<Signed, { userId: Uint8Array }>) => Promise<Uint8Array>,
  ): Promise<PublicRing> {
    const [, chosen] = this.#named(domainOf(jid), now).find(([name]) => name === jid) ?? []
    if (chosen === undefined) throw new KeyError('no-account-name')
    const made = KeySignature.read(await certify({ key: this.primary, userId: chosen.userId }))
    if (made === undefined) throw new Error('the server has made an unreadable certification')
    const signatures = [...chosen.signatures.filter((signature) => signature.issuer !== issuer.keyId), made]
    const userIds = this.#userIds.map((part) => (part === chosen ? { userId: part.userId, signatures } : part))
    return new PublicRing(this.primary, this.#direct, userIds, this.#subkeys)
  }

  /** Accounts of the domain with the user IDs that name them. */
  #named(domain: Domain, now: number): readonly (readonly [BareJid, UserId])[] {
    return this.#userIds.flatMap((part) => {
      const own = this.#ownCertification(part.signatures)
      const jid = addressIn(part.userId)
      const isNamed = jid !== undefined && domainOf(jid) === domain
      return isNamed && own !== undefined && this.#isAlive(own, now) ? [[jid, part] as const] : []
    })
  }
  /** The latest signature of the key on itself alone. */
  get #directKey(): KeySignature | undefined {
    return this.#direct.filter((signature) => signature.type === SIGNATURE.directKey).sort(latestFirst)[0]
  }
  /** Those of the servers that hold now. */
  #certifications(
    signatures: readonly KeySignature[],
    issuers: ReadonlySet<string>,
    now: number,
  ): readonly KeySignature[] {
    return signatures.filter(
      (signature) =>
        issuers.has(signature.issuer) &&
        (signature.type === SIGNATURE.certification || signature.type === SIGNATURE.casual) &&
        signature.createdAt <= now + CLOCK_SKEW_MS &&
        signature.expiresAt > now &&
        !isRevokedBy(signature, signatures),
    )
  }
  /** The latest self-certification, unless the key itself has revoked it. */
  #ownCertification(signatures: readonly KeySignature[]): KeySignature | undefined {
    const own = signatures.filter((signature) => signature.issuer === this.primary.keyId)
    const latest = own.filter(isCertification).sort(latestFirst)[0]
    return latest !== undefined && !isRevokedBy(latest, own) ? latest : undefined
  }
  #isAlive(signature: KeySignature, now: number): boolean {
    return signature.createdAt <= now + CLOCK_SKEW_MS && this.#endOf(signature) > now
  }
  /** When the key ends by this signature of its own; 0 without one. */
  #endOf(own: KeySignature | undefined): number {
    return own === undefined ? 0 : Math.min(own.expiresAt, this.primary.createdAt + own.keyLifetime)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const MAX_USER_ID = 4096
/** The bare JID in angle brackets at the end of a user ID: `name (comment) <local@domain>`. */
function addressIn(userId: Uint8Array): BareJid | undefined {
  if (userId.length > MAX_USER_ID) return undefined
  let text: string
  try {
    text = utf8.decode(userId)
  } catch {
    return undefined
  }
  const open = text.indexOf('<')
  const isOnly = open === text.lastIndexOf('<') && text.indexOf('>') === text.length - 1
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  if (open < 0 || !isOnly || /[\x00-\x1f\x7f]/.test(text)) return undefined
  const jid = parseJid(text.slice(open + 1, -1))
  return jid === undefined || isFull(jid) || localOf(jid) === undefined ? undefined : bareOf(jid)
}
