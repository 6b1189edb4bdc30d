import { createHmac, randomInt, timingSafeEqual } from 'node:crypto'
import { type BareJid, domainOf } from '../xmpp/jid.ts'
import type { PhoneNumber } from './phone-number.ts'
import { SmsError, type SmsFault, type SmsMessage, type SmsProvider } from './sms-provider.ts'
import type { Account } from './store.ts'
import type { Throttle } from './throttle.ts'
import type { NewAccount, NewRequest, VerificationStore } from './verification-store.ts'

/**
 * `throttled`: a budget is used up; `taken`: the number has an account; `unable`: no provider took the message; `wrong-code`:
 * also when nothing was asked for; `expired`; `locked`: too many wrong codes.
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

/** What became of one message at one provider, for log and metrics. */
export interface SmsReport {
  readonly provider: string
  readonly outcome: 'sent' | SmsFault
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
  readonly provider: SmsProvider
  /** Tried when the other one fails, and when the user asks for another way. */
  readonly fallback?: SmsProvider
  /** 32 bytes of the root secret, of their own. */
  readonly key: Uint8Array
  readonly limits?: Partial<VerificationLimits>
  readonly report?: (report: SmsReport) => void
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
  /** True when the account was made by this very request: the answer may have been lost on its way. */
  readonly used: boolean
}

/** Proves that somebody reads the messages of a number: requested → sent → confirmed, or expired, or locked. */
export class Verification {
  readonly #store: VerificationStore
  readonly #throttle: Throttle
  readonly #provider: SmsProvider
  readonly #fallback: SmsProvider | undefined
  readonly #key: Uint8Array
  readonly #limits: VerificationLimits
  readonly #report: (report: SmsReport) => void
  readonly #now: () => number
  readonly #deliveries = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()

  constructor(options: VerificationOptions) {
    this.#store = options.store
    this.#throttle = options.throttle
    this.#provider = options.provider
    this.#fallback = options.fallback
    this.#key = options.key
    this.#limits = { ...DEFAULTS, ...options.limits }
    this.#report = options.report ?? (() => undefined)
    this.#now = options.now ?? Date.now
  }

  /** There is a second way to send codes. */
  get canFallback(): boolean {
    return this.#fallback !== undefined
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
  }): Promise<Sending> {
    const code = randomInt(1_000_000).toString().padStart(6, '0')
    const subject = this.#subject(call.jid)
    const now = this.#now()
    const request = { subject, codeHash: this.#codeHash(subject, code), expiresAt: now + this.#limits.expiryMs }
    const outcome = await this.#store.request(request, call.jid, this.#throttle.code(call.phone, call.ip), now)
    if (outcome.outcome === 'refused') throw new VerificationError('throttled', outcome.until)
    if (outcome.outcome === 'taken') throw new VerificationError('taken')

    const first = call.fallback && this.#fallback !== undefined ? this.#fallback : this.#provider
    const second = first === this.#provider ? this.#fallback : this.#provider
    const message = {
      to: call.phone.e164,
      code,
      text: `${code} is your code for ${domainOf(call.jid)}.`,
      expiresInSeconds: Math.floor(this.#limits.expiryMs / 1000),
    }
    const delivery = this.#deliver(request, message, second === undefined ? [first] : [first, second])
    this.#deliveries.add(delivery)
    void delivery.finally(() => this.#deliveries.delete(delivery))
    const answer = await within(this.#limits.answerMs, delivery)
    if (answer === 'failed') throw new VerificationError('unable')
    const canFallback = this.#fallback !== undefined && first === this.#provider
    return { sender: (answer ?? first).sender, sent: answer !== undefined, canFallback }
  }

  /**
   * Takes one try of the address's request, then compares in constant time.
   * @throws VerificationError throttled, wrong-code, expired, locked
   */
  async check(call: { readonly jid: BareJid; readonly code: string; readonly ip: string }): Promise<Proof> {
    const subject = this.#subject(call.jid)
    const { maxTries } = this.#limits
    const found = await this.#store.attempt(subject, this.#throttle.try(call.ip), maxTries, this.#now())
    if (found.outcome === 'refused') throw new VerificationError('throttled', found.until)
    if (!('codeHash' in found)) throw new VerificationError(found.outcome === 'none' ? 'wrong-code' : found.outcome)
    const { codeHash, expiresAt, outcome } = found
    if (!timingSafeEqual(codeHash, this.#codeHash(subject, typed(call.code)))) {
      await this.#store.lock(subject, codeHash, maxTries)
      throw new VerificationError('wrong-code')
    }
    return { request: { subject, codeHash, expiresAt }, used: outcome === 'confirmed' }
  }

  /** Spends the proof on an account, both in one transaction; undefined when the name is taken. @throws VerificationError expired */
  async redeem(proof: Proof, account: NewAccount): Promise<Account | undefined> {
    const made = await this.#store.confirm(proof.request, account, this.#now())
    if (made === 'gone') throw new VerificationError('expired')
    return made === 'taken' ? undefined : made
  }

  /** Spends what an account without a number costs. @throws VerificationError throttled */
  async spendAccount(ip: string): Promise<void> {
    const spent = await this.#store.spend(this.#throttle.account(ip), this.#now())
    if (spent.outcome === 'refused') throw new VerificationError('throttled', spent.until)
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

  /** Never rejects: the provider that took the message, or `failed`. */
  async #deliver(
    request: NewRequest,
    message: SmsMessage,
    providers: readonly SmsProvider[],
  ): Promise<SmsProvider | 'failed'> {
    for (const provider of providers) {
      if (!(await this.#send(provider, message))) continue
      await this.#settle(request, 'sent')
      return provider
    }
    await this.#settle(request, 'expired')
    return 'failed'
  }

  async #send(provider: SmsProvider, message: SmsMessage): Promise<boolean> {
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), this.#limits.sendMs)
    const signal = AbortSignal.any([limit.signal, this.#stop.signal])
    try {
      await Promise.race([provider.send(message, signal), aborted(signal)])
      this.#report({ provider: provider.name, outcome: 'sent', cause: undefined })
      return true
    } catch (error) {
      // A provider's own mistake counts as its failure, but its text may hold anything: it is not passed on.
      const fault = error instanceof SmsError ? error.fault : 'unavailable'
      this.#report({ provider: provider.name, outcome: fault, cause: error instanceof SmsError ? error : undefined })
      return false
    } finally {
      clearTimeout(timer)
    }
  }

  /** The code may be tried whatever this says, so a database that cannot be asked here spoils nothing. */
  async #settle(request: NewRequest, state: 'sent' | 'expired'): Promise<void> {
    try {
      await this.#store.settle(request, state)
    } catch {
      // The request keeps its state, `requested`, and expires by itself.
    }
  }

  #subject(jid: BareJid): Buffer {
    return createHmac('sha256', this.#key).update(`subject\0${jid}`).digest()
  }
  #codeHash(subject: Uint8Array, code: string): Buffer {
    return createHmac('sha256', this.#key).update('code\0').update(subject).update(code).digest()
  }
}

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
