import { type BareJid, bareJid, type Domain, prepareLocal } from '../xmpp/jid.ts'
import { AccountError, type Accounts, type SessionAccount } from './accounts.ts'
import { isAllowed, localpartOf, type PhoneNumber, type PhonePolicy, parsePhone } from './phone-number.ts'
import type { Account } from './store.ts'
import type { Takeovers } from './takeovers.ts'
import { type Proof, type Sending, type Verification, VerificationError } from './verification.ts'
import type { Kept } from './verification-store.ts'

/**
 * `closed`: this way of registering is not open; `bad-number`: no phone number; `number-refused`: one that codes are not sent
 * to; `bad-key`: no key for the account; `bad-revocation`: no revocation of the account's key; `not-certified`: the key could not
 * be certified or kept; `bad-name`: no name, or one kept for the operator.
 */
export type RegistrationFault =
  | 'closed'
  | 'bad-number'
  | 'number-refused'
  | 'bad-key'
  | 'bad-revocation'
  | 'not-certified'
  | 'bad-name'

export class RegistrationError extends Error {
  override readonly name = 'RegistrationError'
  readonly fault: RegistrationFault
  constructor(fault: RegistrationFault, options: { readonly cause?: unknown } = {}) {
    super(`registration ${fault}`, options)
    this.fault = fault
  }
}

/** The OpenPGP key that a bridge certificate carries, checked but for our certification. */
export interface ShownKey {
  /** The account that it names. */
  readonly jid: BareJid
  /** 40 upper-case hex. */
  readonly fingerprint: string
}
/** What registration asks of the key directory, which lies above this folder. */
export interface Certifier<K extends ShownKey = ShownKey> {
  /** The key in a bridge certificate (DER), naming an account of the domain. Rejects when there is none that may be certified. */
  candidate(certificate: Uint8Array, domain: Domain): Promise<K>
  /** A key that may follow another one as the account's. Rejects when it may not. */
  successor(ring: Uint8Array, jid: BareJid): Promise<K>
  /** Whether this is the key with that fingerprint, revoked by itself. */
  isRevocation(ring: Uint8Array, fingerprint: string): Promise<boolean>
  /** The whole key with our certification. */
  certify(key: K): Promise<Uint8Array>
  /** Keeps the certified key of an account. Idempotent. */
  registered(account: Account, key: K, ring: Uint8Array): Promise<void>
  /** Makes the certified key the account's in the place of the former one; false where that is not its key any more. */
  followed(account: Account, former: string, key: K, ring: Uint8Array): Promise<boolean>
  /** Certifies the key of an account that has it already, and keeps it with all that is known of it. Rejects when it is revoked. */
  renewed(account: Account, key: K): Promise<Uint8Array>
}

export type RegistrationMode = 'sms' | 'open'
/** Names by which strangers would take a user for the operator; only the operator makes such accounts. */
const OPERATOR_NAMES: ReadonlySet<string> = new Set([
  'abuse',
  'admin',
  'administrator',
  'hostmaster',
  'info',
  'noc',
  'postmaster',
  'root',
  'security',
  'server',
  'support',
  'webmaster',
  'xmpp',
])

export interface RegistrationOptions {
  readonly modes: ReadonlySet<RegistrationMode>
  readonly phones: PhonePolicy
  readonly accounts: Accounts
  readonly verification: Verification
  readonly certifier: Certifier
  readonly takeovers: Takeovers
}

/** How strangers get an account: by a code sent to their number, or by choosing a name where that is open. */
export class Registration {
  readonly #modes: ReadonlySet<RegistrationMode>
  readonly #phones: PhonePolicy
  readonly #accounts: Accounts
  readonly #verification: Verification
  readonly #certifier: Certifier
  readonly #takeovers: Takeovers

  constructor(options: RegistrationOptions) {
    this.#modes = options.modes
    this.#phones = options.phones
    this.#accounts = options.accounts
    this.#verification = options.verification
    this.#certifier = options.certifier
    this.#takeovers = options.takeovers
  }

