import { LRUCache } from 'lru-cache'
import type { LoginState } from '../account/login-store.ts'
import type { Account, AccountStore } from '../account/store.ts'
import { type BareJid, type Domain, domainOf } from '../xmpp/jid.ts'
import { readBridgeCertificate } from './bridge-certificate.ts'
import { KeyError } from './key-error.ts'
import { type KeyPolicy, POLICIES, type PolicyName } from './openpgp.ts'
import { PublicRing } from './public-ring.ts'
import type { Judge } from './ring-parts.ts'
import { CERTIFIED_MS, type ServerKey } from './server-key.ts'
import type { KeyStore, NewKey, StoredKey } from './store.ts'

/** A key shown in TLS, of which everything but our certification has been checked. */
export interface CandidateKey {
  readonly jid: BareJid
  readonly fingerprint: string
  readonly ring: PublicRing
}

/** A key as anybody may have it, with what a list of keys says of it. */
export interface ShownKey {
  /** 40 upper-case hex. */
  readonly fingerprint: string
  /** Transferable public key, binary: one user ID, certified by the server. */
  readonly ring: Uint8Array
  readonly userId: Uint8Array
  /** RFC 9580 §9.1. */
  readonly algorithm: number
  /** Undefined where the algorithm says it. */
  readonly bits: number | undefined
  /** Ms since the epoch, all three; Infinity: never. */
  readonly createdAt: number
  readonly expiresAt: number
  /** When something was last said of it: by itself, or by the server's certification. */
  readonly updatedAt: number
  readonly isRevoked: boolean
}

/** Keys whose reading is remembered: their signatures are verified once. */
const MAX_SHOWN = 2_000
/** Bytes of keys in memory. */
const MAX_CACHED = 32 * 1_048_576

