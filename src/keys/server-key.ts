import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { RootSecret } from '../account/root-secret.ts'
import type { BareJid, Domain } from '../xmpp/jid.ts'
import { KeyError } from './key-error.ts'
import { KeySignature, POLICIES, PublicKeyMaterial, readSecretKey, SecretKeyMaterial } from './openpgp.ts'
import { PACKET, splitPackets } from './packets.ts'
import { PublicRing } from './public-ring.ts'
import type { KeyStore, StoredServerKey } from './store.ts'

/** How long a certification holds; it is renewed at login when half of that has gone. */
export const CERTIFIED_MS = 2 * 365 * 86_400_000

const PURPOSE = 'openpgp server key'
const SEAL_VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MAX_OWN_PACKETS = 64

export type ServerKeyFault = 'missing' | 'sealed-otherwise'

/** There is no server key (`missing`), or it was sealed by another root secret (`sealed-otherwise`). */
export class ServerKeyError extends Error {
  override readonly name = 'ServerKeyError'
  readonly fault: ServerKeyFault
  constructor(fault: ServerKeyFault, cause?: unknown) {
    super(`server key ${fault}`, cause === undefined ? {} : { cause })
    this.fault = fault
  }
}

/** The server's OpenPGP key, which certifies that a key belongs to an account. */
export class ServerKey {
  /** 40 upper-case hex. */
  readonly fingerprint: string
  /** Transferable public key, binary. */
  readonly ring: Buffer
  /** This key and those before it, whose certifications hold. */
  readonly trusted: readonly PublicKeyMaterial[]
  readonly own: PublicKeyMaterial
  readonly #secret: SecretKeyMaterial

  private constructor(
    ring: Buffer,
    trusted: readonly PublicKeyMaterial[],
    own: PublicKeyMaterial,
    secret: SecretKeyMaterial,
  ) {
    this.fingerprint = own.fingerprint
    this.ring = ring
    this.trusted = trusted
    this.own = own
    this.#secret = secret
  }

  /**
   * Takes the server's keys from the store; with `make` makes the first one there.
   * @throws ServerKeyError, StoreError
   */
  static async open(
    store: KeyStore,
    root: RootSecret,
    options: {
      readonly domain: Domain
      readonly make: boolean
      readonly now: number
      /** The first one, in the place of one that is made; armoured or binary. */
      readonly first?: () => Promise<Uint8Array>
    },
  ): Promise<ServerKey> {
    let kept = await store.serverKeys()
    if (kept.length === 0 && (options.make || options.first !== undefined)) {
      const { now, domain, first } = options
      const key = first === undefined ? await fresh(domain, now) : await brought(await first(), now)
      await store.addFirstServerKey(await sealedKey(key, root))
      // Another process may have been first.
      kept = await store.serverKeys()
    }
    const current = kept.find((key) => key.isCurrent)
    if (current === undefined) throw new ServerKeyError('missing')
    const trusted = await Promise.all(kept.map((key) => publicPart(key.ring)))
    const own = trusted.find((key) => key.fingerprint === current.fingerprint)
    if (own === undefined) throw new ServerKeyError('missing')
    const secret = await SecretKeyMaterial.read(unseal(current, root.deriveAll(PURPOSE)))
    return new ServerKey(Buffer.from(current.ring), trusted, own, secret)
  }

  /** Makes a new key the current one; those before it verify as long as they are listed. @throws StoreError */
  static async rotate(
    store: KeyStore,
    root: RootSecret,
    { domain, now }: { readonly domain: Domain; readonly now: number },
  ): Promise<void> {
    await store.makeCurrent(await sealedKey(await fresh(domain, now), root))
  }
  /** The same with a key that an operator brings, armoured or binary. @throws KeyError, StoreError */
  static async take(store: KeyStore, root: RootSecret, key: Uint8Array, now: number): Promise<void> {
    await store.makeCurrent(await sealedKey(await brought(key, now), root))
  }

  /** The ring with our certification of the account's user ID. @throws KeyError no-account-name */
  certify(ring: PublicRing, jid: BareJid, now: number): Promise<PublicRing> {
    // Not older than the key, whose device's clock may be a little ahead.
    const from = Math.max(now, ring.primary.createdAt)
    return ring.certified(jid, this.own, now, (over) => this.#secret.certify(over, from, from + CERTIFIED_MS))
  }
}

interface NewServerKey {
  readonly secret: Uint8Array
  readonly ring: Uint8Array
  /** Ms since the epoch. */
  readonly createdAt: number
}
async function fresh(domain: Domain, now: number): Promise<NewServerKey> {
  return { ...(await SecretKeyMaterial.generate(domain, `server@${domain}`, new Date(now))), createdAt: now }
}
/** Self-signatures by SHA-1 are those of old keys, which their operator vouches for. */
const BROUGHT = { sha1: true, dsa: false }
/** It must be one that certifies what others can verify. @throws KeyError */
async function brought(text: Uint8Array, now: number): Promise<NewServerKey> {
  const { secret, ring: all } = await readSecretKey(text)
  // What others have signed is not needed.
  const ring = await PublicRing.read(all, { servers: [], policy: BROUGHT })
  ring.checkTime(now)
  const own = await publicPart(ring.bytes)
  const userId = Buffer.from('a test <of@this.key>')
  const over = { key: own, userId }
  const made = KeySignature.read(await (await SecretKeyMaterial.read(secret)).certify(over, now, now + CERTIFIED_MS))
  if (made === undefined || !(await made.isBy(own, over, POLICIES.modern))) throw new KeyError('weak', 'cannot certify')
  return { secret, ring: ring.bytes, createdAt: own.createdAt }
}
async function sealedKey(
  { secret, ring, createdAt }: NewServerKey,
  root: RootSecret,
): Promise<Omit<StoredServerKey, 'isCurrent'>> {
  const { fingerprint } = await publicPart(ring)
  return { fingerprint, ring, sealed: seal(secret, root.derive(PURPOSE), fingerprint), createdAt }
}

/** The first user ID of one of the server's keys. */
export function userIdOf(ring: Uint8Array): string {
  const named = splitPackets(ring, MAX_OWN_PACKETS).find(({ tag }) => tag === PACKET.userId)
  return Buffer.from(named?.body ?? []).toString('utf8')
}

async function publicPart(ring: Uint8Array): Promise<PublicKeyMaterial> {
  const [head] = splitPackets(ring, MAX_OWN_PACKETS)
  if (head?.tag !== PACKET.publicKey) throw new ServerKeyError('missing')
  return PublicKeyMaterial.read(head.body, 'primary', POLICIES.modern)
}

/** Version, nonce, tag, cipher text (AES-256-GCM); the fingerprint is bound in. */
function seal(secret: Uint8Array, key: Buffer, fingerprint: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(fingerprint))
  const text = Buffer.concat([cipher.update(secret), cipher.final()])
  return Buffer.concat([Buffer.of(SEAL_VERSION), nonce, cipher.getAuthTag(), text])
}

function unseal({ sealed, fingerprint }: StoredServerKey, keys: readonly Buffer[]): Buffer {
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES)
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES)
  const text = sealed.subarray(1 + NONCE_BYTES + TAG_BYTES)
  if (sealed[0] !== SEAL_VERSION || tag.length !== TAG_BYTES) throw new ServerKeyError('sealed-otherwise')
  let cause: unknown
  for (const key of keys) {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(fingerprint)).setAuthTag(tag)
    try {
      return Buffer.concat([decipher.update(text), decipher.final()])
    } catch (error) {
      cause = error
    }
  }
  throw new ServerKeyError('sealed-otherwise', cause)
}