  /** What a stranger may be asked for. */
  get instructions(): { readonly sms: boolean; readonly open: boolean; readonly canFallback: boolean } {
    const { canFallback } = this.#verification
    return { sms: this.#modes.has('sms'), open: this.#modes.has('open'), canFallback }
  }

  /**
   * Sends a code to the number. A number that has an account is `taken` unless the caller means to replace it (`force`); then the
   * answer is the same for all numbers.
   * @throws RegistrationError closed, bad-number, number-refused; VerificationError throttled, taken, unable
   */
  async submitPhone(call: {
    readonly phone: string
    readonly domain: Domain
    readonly ip: string
    readonly fallback: boolean
    readonly force: boolean
  }): Promise<Sending & { readonly jid: BareJid }> {
    const phone = this.#phone(call.phone)
    const jid = bareJid(localpartOf(phone), call.domain)
    const { ip, fallback, force } = call
    if (force) this.#takeovers.audit(jid, 'forced')
    return { jid, ...(await this.#verification.request({ phone, jid, ip, fallback, isForced: force })) }
  }

  /**
   * Makes the account of the key that the certificate shows, and certifies the key. When the answer was lost, the same code
   * with the same key gets it again. An account that has this key already stays as it is.
   * @throws RegistrationError closed, bad-key, not-certified; VerificationError; TakeoverError; AccountError taken
   */
  async submitCodeWithKey(call: {
    readonly code: string
    readonly certificate: Uint8Array
    readonly domain: Domain
    readonly ip: string
    /** The registration lock of the account to be replaced. */
    readonly lock?: string | undefined
  }): Promise<{ readonly account: Account; readonly key: Uint8Array }> {
    this.#demand('sms')
    const shown = await or('bad-key', this.#certifier.candidate(call.certificate, call.domain))
    const { jid, fingerprint } = shown
    const proof = await this.#verification.check({ jid, code: call.code, ip: call.ip, fingerprint })
    const key = await or('not-certified', this.#certifier.certify(shown))
    const { account, isOwn } = proof.used
      ? { account: await this.#again(jid, fingerprint), isOwn: true }
      : await this.#redeem(proof, { jid, fingerprint }, call.lock)
    if (isOwn) return { account, key: await or('not-certified', this.#certifier.renewed(account, shown)) }
    await or('not-certified', this.#certifier.registered(account, shown, key))
    return { account, key }
  }

  /**
   * Replaces the account's key on the word of the old one, which revokes itself (kontalk-protocol b.9). The account and all it has
   * stay. When the answer was lost, the new key logs in and gets its certification then.
   * @returns the new key, certified @throws RegistrationError bad-key, bad-revocation, not-certified; AccountError unknown
   */
  async rollOver(call: {
    readonly jid: BareJid
    readonly ring: Uint8Array
    readonly revoked: Uint8Array
    readonly by: SessionAccount
  }): Promise<Uint8Array> {
    const { jid, ring, revoked, by } = call
    const account = await this.#accounts.show(jid)
    const old = account.fingerprint
    if (old === undefined || !(await this.#certifier.isRevocation(revoked, old)))
      throw new RegistrationError('bad-revocation')
    const next = await or('bad-key', this.#certifier.successor(ring, jid))
    if (next.fingerprint === old) throw new RegistrationError('bad-key')
    const key = await or('not-certified', this.#certifier.certify(next))
    await this.#accounts.changeKey(account, by, async () => {
      // Somebody else who has the old key may have been quicker: the word of a key counts as long as it is the account's.
      const isDone = await or('not-certified', this.#certifier.followed(account, old, next, key))
      if (!isDone) throw new RegistrationError('bad-revocation')
    })
    return key
  }

  /**
   * @throws RegistrationError closed, bad-number, number-refused; VerificationError; TakeoverError; AccountError taken;
   * PasswordError
   */
  async submitCodeWithPassword(call: {
    readonly phone: string
    readonly code: string
    readonly password: string
    readonly domain: Domain
    readonly ip: string
    readonly lock?: string | undefined
  }): Promise<Account> {
    const phone = this.#phone(call.phone)
    const jid = bareJid(localpartOf(phone), call.domain)
    const proof = await this.#verification.check({ jid, code: call.code, ip: call.ip })
    if (proof.used) throw new AccountError('taken')
    return (await this.#redeem(proof, { jid, password: call.password }, call.lock)).account
  }

  /** Plain XEP-0077. @throws RegistrationError closed, bad-name; VerificationError throttled; AccountError; PasswordError */
  async open(call: {
    readonly username: string
    readonly password: string
    readonly domain: Domain
    readonly ip: string
  }): Promise<Account> {
    this.#demand('open')
    const local = prepareLocal(call.username)
    if (local === undefined || OPERATOR_NAMES.has(local)) throw new RegistrationError('bad-name')
    await this.#verification.spendAccount(call.ip)
    return this.#accounts.create({ jid: bareJid(local, call.domain), naming: 'chosen', password: call.password })
  }

  /**
   * Makes the account of an address whose code was right. One that is there goes first, with all it has, if it may (`Takeovers`); one
   * that is the shown key's own stays.
   */
  async #redeem(
    proof: Proof,
    who: { readonly jid: BareJid; readonly password?: string; readonly fingerprint?: string },
    lock: string | undefined,
  ): Promise<{ readonly account: Account; readonly isOwn: boolean }> {
    const { jid, fingerprint } = who
    const taking = {
      rules: this.#takeovers.rules,
      isUnlocked: lock !== undefined && (await this.#takeovers.unlock(jid, lock)),
      isConnected: await this.#takeovers.isConnected(jid),
    }
    const weighed = await this.#verification.weigh(proof, { jid, fingerprint }, taking)
    if (weighed.outcome === 'own') {
      const wanted = { jid, isNumber: true, fingerprint, secrets: [] }
      const kept = await this.#verification.redeem(proof, wanted, taking)
      if (kept.outcome !== 'own') throw new VerificationError('expired')
      this.#takeovers.audit(jid, 'kept: own key')
      return { account: kept.account, isOwn: true }
    }
    if (weighed.outcome !== 'free' && weighed.outcome !== 'ripe') return this.#refuse(jid, weighed)
    const former = weighed.outcome === 'ripe' ? weighed.former : undefined
    const account = await this.#accounts.create(
      { ...who, naming: 'number' },
      async (wanted) => {
        const made = await this.#verification.redeem(proof, wanted, taking)
        if (made.outcome === 'own') throw new VerificationError('expired')
        if (made.outcome !== 'made') return this.#refuse(jid, made)
        if (made.reason === undefined) return { account: made.account, change: 'created' }
        this.#takeovers.audit(jid, `replaced: ${made.reason}`)
        return { account: made.account, change: 'replaced' }
      },
      former,
    )
    return { account, isOwn: false }
  }
  async #refuse(jid: BareJid, kept: Exclude<Kept, { readonly outcome: 'own' }>): Promise<never> {
    if (kept.outcome === 'gone') throw new VerificationError('expired')
    if (kept.outcome === 'taken') throw new AccountError('taken')
    return this.#takeovers.keep(jid, kept)
  }

  /** The account that an earlier call with this code made, if it was for this key. */
  async #again(jid: BareJid, fingerprint: string): Promise<Account> {
    const account = await this.#accounts.find(jid)
    if (account === undefined || account.fingerprint !== fingerprint) throw new AccountError('taken')
    return account
  }

  #phone(text: string): PhoneNumber {
    this.#demand('sms')
    const phone = parsePhone(text)
    if (phone === undefined) throw new RegistrationError('bad-number')
    if (!isAllowed(phone, this.#phones)) throw new RegistrationError('number-refused')
    return phone
  }
  #demand(mode: RegistrationMode): void {
    if (!this.#modes.has(mode)) throw new RegistrationError('closed')
  }
}

/** The work's result; its failure is this fault, and the reason is for the log. */
async function or<T>(fault: RegistrationFault, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new RegistrationError(fault, { cause })
  }
}