/** Who an account's key is: certifies keys at registration, checks them at login, hands them out. */
export class Keys {
  readonly #store: KeyStore
  readonly #accounts: Pick<AccountStore, 'find'>
  #server: ServerKey
  readonly #reopen: () => Promise<ServerKey>
  readonly #policy: KeyPolicy
  readonly #now: () => number
  readonly #changed: (jid: BareJid) => void
  readonly #over: (jid: BareJid) => void
  /** By the account as it is in the line's view of it, which every change of the account or its key replaces on all nodes. */
  readonly #cached: LRUCache<Account, StoredKey>
  readonly #shown = new LRUCache<number, { readonly key: ShownKey; readonly from: Uint8Array; readonly until: number }>(
    { max: MAX_SHOWN },
  )

  constructor(parts: {
    readonly store: KeyStore
    readonly accounts: Pick<AccountStore, 'find'>
    readonly server: ServerKey
    /** Takes the server's keys from the store again. */
    readonly reopen?: () => Promise<ServerKey>
    readonly policy?: PolicyName
    readonly now?: () => number
    /** Told after a key has been written: every node is to forget what it knows of the account (`Views.changed`). */
    readonly onChanged?: (jid: BareJid) => void
    /** Told when an account's key has revoked itself or is over, and no token that it opened is good any more: its sessions are to end. */
    readonly onOver?: (jid: BareJid) => void
  }) {
    this.#store = parts.store
    this.#accounts = parts.accounts
    this.#server = parts.server
    this.#reopen = parts.reopen ?? (async () => parts.server)
    this.#policy = POLICIES[parts.policy ?? 'modern']
    this.#now = parts.now ?? Date.now
    this.#changed = parts.onChanged ?? (() => undefined)
    this.#over = parts.onOver ?? (() => undefined)
    this.#cached = new LRUCache<Account, StoredKey>({
      maxSize: MAX_CACHED,
      sizeCalculation: ({ ring }) => ring.length + 200,
      fetchMethod: ({ id }) => this.#store.find(id),
    })
  }

  /** The server's own key: fingerprint, and the transferable public key that clients ask for. */
  serverKey(): Pick<ServerKey, 'fingerprint' | 'ring'> {
    return this.#server
  }

  /** Goes on with the server's keys as the store has them; whether they were others. @throws StoreError, ServerKeyError */
  async reload(): Promise<boolean> {
    const listed = ({ fingerprint, trusted }: ServerKey): string =>
      [fingerprint, ...trusted.map((key) => key.fingerprint)].join()
    const next = await this.#reopen()
    if (listed(next) === listed(this.#server)) return false
    this.#server = next
    return true
  }

  /**
   * The key in a bridge certificate, for a registration: it is the certificate's own, sound, and names one account of the domain.
   * @throws KeyError
   */
  candidate(certificate: Uint8Array, domain: Domain): Promise<CandidateKey> {
    return this.#candidate(certificate, domain, this.#judge)
  }
  async #candidate(certificate: Uint8Array, domain: Domain, judge: Judge): Promise<CandidateKey> {
    return this.#checked(await proven(certificate, judge), domain)
  }
  #checked(ring: PublicRing, domain: Domain): CandidateKey {
    const now = this.#now()
    ring.checkTime(now)
    return { jid: ring.accountName(domain, now), fingerprint: ring.fingerprint, ring }
  }

  /** A key that is to follow another one as the account's: sound, and it names this account. @throws KeyError */
  async successor(bytes: Uint8Array, jid: BareJid): Promise<CandidateKey> {
    const ring = await PublicRing.read(bytes, this.#judge)
    const now = this.#now()
    ring.checkTime(now)
    if (ring.accountName(domainOf(jid), now) !== jid) throw new KeyError('no-account-name')
    return { jid, fingerprint: ring.fingerprint, ring }
  }
  /** Whether this is the key with that fingerprint, revoked by itself (RFC 9580 §5.2.1, type 0x20). */
  async isRevocation(bytes: Uint8Array, fingerprint: string): Promise<boolean> {
    try {
      const ring = await PublicRing.read(bytes, this.#judge)
      return ring.fingerprint === fingerprint && ring.isRevoked
    } catch (error) {
      if (error instanceof KeyError) return false
      throw error
    }
  }

  /** The candidate's transferable public key with our certification of its account's user ID, to be stored and given back. */
  async certify({ ring, jid }: CandidateKey): Promise<Buffer> {
    return (await this.#server.certify(ring, jid, this.#now())).bytes
  }

  /** Keeps the key of an account that has just been registered with it. @throws KeyError other-key, StoreError */
  registered(account: Pick<Account, 'id' | 'jid'>, key: CandidateKey, ring: Uint8Array): Promise<void> {
    return this.#put(account, key.ring, ring)
  }

  /** Makes it the account's key in the place of `former`; false where that is not its key any more. @throws StoreError */
  async followed(account: Pick<Account, 'id' | 'jid'>, former: string, { ring: key }: CandidateKey, ring: Uint8Array) {
    const isDone = await this.#store.follow(this.#kept(account, key, ring), former)
    if (isDone) this.#changed(account.jid)
    return isDone
  }

  /**
   * Certifies the key of an account that was registered with it before, whatever the shown copy lacks, and keeps it.
   * @throws KeyError, StoreError
   */
  async renewed(account: Pick<Account, 'id' | 'jid'>, { ring, jid }: CandidateKey): Promise<Buffer> {
    const now = this.#now()
    const stored = await this.#store.find(account.id)
    const known = stored?.fingerprint === ring.fingerprint
    // A revocation may be on the stored copy alone.
    const whole = known ? (await PublicRing.read(stored.ring, this.#judge)).merged(ring) : ring
    whole.checkTime(now)
    const { bytes } = await this.#server.certify(whole, jid, now)
    await this.#put(account, whole, bytes)
    return bytes
  }

  /**
   * The account that may log in with this certificate: it exists, was registered with exactly this key, and our certification
   * is on the ring once it is merged with the stored one. Renews the certification in time. Makes no account. A key that says of
   * itself that it is revoked is so from then on, whatever copy of it is shown.
   * @throws KeyError, StoreError
   */
  async login(
    certificate: Uint8Array,
    domain: Domain,
  ): Promise<{ readonly jid: BareJid; readonly account: LoginState; readonly fingerprint: string }> {
    try {
      return await this.#login(certificate, domain)
    } catch (error) {
      // Another node may have certified it by a key that this one has not heard of yet.
      const isForeign = error instanceof KeyError && error.fault === 'not-certified'
      if (!isForeign || !(await this.reload())) throw error
      return await this.#login(certificate, domain)
    }
  }
  async #login(
    certificate: Uint8Array,
    domain: Domain,
  ): Promise<{ readonly jid: BareJid; readonly account: LoginState; readonly fingerprint: string }> {
    // What is stored is verified again, but not the signatures that were just verified in the shown ring.
    const judge = { ...this.#judge, verdicts: new Map<string, Promise<boolean>>() }
    const shown = await proven(certificate, judge)
    if (shown.isRevoked) await this.#withdraw(shown, domain, judge)
    const { jid, fingerprint, ring } = this.#checked(shown, domain)
    const account = await this.#accounts.find(jid)
    if (account === undefined) throw new KeyError('no-account')
    if (account.fingerprint !== fingerprint) throw new KeyError('other-key')
    await this.#merge(account, jid, ring, judge)
    if (account.disabledAt !== undefined) throw new KeyError('account-disabled')
    return { jid, account, fingerprint }
  }

  /** Ends what keys have opened that are over by now; how many there were. @throws StoreError */
  async endExpired(): Promise<number> {
    const now = this.#now()
    let count = 0
    for (;;) {
      const expired = await this.#store.expired(now)
      if (expired.length === 0) return count
      for (const key of expired) {
        if (await this.#store.endTokens(key, now)) {
          this.#over(key.jid)
          count++
        }
        // Last: whoever is stopped before does it again.
        await this.#store.ended(key, now)
      }
    }
  }

  /**
   * The key of an account, as others get it: one query, or none when it was asked for since the account's view was read.
   * `account` is that of the view. @throws StoreError
   */
  async of(account: Account): Promise<StoredKey | undefined> {
    if (account.fingerprint === undefined) return undefined
    const stored = await this.#cached.fetch(account)
    return stored?.fingerprint === account.fingerprint ? stored : undefined
  }

  /**
   * The key as anybody may have it, without other user IDs; undefined when it is not certified as the account's, or has expired.
   * @throws StoreError
   */
  async shown(account: Account): Promise<ShownKey | undefined> {
    const stored = await this.#store.find(account.id)
    if (stored === undefined || stored.fingerprint !== account.fingerprint) return undefined
    const now = this.#now()
    const known = this.#shown.get(account.id)
    if (known !== undefined && known.until > now && Buffer.compare(known.from, stored.ring) === 0) return known.key
    const made = await this.#show(stored, account.jid, now)
    if (made !== undefined) this.#shown.set(account.id, { ...made, from: stored.ring })
    return made?.key
  }
  async #show({ ring: bytes }: StoredKey, jid: BareJid, now: number) {
    let whole: PublicRing
    try {
      whole = await PublicRing.read(bytes, this.#judge)
    } catch (error) {
      // It was stored under a policy that took it.
      if (error instanceof KeyError) return undefined
      throw error
    }
    const shown = whole.shown(jid, this.#server.trusted, now)
    if (shown === undefined) return undefined
    const { ring, userId, until, ...times } = shown
    const { primary, fingerprint, isRevoked } = ring
    const { algorithm, bits, createdAt } = primary
    return { until, key: { fingerprint, ring: ring.bytes, userId, algorithm, bits, createdAt, ...times, isRevoked } }
  }

  /** Keeps the word of an account's key that it is revoked, and ends what it has opened. */
  async #withdraw(ring: PublicRing, domain: Domain, judge: Judge): Promise<void> {
    const account = await this.#accounts.find(ring.accountName(domain, this.#now()))
    const { fingerprint } = ring
    if (account === undefined || account.fingerprint !== fingerprint) return
    const stored = await this.#store.find(account.id)
    const known = stored?.fingerprint === fingerprint ? await PublicRing.read(stored.ring, judge) : undefined
    if (known?.isRevoked === true) return
    const { bytes } = known?.merged(ring) ?? ring
    const kept = { account: account.id, fingerprint, ring: bytes, expiresAt: Number.POSITIVE_INFINITY }
    if (await this.#store.follow(kept, fingerprint)) this.#over(account.jid)
  }

  async #merge(account: Account, jid: BareJid, shown: PublicRing, judge: Judge): Promise<void> {
    const now = this.#now()
    const stored = await this.#store.find(account.id)
    const known = stored?.fingerprint === shown.fingerprint ? stored : undefined
    const isNew = known === undefined || !shown.bytes.equals(known.ring)
    let ring = known && isNew ? (await PublicRing.read(known.ring, judge)).merged(shown) : shown
    // A revocation may be on the stored ring alone; the name must still be the one of the shown ring.
    ring.checkTime(now)
    if (ring.accountName(domainOf(jid), now) !== jid) throw new KeyError('no-account-name')
    const server = this.#server
    if (ring.certifiedUntil(jid, server.trusted, now) === undefined) throw new KeyError('not-certified')
    const until = ring.certifiedUntil(jid, [server.own], now)
    // Renewed in time, and by the new key when there is one.
    if (until === undefined || until < now + CERTIFIED_MS / 2) ring = await server.certify(ring, jid, now)
    const bytes = ring.bytes
    if (known && bytes.equals(known.ring)) return
    await this.#put(account, ring, bytes)
  }
  async #put(account: Pick<Account, 'id' | 'jid'>, key: PublicRing, ring: Uint8Array): Promise<void> {
    if (!(await this.#store.put(this.#kept(account, key, ring)))) throw new KeyError('other-key')
    this.#changed(account.jid)
  }
  /** `ring`: the key as it is kept, with our certification. */
  #kept({ id, jid }: Pick<Account, 'id' | 'jid'>, key: PublicRing, ring: Uint8Array): NewKey {
    return { account: id, fingerprint: key.fingerprint, ring, expiresAt: key.endsAt(jid, this.#now()) }
  }

  get #judge(): Judge {
    return { servers: this.#server.trusted, policy: this.#policy }
  }
}

/** The key in a bridge certificate, of which possession was proven. @throws KeyError */
async function proven(certificate: Uint8Array, judge: Judge): Promise<PublicRing> {
  const bridge = readBridgeCertificate(certificate)
  const ring = await PublicRing.read(bridge.ring, judge)
  // It was proven of the certificate's key: it counts for the OpenPGP key only if they are the same.
  if (ring.primary.spki?.equals(bridge.spki) !== true) throw new KeyError('mismatch')
  return ring
}
