import { createHmac, randomInt, timingSafeEqual } from 'node:crypto'
import { type BareJid, domainOf } from '../xmpp/jid.ts'
import type { PhoneNumber } from './phone-number.ts'
import { type DeliveryStatus, ReportError, type ReportFault, type SmsProvider } from './sms-provider.ts'
import { countryOf, SmsProviders, type SmsReport } from './sms-providers.ts'
import type { Throttle } from './throttle.ts'
import type { NewAccount, NewRequest, Refusal, Taking, VerificationStore } from './verification-store.ts'

/**
 * `throttled`: a budget is used up; `taken`: the number has an account; `unable`: no provider took the message, or the one that holds
 * the code cannot be asked; `wrong-code`: also when nothing was asked for; `expired`; `locked`: too many wrong codes.
 */
export type VerificationFault = 'throttled' | 'taken' | 'unable' | 'wrong-code' | 'expired' | 'locked'

export class VerificationError extends Error {
  override readonly name = 'VerificationError'
  readonly fault: VerificationFault
  /** Ms since the epoch: when a throttled step may be tried again. */
  readonly until: number | undefined
  constructor(fault: VerificationFault, until?: number) {
    super(`verification ${fault}`)
    this.fault = fault
    this.until = until
  }
}

export interface VerificationLimits {
  /** Life of a code. */
  readonly expiryMs: number
  /** Codes that may be tried on one request; then it is locked. */
  readonly maxTries: number
  /** Longest time the asker waits for the provider. Clients give up after 15 s. */
  readonly answerMs: number
  /** Longest time a provider may take, while the asker has gone on. */
  readonly sendMs: number
}
const DEFAULTS: VerificationLimits = {
  expiryMs: 10 * 60_000,
  maxTries: 5,
  answerMs: 8_000,
  sendMs: 30_000,
}

export interface VerificationOptions {
  readonly store: VerificationStore
  readonly throttle: Throttle
  /** The first that takes a message brings it. The user may ask for another way: then the first one is the last. */
  readonly providers: readonly [SmsProvider, ...SmsProvider[]]
  /** 32 bytes of the root secret, of their own. */
  readonly key: Uint8Array
  readonly limits?: Partial<VerificationLimits>
  readonly report?: (report: SmsReport) => void
  /** Told the kind of the budget that was used up. */
  readonly refused?: (budget: string) => void
  /** Told of each delivery report what it says, or why it is none. */
  readonly heard?: (provider: string, what: DeliveryStatus | ReportFault | 'replayed') => void
  /** Told the country of each number that was proved, as in reports. */
  readonly confirmed?: (country: string) => void
  readonly now?: () => number
}

/** How a code is on its way. */
export interface Sending {
  /** As whom the message comes, for the user's eyes. */
  readonly sender: string
  /** False: the provider has not answered yet. */
  readonly sent: boolean
  readonly canFallback: boolean
}
/** The right code was given for an address. */
export interface Proof {
  readonly request: NewRequest
  /** Stands for the key that was shown with the code; undefined: none was. */
  readonly claimant: Uint8Array | undefined
  /** True when the account was made by this very request: the answer may have been lost on its way. */
  readonly used: boolean
  /** As in reports. */
  readonly country: string
}

/** Proves that somebody reads the messages of a number: requested → sent → confirmed, or expired, or locked. */
export class Verification {
  readonly #store: VerificationStore
  readonly #throttle: Throttle
  readonly #providers: SmsProviders
  readonly #key: Uint8Array
  readonly #limits: VerificationLimits
  readonly #refused: (budget: string) => void
  readonly #confirmed: (country: string) => void
  readonly #heard: (provider: string, what: DeliveryStatus | ReportFault | 'replayed') => void
  readonly #now: () => number

