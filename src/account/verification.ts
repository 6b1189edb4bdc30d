import { createHmac, randomInt, randomUUID, timingSafeEqual } from 'node:crypto'
import { type BareJid, domainOf } from '../xmpp/jid.ts'
import type { PhoneNumber } from './phone-number.ts'
import {
  type DeliveryStatus,
  ReportError,
  type ReportFault,
  SmsError,
  type SmsFault,
  type SmsMessage,
  type SmsProvider,
  type SmsTicket,
} from './sms-provider.ts'
import type { Throttle } from './throttle.ts'
import type {
  HeldCode,
  NewAccount,
  NewRequest,
  Refusal,
  Source,
  Taking,
  VerificationStore,
} from './verification-store.ts'

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

/** What became of one message, or of one check of a code, at one provider, for log and metrics. */
export interface SmsReport {
  readonly provider: string
  readonly step: 'send' | 'check'
  /** Of the number: ISO 3166-1, or `none`. */
  readonly country: string
  readonly outcome: 'sent' | 'right' | 'wrong' | 'gone' | SmsFault
  /** Never holds a number or a code. */
  readonly cause: unknown
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
  readonly #providers: readonly [SmsProvider, ...SmsProvider[]]
  readonly #key: Uint8Array
  readonly #limits: VerificationLimits
  readonly #report: (report: SmsReport) => void
  readonly #refused: (budget: string) => void
  readonly #confirmed: (country: string) => void
  readonly #heard: (provider: string, what: DeliveryStatus | ReportFault | 'replayed') => void
  readonly #now: () => number
  readonly #deliveries = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()

  constructor(options: VerificationOptions) {
    this.#store = options.store
    this.#throttle = options.throttle
    this.#providers = options.providers
    this.#key = options.key
    this.#limits = { ...DEFAULTS, ...options.limits }
    this.#report = options.report ?? (() => undefined)
    this.#refused = options.refused ?? (() => undefined)
    this.#confirmed = options.confirmed ?? (() => undefined)
    this.#heard = options.heard ?? (() => undefined)
    this.#now = options.now ?? Date.now
  }

