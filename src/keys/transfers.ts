import { createHash, randomInt } from 'node:crypto'
import type { AccountStore } from '../account/store.ts'
import { networkOf } from '../util/network.ts'
import { RateLimit } from '../util/rate-limit.ts'
import type { BareJid } from '../xmpp/jid.ts'
import type { Keys } from './directory.ts'
import { KeyError } from './key-error.ts'
import { lockedSecretKey } from './openpgp.ts'
import type { KeyTransferStore } from './transfer-store.ts'

/** Of the keyring. */
const MAX_RING_BYTES = 32 * 1024
/** Kontalk's clients show it as digits. */
const TOKEN_DIGITS = 40

/**
 * `no-key`: the account was registered without a key; `bad-secret-key`: not the account's secret key, or not locked with a passphrase;
 * `bad-token`: unknown, used or over; `throttled`: too many tries from this address;
 * `untold`: the account's devices could not be told, so nothing is handed out.
 */
export type TransferFault = 'no-key' | 'bad-secret-key' | 'bad-token' | 'throttled' | 'untold'

export class TransferError extends Error {
  override readonly name = 'TransferError'
  readonly fault: TransferFault
  constructor(fault: TransferFault, options: { readonly cause?: unknown } = {}) {
    super(`key transfer ${fault}`, options)
    this.fault = fault
  }
}

/** What happened to a key on its way. */
export type TransferNews = 'left' | 'fetched'

export interface KeyTransfersOptions {
  readonly store: KeyTransferStore
  readonly accounts: Pick<AccountStore, 'find'>
  readonly keys: Pick<Keys, 'of'>
  /** How long a token is good. */
  readonly lifetimeMs: number
  /** Tokens tried from one address. */
  readonly tries: { readonly count: number; readonly perMs: number }
  /** All devices of the account hear of it; whether the notice is safe. */
  readonly tell: (jid: BareJid, news: TransferNews) => Promise<boolean>
  readonly now?: () => number
}

/**
 * Hands a secret key, which only its owner's passphrase opens, from one device to another by a token that works once
 * (kontalk-protocol b.7, b.8). Of the token only a hash is stored.
 */
export class KeyTransfers {
  readonly #store: KeyTransferStore
  readonly #accounts: Pick<AccountStore, 'find'>
  readonly #keys: Pick<Keys, 'of'>
  /** How long a token is good. */
  readonly lifetimeMs: number
  readonly #tries: RateLimit
  readonly #tell: KeyTransfersOptions['tell']
  readonly #now: () => number

  constructor({ store, accounts, keys, lifetimeMs, tries, tell, now = Date.now }: KeyTransfersOptions) {
    this.#store = store
    this.#accounts = accounts
    this.#keys = keys
    this.lifetimeMs = lifetimeMs
    this.#tries = new RateLimit(tries)
    this.#tell = tell
    this.#now = now
  }

  /** Keeps the account's locked secret keyring for another device. @returns the token @throws TransferError no-key, bad-secret-key, untold; StoreError */
  async put(jid: BareJid, ring: Uint8Array): Promise<string> {
    const account = await this.#accounts.find(jid)
    if (account?.fingerprint === undefined) throw new TransferError('no-key')
    if (ring.length > MAX_RING_BYTES) throw new TransferError('bad-secret-key')
    const fingerprint = await lockedSecretKey(ring).catch((cause: unknown) => {
      if (cause instanceof KeyError) throw new TransferError('bad-secret-key', { cause })
      throw cause
    })
    if (fingerprint !== account.fingerprint) throw new TransferError('bad-secret-key')
    const token = Array.from({ length: TOKEN_DIGITS }, () => randomInt(10)).join('')
    const expiresAt = this.#now() + this.lifetimeMs
    await this.#store.put({ account: account.id, tokenHash: hashOf(token), ring, expiresAt })
    await this.#told(jid, 'left')
    return token
  }

  /** What was left under the token, and the account's certified public key; once. @throws TransferError bad-token, throttled, untold; StoreError */
  async take(token: string, ip: string): Promise<{ readonly secret: Uint8Array; readonly public: Uint8Array }> {
    const network = networkOf(ip)
    if (!this.#tries.has(network)) throw new TransferError('throttled')
    // Spent before it is known: many at a time are not better than one after the other.
    this.#tries.spend(network)
    const taken = await this.#store.take(hashOf(token), this.#now())
    const account = taken && (await this.#accounts.find(taken.jid))
    const key = account && (await this.#keys.of(account))
    if (taken === undefined || key === undefined) throw new TransferError('bad-token')
    await this.#told(taken.jid, 'fetched')
    return { secret: taken.ring, public: key.ring }
  }

  /** Before anybody gets anything: no key goes its way unnoticed. */
  async #told(jid: BareJid, news: TransferNews): Promise<void> {
    if (!(await this.#tell(jid, news))) throw new TransferError('untold')
  }

  purge(): Promise<number> {
    return this.#store.expire(this.#now())
  }
}

const hashOf = (token: string): Uint8Array => createHash('sha256').update(token).digest()
