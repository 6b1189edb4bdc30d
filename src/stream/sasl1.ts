import { el, textOf } from '../xmpp/element.ts'
import { NS_SASL } from '../xmpp/ns.ts'
import { SaslError } from '../xmpp/sasl-error.ts'
import type { RawElement } from '../xmpp/tokenizer.ts'
import type { LoginHost } from './login-host.ts'
import { createMechanism } from './sasl.ts'
import { decodeInitial, decodeResponse, encodePayload, type Mechanism, type SaslStep } from './sasl-mechanism.ts'

/** The profile of RFC 6120 §6: ends in a restart of the stream. */
export class Sasl1 {
  readonly #host: LoginHost
  #mechanism: { readonly name: string; readonly run: Mechanism } | undefined

  constructor(host: LoginHost) {
    this.#host = host
  }

  element(raw: RawElement): void {
    const { stream, parts, context, mechanisms } = this.#host
    try {
      const text = textOf(raw.element)
      if (raw.name === 'auth') {
        if (!parts.mayTry(stream.ip))
          throw new SaslError('temporary-auth-failure', 'Too many failed attempts; try again later.')
        const name = raw.element.attrs.mechanism ?? ''
        const run = createMechanism(name, context, mechanisms)
        this.#mechanism = { name, run }
        const initial = decodeInitial(text)
        this.#step(() => run.begin(initial))
      } else if (raw.name === 'response' && this.#mechanism !== undefined) {
        const { run } = this.#mechanism
        const response = decodeResponse(text)
        this.#step(() => run.step(response))
      } else if (raw.name === 'abort') {
        throw new SaslError('aborted')
      } else {
        throw new SaslError('malformed-request')
      }
    } catch (error) {
      this.#failed(error)
    }
  }
  /** Another profile was chosen. */
  reset(): void {
    this.#mechanism = undefined
  }

  #step(step: () => SaslStep | Promise<SaslStep>): void {
    const { stream } = this.#host
    this.#host.waiting(
      async () => await step(),
      (result) => {
        if (result.kind === 'challenge') {
          stream.sendElement(el('challenge', NS_SASL, {}, encodePayload(result.challenge)))
          return
        }
        const payload = result.additional === undefined ? [] : [encodePayload(result.additional)]
        stream.sendElement(el('success', NS_SASL, {}, ...payload))
        this.#host.authenticated(
          { jid: result.jid, id: result.account.id, epoch: result.account.epoch },
          this.#mechanism?.name ?? '',
        )
        this.#mechanism = undefined
        stream.restart()
      },
      (error) => this.#failed(error),
    )
  }
  #failed(error: unknown): void {
    if (!(error instanceof SaslError)) throw error
    const name = this.#mechanism?.name ?? ''
    this.#mechanism = undefined
    const text = error.text === undefined ? [] : [el('text', NS_SASL, { 'xml:lang': 'en' }, error.text)]
    this.#host.refused(name, error, el('failure', NS_SASL, {}, el(error.condition, NS_SASL), ...text))
  }
}
