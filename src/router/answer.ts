import type { Logger } from 'pino'
import type { AccountView } from '../contract/account-view.ts'
import type { IqHandler } from '../contract/handler.ts'
import type { Origin } from '../contract/session.ts'
import { isBlocked } from '../roster/blocking.ts'
import type { Element } from '../xmpp/element.ts'
import { bareOf, domainOf, localOf } from '../xmpp/jid.ts'
import { errorReply, type Iq, resultOf } from '../xmpp/stanza.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import type { Served } from './destination.ts'

/** Requests of one session answered at the same time; more wait their turn by being refused (`resource-constraint`). */
const MAX_UNDER_WAY = 64

export interface AnswerDeps {
  readonly served: Served
  readonly handlers: readonly IqHandler[]
  readonly log: Logger
  loadView(account: ReturnType<typeof bareOf>): Promise<AccountView>
  /** Sends the answer to whoever asked. */
  reply(iq: Iq, origin: Origin): void
}

/** Finds the handler of a request to us or to one of our accounts, and answers (RFC 6120 §8.2.3, §10.3.3, §10.5.1). */
export class Answers {
  readonly #deps: AnswerDeps
  readonly #handlers = new Map<string, IqHandler>()
  readonly #underWay = new WeakMap<object, number>()

  constructor(deps: AnswerDeps) {
    this.#deps = deps
    for (const handler of deps.handlers) {
      const local = handler.target === 'service' && handler.local !== undefined ? `:${handler.local}` : ''
      const key = `${handler.target}${local} ${handler.type} ${handler.name} ${handler.ns}`
      if (this.#handlers.has(key)) throw new Error(`two handlers for ${key}`)
      this.#handlers.set(key, handler)
    }
  }

  answer(iq: Iq, origin: Origin): void {
    let answer: Element | undefined | Promise<Element | undefined>
    try {
      answer = this.#ask(iq, origin)
    } catch (error) {
      this.#fail(iq, origin, error)
      return
    }
    if (!(answer instanceof Promise)) {
      this.#deps.reply(resultOf(iq, answer), origin)
      return
    }
    const asker = origin.kind === 'client' ? origin.session : this
    const underWay = this.#underWay.get(asker) ?? 0
    this.#underWay.set(asker, underWay + 1)
    answer
      .then(
        (payload) => this.#deps.reply(resultOf(iq, payload), origin),
        (error: unknown) => this.#fail(iq, origin, error),
      )
      .finally(() => this.#underWay.set(asker, (this.#underWay.get(asker) ?? 1) - 1))
      .catch((error: unknown) => this.#deps.log.error({ err: error }, 'answer could not be sent'))
  }

  #ask(iq: Iq, origin: Origin): Element | undefined | Promise<Element | undefined> {
    if (origin.kind === 'client' && (this.#underWay.get(origin.session) ?? 0) >= MAX_UNDER_WAY)
      throw new StanzaError('resource-constraint', { text: 'Too many requests at once.' })
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
      if (own?.target === 'self') return own.answer({ ...call, session })
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
    return this.#deps.loadView(bare).then((view) => {
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
