import type { Logger } from 'pino'
import type { AccountView } from '../contract/account-view.ts'
import type { IqHandler } from '../contract/handler.ts'
import type { Origin, Session } from '../contract/session.ts'
import { isBlocked } from '../roster/blocking.ts'
import { KeyedQueue } from '../util/keyed-queue.ts'
import type { Element } from '../xmpp/element.ts'
import { bareOf, domainOf, localOf } from '../xmpp/jid.ts'
import { errorReply, type Iq, resultOf } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import type { Served } from './destination.ts'
import { type Progress, settle } from './route.ts'

/** Requests of one session answered at the same time. */
const MAX_UNDER_WAY = 64
/**
 * Requests of one session that wait for their turn, and the bytes of what they hold; more are refused (`resource-constraint`).
 * COMPAT(Kontalk Android): it asks for the keys of a whole address book in one go.
 */
const MAX_WAITING = 2_000
const MAX_WAITING_BYTES = 1_048_576

export interface AnswerDeps {
  readonly served: Served
  readonly handlers: readonly IqHandler[]
  readonly log: Logger
  loadView(account: ReturnType<typeof bareOf>): Promise<AccountView>
  /** Sends the answer to whoever asked. */
  reply(iq: Iq, origin: Origin): void
}

/** The requests of one session. */
interface Lane {
  underWay: number
  readonly waiting: { readonly iq: Iq; readonly origin: Origin }[]
  /** Of those that wait. */
  bytes: number
  /** What it asks of its own account, by namespace: done in its order (RFC 6120 §10.1). */
  readonly own: KeyedQueue<string>
}

/** Finds the handler of a request to us or to one of our accounts, and answers (RFC 6120 §8.2.3, §10.3.3, §10.5.1). */
export class Answers {
  readonly #deps: AnswerDeps
  readonly #handlers = new Map<string, IqHandler>()
  readonly #lanes = new WeakMap<Session, Lane>()

  constructor(deps: AnswerDeps) {
    this.#deps = deps
    for (const handler of deps.handlers) {
      const local = handler.target === 'service' && handler.local !== undefined ? `:${handler.local}` : ''
      const key = `${handler.target}${local} ${handler.type} ${handler.name} ${handler.ns}`
      if (this.#handlers.has(key)) throw new Error(`two handlers for ${key}`)
      this.#handlers.set(key, handler)
    }
  }

  /** A request that suspends is pending until it is answered, any other settled. */
  answer(iq: Iq, origin: Origin): Progress {
    const lane = origin.kind === 'client' ? this.#laneOf(origin.session) : undefined
    if (lane === undefined || lane.underWay < MAX_UNDER_WAY) {
      return this.#start(iq, origin, lane) && this.#suspends(iq, origin) ? 'pending' : 'settled'
    } else if (lane.waiting.length < MAX_WAITING && lane.bytes + iq.content.length <= MAX_WAITING_BYTES) {
      lane.waiting.push({ iq, origin })
      lane.bytes += iq.content.length
      return this.#suspends(iq, origin) ? 'pending' : 'settled'
    } else {
      this.#fail(iq, origin, new StanzaError('resource-constraint', { text: 'Too many requests at once.' }))
      return 'settled'
    }
  }
  /** True where what the session sends next waits for the answer. */
  suspends(iq: Iq, session: Session): boolean {
    const first = iq.children[0]
    if (first === undefined || (iq.to !== undefined && iq.to !== session.account)) return false
    const own = this.#handlers.get(`self ${iq.type} ${first.name} ${first.ns}`)
    return own?.target === 'self' && own.suspends === true
  }
  #suspends(iq: Iq, origin: Origin): boolean {
    return origin.kind === 'client' && this.suspends(iq, origin.session)
  }
  #laneOf(session: Session): Lane {
    const known = this.#lanes.get(session)
    if (known !== undefined) return known
    const lane: Lane = { underWay: 0, waiting: [], bytes: 0, own: new KeyedQueue() }
    this.#lanes.set(session, lane)
    return lane
  }
  #done(lane: Lane): void {
    lane.underWay--
    while (lane.underWay < MAX_UNDER_WAY) {
      const next = lane.waiting.shift()
      if (next === undefined) return
      lane.bytes -= next.iq.content.length
      if (!this.#start(next.iq, next.origin, lane) && this.#suspends(next.iq, next.origin)) settle(next.origin)
    }
  }

  /** True when the answer takes time. */
  #start(iq: Iq, origin: Origin, lane: Lane | undefined): boolean {
    let answer: Element | undefined | Promise<Element | undefined>
    try {
      answer = this.#ask(iq, origin, lane)
    } catch (error) {
      this.#fail(iq, origin, error)
      return false
    }
    if (!(answer instanceof Promise)) {
      this.#deps.reply(resultOf(iq, answer), origin)
      return false
    }
    if (lane !== undefined) lane.underWay++
    answer
      .then(
        (payload) => this.#deps.reply(resultOf(iq, payload), origin),
        (error: unknown) => this.#fail(iq, origin, error),
      )
      .catch((error: unknown) => this.#deps.log.error({ err: error }, 'answer could not be sent'))
      .finally(() => {
        if (this.#suspends(iq, origin)) settle(origin)
        if (lane !== undefined) this.#done(lane)
      })
    return true
  }

  #ask(iq: Iq, origin: Origin, lane: Lane | undefined): Element | undefined | Promise<Element | undefined> {
    const first = iq.children[0]
    if (first === undefined) throw new StanzaError('bad-request')
    const find = (target: string) => this.#handlers.get(`${target} ${iq.type} ${first.name} ${first.ns}`)
    const session = origin.kind === 'client' ? origin.session : undefined
    const bare = iq.to === undefined ? bareOf(iq.from) : bareOf(iq.to)
    const call = {
      request: iq,
      payload: iq.element.children.find((c): c is Element => typeof c !== 'string') as Element,
    }
    if (session !== undefined && bare === session.account) {
      const own = find('self')
      if (own?.target === 'self') {
        const answer = () => own.answer({ ...call, session })
        return lane === undefined ? answer() : lane.own.run(first.ns, answer)
      }
    }
    if (bare === (domainOf(bare) as string)) {
      const handler = find('server')
      if (handler?.target === 'server') return handler.answer({ ...call, from: iq.from, session })
      throw new StanzaError('service-unavailable')
    }
    if (this.#deps.served.services.has(bare)) {
      const handler = find(`service:${localOf(bare)}`) ?? find('service')
      if (handler?.target === 'service') return handler.answer({ ...call, from: iq.from, session })
      throw new StanzaError('service-unavailable')
    }
    const handler = find('account')
    if (handler?.target !== 'account') throw new StanzaError('service-unavailable')
    return this.#deps.loadView(bare).then(async (view) => {
      await handler.admit?.({ from: iq.from, view, payload: call.payload })
      const isThere = view.account !== undefined && view.account.disabledAt === undefined
      if (!isThere || isBlocked(view, iq.from)) throw new StanzaError(handler.refusal ?? 'service-unavailable')
      return handler.answer({ ...call, from: iq.from, account: bare })
    })
  }
  #fail(iq: Iq, origin: Origin, error: unknown): void {
    let answer: StanzaError
    if (error instanceof StanzaError) {
      answer = error
    } else {
      this.#deps.log.error({ err: error, ns: iq.children[0]?.ns }, 'request failed')
      answer = new StanzaError('internal-server-error', { type: 'wait' })
    }
    this.#deps.reply(errorReply(iq, answer), origin)
  }
}
