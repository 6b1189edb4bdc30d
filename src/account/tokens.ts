import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { BareJid } from '../xmpp/jid.ts'
import type { LoginState, LoginStore, StoredToken } from './login-store.ts'

/**
 * `unknown`: no such token, or not with this mechanism or client (they look alike); `expired`: it was right once, and is not
 * trusted any more; `replayed`: its count did not rise; `disabled`: the account is.
 */
export type TokenFault = 'unknown' | 'expired' | 'replayed' | 'disabled'
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly fault: TokenFault
  constructor(fault: TokenFault) {
    super(`token ${fault}`)
    this.fault = fault
  }
}

/** What a client shows of its token: the initiator's message of the HT mechanisms. */
export interface ShownToken {
  readonly jid: BareJid
  readonly agent: Uint8Array
  readonly mechanism: string
  /** HMAC-SHA-256 of "Initiator" and `binding`, with the token as key. */
  readonly proof: Uint8Array
  /** The channel binding's bytes; empty for none. */
  readonly binding: Uint8Array
  readonly count: number | undefined
  readonly invalidate: boolean
}
export interface TokenLogin {
  readonly state: LoginState
  /** HMAC-SHA-256 of "Responder" and `binding`, with the token as key. */
  readonly answer: Buffer
  /** More than half of its time is over. */
  readonly isDue: boolean
}
export interface GivenToken {
  readonly token: string
  /** Ms since the epoch. */
  readonly expiresAt: number
}

const SEED_BYTES = 32
/** Somebody without tokens costs the same work as somebody with them. */
const NO_TOKEN: StoredToken = {
  slot: 'current',
  mechanism: '',
  seed: Buffer.alloc(SEED_BYTES),
  issuedAt: 0,
  expiresAt: 0,
  isTrusted: false,
}

/**
 * Tokens that devices reconnect with (XEP-0484). The HT mechanisms need the token itself to check a login, so it cannot be
 * kept as a hash; it *is* a keyed hash, of a random seed, and only the seed is kept. Each is good for one account, one
 * device and one mechanism.
 */
export class Tokens {
  readonly #store: LoginStore
  readonly #keys: readonly Uint8Array[]
  readonly #lifetimeMs: number
  readonly #now: () => number

  /** @param parts.keys `RootSecret.deriveAll('fast')`: the first makes tokens, all check them */
  constructor(parts: {
    readonly store: LoginStore
    readonly keys: readonly Uint8Array[]
    readonly lifetimeMs: number
    readonly now?: () => number
  }) {
    this.#store = parts.store
    this.#keys = parts.keys
    this.#lifetimeMs = parts.lifetimeMs
    this.#now = parts.now ?? Date.now
  }

  /** Gives the device a token, beside the one it uses until it uses this one (XEP-0484 §4.2). The device must be known. */
  async issue(account: LoginState, agent: Uint8Array, mechanism: string): Promise<GivenToken> {
    const seed = randomBytes(SEED_BYTES)
    const issuedAt = this.#now()
    const expiresAt = issuedAt + this.#lifetimeMs
    await this.#store.issue({ account, agent, mechanism, seed, issuedAt, expiresAt })
    return { token: tokenOf(this.#keys[0] as Uint8Array, account.id, agent, mechanism, seed), expiresAt }
  }

  /** @throws TokenError */
  async login(shown: ShownToken): Promise<TokenLogin> {
    const found = await this.#store.tokens(shown.jid, shown.agent)
    const match = this.#match(shown, found?.state.id ?? 0, found?.tokens ?? [])
    if (found === undefined || match === undefined || match.stored.mechanism !== shown.mechanism)
      throw new TokenError('unknown')
    const { stored, answer } = match
    const now = this.#now()
    if (found.account.disabledAt !== undefined) throw new TokenError('disabled')
    if (!stored.isTrusted || stored.expiresAt <= now) throw new TokenError('expired')
    const { agent, count, invalidate } = shown
    const { slot, seed } = stored
    const isUsed = await this.#store.use({ account: found.state.id, agent, slot, seed, now, count, invalidate })
    if (!isUsed) throw new TokenError('replayed')
    return { state: found.state, answer, isDue: now - stored.issuedAt > (stored.expiresAt - stored.issuedAt) / 2 }
  }

  /** Both slots are compared, with every key and whatever is in them, so that time tells nothing. */
  #match(
    shown: ShownToken,
    account: number,
    tokens: readonly StoredToken[],
  ): { readonly stored: StoredToken; readonly answer: Buffer } | undefined {
    let found: { readonly stored: StoredToken; readonly answer: Buffer } | undefined
    for (const slot of ['new', 'current'] as const) {
      const own = tokens.find((t) => t.slot === slot)
      const stored = own ?? NO_TOKEN
      for (const key of this.#keys) {
        const token = tokenOf(key, account, shown.agent, stored.mechanism, stored.seed)
        const expected = messageOf(token, 'Initiator', shown.binding)
        const answer = messageOf(token, 'Responder', shown.binding)
        const isEqual = expected.length === shown.proof.length && timingSafeEqual(expected, shown.proof)
        if (isEqual && own !== undefined && found === undefined) found = { stored, answer }
      }
    }
    return found
  }
}

/** 256 bits, in base64url. */
function tokenOf(key: Uint8Array, account: number, agent: Uint8Array, mechanism: string, seed: Uint8Array): string {
  const about = `${account}\0${Buffer.from(agent).toString('hex')}\0${mechanism}\0`
  return createHmac('sha256', key).update(about).update(seed).digest('base64url')
}
const messageOf = (token: string, who: 'Initiator' | 'Responder', binding: Uint8Array): Buffer =>
  createHmac('sha256', token).update(who).update(binding).digest()