  /** There is a second way to send codes. */
  get canFallback(): boolean {
    return this.#providers.length > 1 || this.#providers[0].codes?.next !== undefined
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

    const order = this.#order(call.fallback, outcome.undelivered)
    const message = {
      to: call.phone.e164,
      code,
      text: `${code} is your code for ${domainOf(call.jid)}.`,
      expiresInSeconds: Math.floor(this.#limits.expiryMs / 1000),
    }
    const delivery = this.#deliver(request, message, order, { held: outcome.former, fallback: call.fallback })
    this.#follow(delivery)
    const answer = await within(this.#limits.answerMs, delivery)
    if (answer === 'failed') throw new VerificationError('unable')
    const canFallback = this.canFallback && !call.fallback
    return { sender: (answer ?? order[0]).sender, sent: answer !== undefined, canFallback }
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
      const answer = await this.#ask(held, typed(call.code), country)
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
    return this.#providers.flatMap(({ name, reports }) => (reports === undefined ? [] : [name]))
  }

  /**
   * Takes a provider's report of a message: false when it is none, or was taken before. The number is not known any more, so nothing is sent
   * anew; but a provider that holds the code and has another way to bring it is asked to, and the address's next request goes to somebody
   * else first. `header`: as for `DeliveryReports`.
   */
  async report(name: string, header: (name: string) => string | undefined, body: Buffer): Promise<boolean> {
    const provider = this.#providers.find((one) => one.name === name)
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
    const next = provider.codes?.next
    const { held } = noted
    if (noted.outcome === 'undelivered' && held?.provider === name && next !== undefined) {
      const about = { step: 'send', country: countryOf(noted.sources) } as const
      this.#follow(this.#tell(provider, about, (signal) => next(held.ticket, signal).then(() => 'sent' as const)))
    }
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
  async idle(): Promise<void> {
    await Promise.all(this.#deliveries)
  }
  /** Gives up the messages that are. */
  close(): Promise<void> {
    this.#stop.abort()
    return this.idle()
  }

  /** Who is asked in turn; a provider that could not deliver the code before is the last one. */
  #order(fallback: boolean, undelivered: string | undefined): readonly [SmsProvider, ...SmsProvider[]] {
    const [first, ...others] = this.#providers
    const wanted = fallback ? [...others, first] : this.#providers
    const [head = first, ...rest] = [
      ...wanted.filter(({ name }) => name !== undelivered),
      ...wanted.filter(({ name }) => name === undelivered),
    ]
    return [head, ...rest]
  }

  #follow(work: Promise<unknown>): void {
    this.#deliveries.add(work)
    void work.finally(() => this.#deliveries.delete(work))
  }

  /** Never rejects: the provider that took the message, or `failed`. */
  async #deliver(
    request: NewRequest,
    message: Omit<SmsMessage, 'reference'>,
    providers: readonly SmsProvider[],
    former: { readonly held: HeldCode | undefined; readonly fallback: boolean },
  ): Promise<SmsProvider | 'failed'> {
    const { held, fallback } = former
    const country = countryOf(request.sources ?? [])
    if (held !== undefined) {
      const holder = this.#holder(held)
      const next = fallback ? holder?.codes?.next : undefined
      if (holder !== undefined && next !== undefined) {
        const spoken = await this.#tell(holder, { step: 'send', country }, (signal) =>
          next(held.ticket, signal).then(() => 'sent' as const),
        )
        if (spoken !== undefined) return (await this.#keep(request, held)) ? holder : 'failed'
      }
      // Providers refuse a second request for a number while the first one is open.
      await this.#cancel(held)
    }
    for (const provider of providers) {
      const sending: { ticket?: SmsTicket | undefined } = {}
      const reference = randomUUID()
      // A report may be quicker than the answer.
      if (provider.reports !== undefined) await this.#handOver(request, provider.name, reference)
      const sent = await this.#tell(provider, { step: 'send', country }, async (signal) => {
        sending.ticket = await provider.send({ ...message, reference }, signal)
        return 'sent' as const
      })
      if (sent === undefined) continue
      if (sending.ticket === undefined) await this.#settle(request, 'sent')
      else if (!(await this.#keep(request, { provider: provider.name, ticket: sending.ticket }))) return 'failed'
      return provider
    }
    await this.#settle(request, 'expired')
    return 'failed'
  }

  /** Asks the provider that holds a code. @throws VerificationError unable */
  async #ask(held: HeldCode, code: string, country: string): Promise<'right' | 'wrong' | 'gone'> {
    const codes = this.#holder(held)?.codes
    // The config names the provider no more.
    if (codes === undefined) return 'gone'
    const ask = (signal: AbortSignal) => codes.check(held.ticket, code, signal)
    const answer = await this.#tell({ name: held.provider }, { step: 'check', country }, ask, this.#limits.answerMs)
    if (answer === undefined) throw new VerificationError('unable')
    return answer
  }

  /** Does one thing at a provider and reports it; undefined when it failed. */
  async #tell<T extends SmsReport['outcome']>(
    provider: { readonly name: string },
    about: Pick<SmsReport, 'step' | 'country'>,
    work: (signal: AbortSignal) => Promise<T>,
    ms = this.#limits.sendMs,
  ): Promise<T | undefined> {
    try {
      const outcome = await this.#limited(ms, work)
      this.#report({ provider: provider.name, ...about, outcome, cause: undefined })
      return outcome
    } catch (error) {
      // A provider's own mistake counts as its failure, but its text may hold anything: it is not passed on.
      const known = error instanceof SmsError ? error : undefined
      this.#report({ provider: provider.name, ...about, outcome: known?.fault ?? 'unavailable', cause: known })
      return undefined
    }
  }

  async #limited<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), ms)
    const signal = AbortSignal.any([limit.signal, this.#stop.signal])
    try {
      return await Promise.race([work(signal), aborted(signal)])
    } finally {
      clearTimeout(timer)
    }
  }

  /** A code that only the provider knows is worth nothing unless its ticket is kept. */
  async #keep(request: NewRequest, held: HeldCode): Promise<boolean> {
    if (await this.#settle(request, 'sent', held)) return true
    await this.#cancel(held)
    return false
  }

  /** Whether it was noted. Our own code may be tried whatever this says, so a database that cannot be asked here spoils nothing. */
  async #settle(request: NewRequest, state: 'sent' | 'expired', held?: HeldCode): Promise<boolean> {
    try {
      return await this.#store.settle(request, state, held)
    } catch {
      // The request keeps its state, `requested`, and expires by itself.
      return false
    }
  }

  /** Without it reports say nothing, but the code may be sent. */
  async #handOver(request: NewRequest, provider: string, reference: string): Promise<void> {
    await this.#store.handOver(request, provider, reference).catch(() => undefined)
  }

  /** A request that cannot be cancelled ends by itself. */
  async #cancel(held: HeldCode): Promise<void> {
    const codes = this.#holder(held)?.codes
    if (codes === undefined) return
    await this.#limited(this.#limits.answerMs, (signal) => codes.cancel(held.ticket, signal)).catch(() => undefined)
  }

  #holder({ provider }: HeldCode): SmsProvider | undefined {
    return this.#providers.find(({ name }) => name === provider)
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
const countryOf = (sources: readonly Source[]): string => sources.find(({ kind }) => kind === 'country')?.key ?? 'none'

/** People copy codes with the gaps in which they were shown. */
function typed(code: string): string {
  return code.slice(0, 32).replace(/[\s-]/g, '')
}
/** What the work gives, or undefined when it takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
/** Rejects when the signal fires, for providers that do not listen to it. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(new SmsError('timeout'))
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}
