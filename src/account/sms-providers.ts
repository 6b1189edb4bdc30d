import { randomUUID } from 'node:crypto'
import { SmsError, type SmsFault, type SmsMessage, type SmsProvider, type SmsTicket } from './sms-provider.ts'
import type { HeldCode, NewRequest, Source, VerificationStore } from './verification-store.ts'

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

export interface SmsProvidersOptions {
  readonly store: Pick<VerificationStore, 'settle' | 'handOver'>
  /** The first that takes a message brings it. The user may ask for another way: then the first one is the last. */
  readonly providers: readonly [SmsProvider, ...SmsProvider[]]
  /** Longest time that somebody waits for an answer. */
  readonly answerMs: number
  /** Longest time that a provider may take. */
  readonly sendMs: number
  readonly report: (report: SmsReport) => void
}

/** The request that a new one takes the place of, as far as it matters to the providers. */
export interface Former {
  /** A provider holds its code. */
  readonly held: HeldCode | undefined
  /** This provider could not deliver it. */
  readonly undelivered: string | undefined
  /** The user wants the code another way. */
  readonly fallback: boolean
}

/** The providers in their order: they bring codes, and are asked about those that only they know. */
export class SmsProviders {
  readonly #store: SmsProvidersOptions['store']
  readonly #all: readonly [SmsProvider, ...SmsProvider[]]
  readonly #answerMs: number
  readonly #sendMs: number
  readonly #report: (report: SmsReport) => void
  readonly #working = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()

  constructor({ store, providers, answerMs, sendMs, report }: SmsProvidersOptions) {
    this.#store = store
    this.#all = providers
    this.#answerMs = answerMs
    this.#sendMs = sendMs
    this.#report = report
  }

  /** There is a second way to send codes. */
  get canFallback(): boolean {
    return this.#all.length > 1 || this.#all[0].codes?.next !== undefined
  }
  find(name: string): SmsProvider | undefined {
    return this.#all.find((one) => one.name === name)
  }
  /** Those whose reports are read. */
  get reporters(): readonly string[] {
    return this.#all.flatMap(({ name, reports }) => (reports === undefined ? [] : [name]))
  }

  /**
   * Brings a code by the first provider that takes it, in place of the one before; answers within `answerMs`, and goes on when that
   * is over. @returns undefined: nobody took it; `sent` false: nobody has answered yet
   */
  async bring(
    request: NewRequest,
    message: Omit<SmsMessage, 'reference'>,
    former: Former,
  ): Promise<{ readonly sender: string; readonly sent: boolean } | undefined> {
    const order = this.#order(former)
    const delivery = this.#deliver(request, message, order, former)
    this.#follow(delivery)
    const answer = await within(this.#answerMs, delivery)
    if (answer === 'failed') return undefined
    return { sender: (answer ?? order[0]).sender, sent: answer !== undefined }
  }
  /** Asks the provider that holds a code; undefined when it does not answer. */
  async check({ provider: name, ticket }: HeldCode, code: string, country: string) {
    const codes = this.find(name)?.codes
    // The config names the provider no more.
    if (codes === undefined) return 'gone'
    return await this.#tell(
      { name },
      { step: 'check', country },
      (signal) => codes.check(ticket, code, signal),
      this.#answerMs,
    )
  }
  /** Has a provider that holds a code bring it another way, if it can. Nobody waits for it. */
  bringAgain(held: HeldCode, country: string): void {
    const holder = this.find(held.provider)
    if (holder !== undefined) this.#follow(this.#again(holder, held, country))
  }

  /** Settles when no message is on its way to a provider. */
  async idle(): Promise<void> {
    await Promise.all(this.#working)
  }
  /** Gives up the messages that are. */
  close(): Promise<void> {
    this.#stop.abort()
    return this.idle()
  }

  #follow(work: Promise<unknown>): void {
    this.#working.add(work)
    void work.finally(() => this.#working.delete(work))
  }

  /** Who is asked in turn; a provider that could not deliver the code before is the last one. */
  #order({ fallback, undelivered }: Former): readonly [SmsProvider, ...SmsProvider[]] {
    const [first, ...others] = this.#all
    const wanted = fallback ? [...others, first] : this.#all
    const [head = first, ...rest] = [
      ...wanted.filter(({ name }) => name !== undelivered),
      ...wanted.filter(({ name }) => name === undelivered),
    ]
    return [head, ...rest]
  }

  /** Never rejects: the provider that took the message, or `failed`. */
  async #deliver(
    request: NewRequest,
    message: Omit<SmsMessage, 'reference'>,
    providers: readonly SmsProvider[],
    { held, fallback }: Former,
  ): Promise<SmsProvider | 'failed'> {
    const country = countryOf(request.sources ?? [])
    if (held !== undefined) {
      const holder = this.find(held.provider)
      if (fallback && holder !== undefined && (await this.#again(holder, held, country)))
        return (await this.#keep(request, held)) ? holder : 'failed'
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

  /** False: it has no other way, or failed. */
  async #again(holder: SmsProvider, { ticket }: HeldCode, country: string): Promise<boolean> {
    const next = holder.codes?.next
    if (next === undefined) return false
    const about = { step: 'send', country } as const
    return (await this.#tell(holder, about, (signal) => next(ticket, signal).then(() => 'sent' as const))) !== undefined
  }

  /** Does one thing at a provider and reports it; undefined when it failed. */
  async #tell<T extends SmsReport['outcome']>(
    provider: { readonly name: string },
    about: Pick<SmsReport, 'step' | 'country'>,
    work: (signal: AbortSignal) => Promise<T>,
    ms = this.#sendMs,
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
    const codes = this.find(held.provider)?.codes
    if (codes === undefined) return
    await this.#limited(this.#answerMs, (signal) => codes.cancel(held.ticket, signal)).catch(() => undefined)
  }
}

/** As in reports. */
export const countryOf = (sources: readonly Source[]): string =>
  sources.find(({ kind }) => kind === 'country')?.key ?? 'none'
/** Rejects when the signal fires, for providers that do not listen to it. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(new SmsError('timeout'))
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
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