  constructor(options: VerificationOptions) {
    this.#store = options.store
    this.#throttle = options.throttle
    this.#key = options.key
    this.#limits = { ...DEFAULTS, ...options.limits }
    const { store, providers, report = () => undefined } = options
    const { answerMs, sendMs } = this.#limits
    this.#providers = new SmsProviders({ store, providers, answerMs, sendMs, report })
    this.#refused = options.refused ?? (() => undefined)
    this.#confirmed = options.confirmed ?? (() => undefined)
    this.#heard = options.heard ?? (() => undefined)
    this.#now = options.now ?? Date.now
  }

  /** There is a second way to send codes. */
  get canFallback(): boolean {
    return this.#providers.canFallback
  }

  /**
   * Sends a new code, in place of the address's former one; answers within `answerMs` and the time of one transaction.
   * @throws VerificationError throttled, taken, unable
   */
  async request(call: {
    readonly phone: PhoneNumber
    readonly jid: BareJid
    readonly ip: string
    /** The user wants the other way. */
    readonly fallback: boolean
    /** The user knows that the number may have an account, and means to take its place. */
    readonly isForced: boolean
  }): Promise<Sending> {
    const code = randomInt(1_000_000).toString().padStart(6, '0')
    const subject = this.#subject(call.jid)
    const now = this.#now()
    const request = {
      subject,
      codeHash: this.#codeHash(subject, code),
      expiresAt: now + this.#limits.expiryMs,
      sources: this.#throttle.sources(call.phone, call.ip),
    }
    const spendings = this.#throttle.code(call.phone, call.ip)
    const outcome = await this.#store.request({ ...request, isForced: call.isForced }, call.jid, spendings, now)
    if (outcome.outcome === 'refused') throw this.#throttled(outcome)
    if (outcome.outcome === 'taken') throw new VerificationError('taken')

    const message = {
      to: call.phone.e164,
      code,
      text: `${code} is your code for ${domainOf(call.jid)}.`,
      expiresInSeconds: Math.floor(this.#limits.expiryMs / 1000),
    }
    const { former: held, undelivered } = outcome
    const sending = await this.#providers.bring(request, message, { held, undelivered, fallback: call.fallback })
    if (sending === undefined) throw new VerificationError('unable')
    const canFallback = this.canFallback && !call.fallback
    return { ...sending, canFallback }
  }

  /**
   * Takes one try of the address's request, then compares in constant time, or asks the provider that holds the code, for `answerMs`
   * at most. A try is spent whatever the provider answers. `fingerprint`: of the key that was shown.
   * @throws VerificationError throttled, wrong-code, expired, locked, unable
   */
  async check(call: {
    readonly jid: BareJid
    readonly code: string
    readonly ip: string
    readonly fingerprint?: string
  }): Promise<Proof> {
    const subject = this.#subject(call.jid)
    const { maxTries } = this.#limits
    const found = await this.#store.attempt(subject, this.#throttle.try(call.ip), maxTries, this.#now())
    if (found.outcome === 'refused') throw this.#throttled(found)
    if (!('codeHash' in found)) throw new VerificationError(found.outcome === 'none' ? 'wrong-code' : found.outcome)
    const { codeHash, expiresAt, outcome, held } = found
    const country = countryOf(found.sources)
    const given = this.#codeHash(subject, typed(call.code))
    const request = { subject, codeHash: given, expiresAt }
    const claimant = call.fingerprint === undefined ? undefined : this.#claimant(subject, call.fingerprint)
    // Somebody has proven the number with this code and waits for its account: it is nobody else's.
    const isAnothers = found.claimant !== undefined && !isSame(found.claimant, claimant)
    if (held !== undefined) {
      const answer = await this.#providers.check(held, typed(call.code), country)
      if (answer === undefined) throw new VerificationError('unable')
      if (answer === 'gone') throw new VerificationError('expired')
      // What the provider said is kept, since it says so once: the same code may come again.
      if (answer === 'right' && (await this.#store.learn({ subject, codeHash, expiresAt }, given)))
        return { request, claimant, used: false, country }
    } else if (timingSafeEqual(codeHash, given) && !isAnothers)
      return { request, claimant, used: outcome === 'confirmed', country }
    await this.#store.lock(subject, codeHash, maxTries)
    throw new VerificationError('wrong-code')
  }

  /** The providers whose reports are read. */
  get reporters(): readonly string[] {
    return this.#providers.reporters
  }

  /**
   * Takes a provider's report of a message: false when it is none, or was taken before. The number is not known any more, so nothing is sent
   * anew; but a provider that holds the code and has another way to bring it is asked to, and the address's next request goes to somebody
   * else first. `header`: as for `DeliveryReports`.
   */
  async report(name: string, header: (name: string) => string | undefined, body: Buffer): Promise<boolean> {
    const provider = this.#providers.find(name)
    if (provider?.reports === undefined) return false
    const now = this.#now()
    let report: ReturnType<typeof provider.reports.read>
    try {
      report = provider.reports.read(header, body, now)
    } catch (error) {
      if (!(error instanceof ReportError)) throw error
      this.#heard(name, error.fault)
      return false
    }
    const noted = await this.#store.report({ ...report, provider: name }, now)
    this.#heard(name, noted.outcome === 'replayed' ? 'replayed' : report.status)
    if (!('held' in noted)) return noted.outcome !== 'replayed'
    // Nobody is to blame for a telephone that is off.
    if (report.status !== 'expired') provider.reports.settled?.(noted.outcome === 'delivered')
    const { held } = noted
    if (noted.outcome === 'undelivered' && held?.provider === name)
      this.#providers.bringAgain(held, countryOf(noted.sources))
    return true
  }

  /** What may become of the proof. */
  weigh(
    { request, claimant }: Proof,
    account: Pick<NewAccount, 'jid' | 'fingerprint'>,
    taking: Omit<Taking, 'claimant'>,
  ) {
    return this.#store.weigh(request, account, { ...taking, claimant }, this.#now())
  }
  /** Spends the proof on an account, both in one transaction. */
  async redeem({ request, claimant, country }: Proof, account: NewAccount, taking: Omit<Taking, 'claimant'>) {
    const redeemed = await this.#store.confirm(request, account, { ...taking, claimant }, this.#now())
    if (redeemed.outcome === 'made' || redeemed.outcome === 'own') this.#confirmed(country)
    return redeemed
  }

  /** Spends what an account without a number costs. @throws VerificationError throttled */
  async spendAccount(ip: string): Promise<void> {
    const spent = await this.#store.spend(this.#throttle.account(ip), this.#now())
    if (spent.outcome === 'refused') throw this.#throttled(spent)
  }
  #throttled({ kind, until }: Refusal): VerificationError {
    this.#refused(kind)
    return new VerificationError('throttled', until)
  }

  /** Removes what is over; to be called now and then. */
  purge(): Promise<number> {
    return this.#store.purge(this.#now())
  }

  /** Settles when no message is on its way to a provider. */
  idle(): Promise<void> {
    return this.#providers.idle()
  }
  /** Gives up the messages that are. */
  close(): Promise<void> {
    return this.#providers.close()
  }

  #subject(jid: BareJid): Buffer {
    return createHmac('sha256', this.#key).update(`subject\0${jid}`).digest()
  }
  #claimant(subject: Uint8Array, fingerprint: string): Buffer {
    return createHmac('sha256', this.#key).update('claimant\0').update(subject).update(fingerprint).digest()
  }
  #codeHash(subject: Uint8Array, code: string): Buffer {
    return createHmac('sha256', this.#key).update('code\0').update(subject).update(code).digest()
  }
}

function isSame(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && a.length === b.length && timingSafeEqual(a, b)
}

/** People copy codes with the gaps in which they were shown. */
function typed(code: string): string {
  return code.slice(0, 32).replace(/[\s-]/g, '')
}
