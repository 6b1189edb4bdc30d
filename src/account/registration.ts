import { type BareJid, bareJid, type Domain, parseJid, prepareLocal } from '../xmpp/jid.ts'
import { AccountError, type Accounts } from './accounts.ts'
import { isAllowed, localpartOf, type PhoneNumber, type PhonePolicy, parsePhone } from './phone-number.ts'
import type { Account } from './store.ts'
import type { Proof, Sending, Verification } from './verification.ts'

/**
 * `closed`: this way of registering is not open; `bad-number`: no phone number; `number-refused`: one that codes are not sent
 * to; `bad-key`: the certificate shows no key for an account here; `not-certified`: the key could not be certified or kept;
 * `bad-name`: no name, or one kept for the operator.
 */
export type RegistrationFault = 'closed' | 'bad-number' | 'number-refused' | 'bad-key' | 'not-certified' | 'bad-name'

export class RegistrationError extends Error {
  override readonly name = 'RegistrationError'
  readonly fault: RegistrationFault
  constructor(fault: RegistrationFault, options: { readonly cause?: unknown } = {}) {
    super(`registration ${fault}`, options)
    this.fault = fault
  }
}

/** The OpenPGP key that a bridge certificate carries: it is the certificate's own key, and its self-signatures hold. */
export interface ShownKey {
  /** Address in the first user ID, as it is written there. */
  readonly address: string
  /** 40 upper-case hex. */
  readonly fingerprint: string
}
/** What registration asks of the server's OpenPGP key and the key directory, which lie above it. */
export interface Certifier<K extends ShownKey = ShownKey> {
  /** Undefined when the certificate (DER) carries no key that may be certified. */
  read(certificate: Uint8Array): Promise<K | undefined>
  /** Certifies the user ID of the account, keeps the key, and returns it with the certification (binary). Idempotent. */
  certify(key: K, account: BareJid): Promise<Uint8Array>
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
}

/** How strangers get an account: by a code sent to their number, or by choosing a name where that is open. */
export class Registration {
  readonly #modes: ReadonlySet<RegistrationMode>
  readonly #phones: PhonePolicy
  readonly #accounts: Accounts
  readonly #verification: Verification
  readonly #certifier: Certifier

  constructor(options: RegistrationOptions) {
    this.#modes = options.modes
    this.#phones = options.phones
    this.#accounts = options.accounts
    this.#verification = options.verification
    this.#certifier = options.certifier
  }

  /** What a stranger may be asked for. */
  get instructions(): { readonly sms: boolean; readonly open: boolean; readonly canFallback: boolean } {
    const { canFallback } = this.#verification
    return { sms: this.#modes.has('sms'), open: this.#modes.has('open'), canFallback }
  }

  /**
   * Sends a code to the number. A number that has an account is `taken`, whether or not the caller would replace it.
   * @throws RegistrationError closed, bad-number, number-refused; VerificationError throttled, taken, unable
   */
  async submitPhone(call: {
    readonly phone: string
    readonly domain: Domain
    readonly ip: string
    readonly fallback: boolean
  }): Promise<Sending & { readonly jid: BareJid }> {
    const phone = this.#phone(call.phone)
    const jid = bareJid(localpartOf(phone), call.domain)
    return { jid, ...(await this.#verification.request({ phone, jid, ip: call.ip, fallback: call.fallback })) }
  }

  /**
   * Makes the account of the key that the certificate shows, and certifies the key. When the answer was lost, the same code
   * with the same key gets it again.
   * @throws RegistrationError closed, bad-key, not-certified; VerificationError; AccountError taken
   */
  async submitCodeWithKey(call: {
    readonly code: string
    readonly certificate: Uint8Array
    readonly domain: Domain
    readonly ip: string
  }): Promise<{ readonly account: Account; readonly key: Uint8Array }> {
    this.#demand('sms')
    const shown = await this.#certifier.read(call.certificate)
    const jid = shown === undefined ? undefined : parseJid(shown.address)
    if (shown === undefined || jid === undefined || !isAccountOf(jid, call.domain))
      throw new RegistrationError('bad-key')
    const proof = await this.#verification.check({ jid, code: call.code, ip: call.ip })
    const account = proof.used
      ? await this.#again(jid, shown.fingerprint)
      : await this.#create(proof, { jid, fingerprint: shown.fingerprint })
    return { account, key: await this.#certify(shown, jid) }
  }

  /** @throws RegistrationError closed, bad-number, number-refused; VerificationError; AccountError taken; PasswordError */
  async submitCodeWithPassword(call: {
    readonly phone: string
    readonly code: string
    readonly password: string
    readonly domain: Domain
    readonly ip: string
  }): Promise<Account> {
    const phone = this.#phone(call.phone)
    const jid = bareJid(localpartOf(phone), call.domain)
    const proof = await this.#verification.check({ jid, code: call.code, ip: call.ip })
    if (proof.used) throw new AccountError('taken')
    return this.#create(proof, { jid, password: call.password })
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

  #create(proof: Proof, who: { readonly jid: BareJid; readonly password?: string; readonly fingerprint?: string }) {
    return this.#accounts.create({ ...who, naming: 'number' }, (account) => this.#verification.redeem(proof, account))
  }

  /** The account that an earlier call with this code made, if it was for this key. */
  async #again(jid: BareJid, fingerprint: string): Promise<Account> {
    const account = await this.#accounts.find(jid)
    if (account === undefined || account.fingerprint !== fingerprint) throw new AccountError('taken')
    return account
  }

  async #certify(shown: ShownKey, jid: BareJid): Promise<Uint8Array> {
    try {
      return await this.#certifier.certify(shown, jid)
    } catch (cause) {
      throw new RegistrationError('not-certified', { cause })
    }
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

function isAccountOf(jid: string, domain: Domain): jid is BareJid {
  return jid.endsWith(`@${domain}`) && !jid.includes('/')
}
