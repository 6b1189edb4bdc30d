import { randomBytes } from 'node:crypto'
import type { LoginState, Proof } from '../account/login-store.ts'
import { digestOf, keysOf } from '../account/password.ts'
import type { ScramMechanism, ScramSecrets } from '../account/store.ts'
import type { GivenToken } from '../account/tokens.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { child, type Element, el, textOf } from '../xmpp/element.ts'
import type { BareJid, FullJid } from '../xmpp/jid.ts'
import { NS_BIND2, NS_CLIENT, NS_FAST, NS_SASL, NS_SASL2, NS_SM, NS_STANZA_ERRORS } from '../xmpp/ns.ts'
import { SaslError } from '../xmpp/sasl-error.ts'
import { serialize } from '../xmpp/serialize.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'
import { StreamError } from '../xmpp/stream-error.ts'
import type { RawElement } from '../xmpp/tokenizer.ts'
import { countOnWire } from './ack-queue.ts'
import type { LoginHost } from './login-host.ts'
import type { BoundSession, LoggedIn } from './parts.ts'
import { createMechanism, Guarded } from './sasl.ts'
import { HashedToken, tokenMechanismsFor } from './sasl-ht.ts'
import { decodeResponse, type Mechanism, type SaslStep } from './sasl-mechanism.ts'
import { type Resume, readRequest, type Sasl2Request, UPGRADES } from './sasl2-request.ts'

const NS_SCRAM_UPGRADE = 'urn:xmpp:scram-upgrade:0'
/** Generated part of a resource of a client that does not say which one it is. */
const RESOURCE_BYTES = 18

/** The device that logged in, when it said which one it is. */
export interface LoggedInDevice {
  readonly account: LoginState
  readonly agent: Uint8Array
  /** What it had bound before. */
  readonly resource: string | undefined
}
interface Attempt {
  readonly request: Sasl2Request
  readonly run: Mechanism
  /** Set when `run` takes tokens. */
  readonly token: HashedToken | undefined
  readonly proof: Proof
  /** Hash of the user-agent's id. */
  readonly agent: Uint8Array | undefined
  /** The account as it was before anything was proven: what has changed since makes the proof worthless. */
  state: LoginState | undefined
  jid: BareJid | undefined
  /** The id of the account whose credentials were checked. */
  account: LoginState | undefined
  /** Tasks to come, the one under way first. */
  readonly tasks: { readonly name: string; salt: Pick<ScramSecrets, 'salt' | 'iterations'> | undefined }[]
}

/**
 * The profile of XEP-0388, with what runs inside it: tokens (XEP-0484), SCRAM upgrades (XEP-0480), resumption (XEP-0198 §9) and
 * Bind 2 (XEP-0386). States: idle → exchange (challenges) → task (upgrades) → over; a refusal leads back to idle.
 */
export class Sasl2 {
  readonly #host: LoginHost
  #attempt: Attempt | undefined
  #state: 'idle' | 'exchange' | 'task' = 'idle'
  #device: LoggedInDevice | undefined

  constructor(host: LoginHost) {
    this.#host = host
  }
  /** True while nothing but the login may be sent (XEP-0388 §2.4). */
  get isBusy(): boolean {
    return this.#state !== 'idle'
  }
  get device(): LoggedInDevice | undefined {
    return this.#device
  }

  element(raw: RawElement): void {
    try {
      if (this.#state === 'idle') this.#idle(raw)
      else if (raw.name === 'abort') throw new SaslError('aborted')
      else if (this.#state === 'exchange' && raw.name === 'response') this.#response(raw)
      else if (this.#state === 'task' && raw.name === 'next') this.#next(raw)
      else if (this.#state === 'task' && raw.name === 'task-data') this.#taskData(raw)
      else throw disturbed()
    } catch (error) {
      this.#failed(error)
    }
  }
  #idle(raw: RawElement): void {
    if (raw.name === 'abort') throw new SaslError('aborted')
    if (raw.name !== 'authenticate') throw new SaslError('malformed-request')
    const { stream, parts } = this.#host
    if (!parts.mayTry(stream.ip))
      throw new SaslError('temporary-auth-failure', 'Too many failed attempts; try again later.')
    const attempt = this.#begin(readRequest(raw.element))
    this.#attempt = attempt
    this.#state = 'exchange'
    this.#work(async () => {
      const { from } = this.#host
      if (from !== undefined && attempt.token === undefined) attempt.state = await parts.devices.state(from)
      await this.#step(attempt, await attempt.run.begin(attempt.request.initial))
    })
  }
  #begin(request: Sasl2Request): Attempt {
    const { from, facts, parts, context, mechanisms } = this.#host
    const { mechanism, agent, fast } = request
    const shared = { request, state: undefined, jid: undefined, account: undefined, tasks: [] }
    const hash = from === undefined || agent?.id === undefined ? undefined : parts.devices.agentOf(from, agent.id)
    if (!tokenMechanismsFor(facts).includes(mechanism)) {
      const run = createMechanism(mechanism, context, mechanisms)
      return { ...shared, run, token: undefined, proof: mechanism === 'EXTERNAL' ? 'key' : 'password', agent: hash }
    }
    // XEP-0484 §5.1: the stream's 'from', the user-agent's id and <fast/> are all a MUST.
    if (from === undefined || hash === undefined || fast === undefined)
      throw new SaslError('malformed-request', 'A token needs from, the id of a user-agent, and <fast/>.')
    const token = new HashedToken({ mechanism, facts, tokens: parts.tokens, jid: from, agent: hash, ...fast })
    return { ...shared, run: new Guarded(token), token, proof: 'token', agent: hash }
  }

  #response(raw: RawElement): void {
    const attempt = this.#attempt as Attempt
    const response = decodeResponse(textOf(raw.element))
    this.#work(async () => this.#step(attempt, await attempt.run.step(response)))
  }
  async #step(attempt: Attempt, step: SaslStep): Promise<void> {
    if (step.kind === 'challenge') {
      this.#send(el('challenge', NS_SASL2, {}, step.challenge.toString('base64')))
      return
    }
    const { from } = this.#host
    // XEP-0388 §2.3: an identity that is not the one of the header fails, whoever's it is.
    if (from !== undefined && step.jid !== from)
      throw new SaslError('invalid-authzid', 'This is not whom the stream comes from.')
    attempt.jid = step.jid
    attempt.account = step.account
    attempt.state = attempt.token?.login?.state ?? attempt.state
    // Between the two the account has gone, and its address to somebody else.
    if (attempt.state !== undefined && attempt.state.id !== step.account.id) throw new SaslError('credentials-expired')
    await this.#findTasks(attempt, step.jid)
    const additional = step.additional === undefined ? [] : [base64Element('additional-data', step.additional)]
    if (attempt.tasks.length > 0) this.#continue(attempt, additional)
    else await this.#finish(attempt, step.jid, additional)
  }

  // XEP-0480: a client that has proven the password may have it hashed anew.

  async #findTasks(attempt: Attempt, jid: BareJid): Promise<void> {
    const { request, proof, state, tasks } = attempt
    if (request.upgrades.length === 0 || proof !== 'password' || state === undefined) return
    const has = await this.#host.parts.sasl.credentials.mechanisms(jid)
    for (const [name, mechanism] of UPGRADES)
      if (request.upgrades.includes(name) && !has.includes(mechanism)) tasks.push({ name, salt: undefined })
  }
  #continue({ tasks }: Attempt, additional: readonly Element[]): void {
    this.#state = 'task'
    const task = el('task', NS_SASL2, {}, tasks[0]?.name ?? '')
    this.#send(el('continue', NS_SASL2, {}, ...additional, el('tasks', NS_SASL2, {}, task)))
  }
  #next(raw: RawElement): void {
    const [task] = (this.#attempt as Attempt).tasks
    if (task === undefined || task.salt !== undefined) throw disturbed()
    if (raw.element.attrs.task !== task.name) throw new SaslError('malformed-request', 'This task was not offered.')
    task.salt = this.#host.parts.sasl.passwords.newSalt()
    const { salt, iterations } = task.salt
    const text = Buffer.from(salt).toString('base64')
    const data = el('salt', NS_SCRAM_UPGRADE, { iterations: String(iterations) }, text)
    this.#send(el('task-data', NS_SASL2, {}, data))
  }
  #taskData(raw: RawElement): void {
    const attempt = this.#attempt as Attempt
    const [task] = attempt.tasks
    if (task?.salt === undefined) throw disturbed()
    const mechanism = UPGRADES.get(task.name) as ScramMechanism
    const hash = child(raw.element, 'hash', NS_SCRAM_UPGRADE)
    const salted = hash === undefined ? undefined : decodeResponse(textOf(hash))
    if (salted?.length !== digestOf(mechanism).bytes)
      throw new SaslError('malformed-request', 'This is no salted password of the mechanism.')
    const secrets = { mechanism, ...task.salt, ...keysOf(mechanism, salted) }
    this.#work(async () => {
      if (!(await this.#host.parts.addSecrets(attempt.state as LoginState, [secrets])))
        throw new SaslError('credentials-expired', 'The password was changed meanwhile.')
      attempt.tasks.shift()
      if (attempt.tasks.length > 0) this.#continue(attempt, [])
      else await this.#finish(attempt, attempt.jid as BareJid, [])
    })
  }

  // What follows on success.

  async #finish(attempt: Attempt, jid: BareJid, additional: readonly Element[]): Promise<void> {
    const { stream } = this.#host
    const { request } = attempt
    let tokens: readonly Element[]
    try {
      this.#device = await this.#noteDevice(attempt, jid)
      tokens = await this.#giveToken(attempt)
    } catch (cause) {
      throw new SaslError('temporary-auth-failure', undefined, { cause })
    }
    const { id, epoch } = attempt.account as LoginState
    const account = { jid, id, epoch }
    this.#host.authenticated(account, request.mechanism)
    this.#state = 'idle'
    const success = (identity: string, ...inline: readonly Element[]): Element =>
      el('success', NS_SASL2, {}, ...additional, el('authorization-identifier', NS_SASL2, {}, identity), ...inline)

    const failed: Element[] = []
    if (request.resume !== undefined) {
      // XEP-0198 §9.2: "stream features MUST NOT be sent in this case".
      const tell = (resumed: Element, full: string) => this.#send(success(full, resumed, ...tokens))
      const result = await resumed(this.#host, account, request.resume, tell)
      if (result === undefined) return
      failed.push(result)
    }
    if (request.bind === undefined) {
      this.#send(success(jid, ...failed, ...tokens))
      stream.send(this.#host.features('unbound'))
      return
    }
    const { full, bound, isCounted } = await this.#bind(attempt, account)
    const answer = serialize(success(full, ...failed, bound, ...tokens), NS_CLIENT)
    stream.uncork(answer + this.#host.features(isCounted ? 'counted' : 'bound'))
  }

  async #noteDevice({ request, agent, proof, state }: Attempt, jid: BareJid): Promise<LoggedInDevice | undefined> {
    const { devices } = this.#host.parts
    const id = request.agent?.id
    const account = state ?? (id === undefined ? undefined : await devices.state(jid))
    if (id === undefined || account === undefined) return undefined
    const hash = agent ?? devices.agentOf(jid, id)
    const { software, device } = request.agent ?? {}
    return { account, agent: hash, resource: await devices.seen({ account, agent: hash, software, device, proof }) }
  }
  /** XEP-0484 §4.2 and §4.5: asked for, or due. */
  async #giveToken({ request, token }: Attempt): Promise<readonly Element[]> {
    const { from, facts, parts } = this.#host
    const device = this.#device
    if (device === undefined || from === undefined) return []
    const offered = tokenMechanismsFor(facts)
    const asked = request.wantsToken !== undefined && offered.includes(request.wantsToken) && request.wantsToken
    const isDue = token?.login?.isDue === true && request.fast?.invalidate !== true
    const mechanism = asked || (isDue ? request.mechanism : undefined)
    if (mechanism === undefined) return []
    const given = await parts.tokens.issue(device.account, device.agent, mechanism)
    return [tokenElement(given)]
  }

  async #bind(attempt: Attempt, account: LoggedIn) {
    const { stream, parts } = this.#host
    const { tag, element } = attempt.request.bind as NonNullable<Sasl2Request['bind']>
    const device = this.#device
    const stable = device && parts.devices.resourceOf(device.agent)
    const generated = stable ?? randomBytes(RESOURCE_BYTES).toString('base64url')
    const resource = tag === undefined ? generated : `${tag}/${generated}`
    const enable = child(element, 'enable', NS_SM)
    const inline: Promise<Element | undefined>[] = []
    let enabled: Element | undefined
    const begin = (session: BoundSession): void => {
      this.#host.handOver(session)
      enabled = enable && session.enable(enable.attrs)
      inline.push(...this.#applied(element, session))
    }
    stream.cork()
    let full: FullJid
    try {
      full = await parts.bind(stream, account, {
        resource,
        skipWaiting: true,
        begin,
        ...(stable === undefined ? {} : { stable }),
        ...(device === undefined ? {} : { device: Buffer.from(device.agent).toString('base64url') }),
      })
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error
      const isFull = error.condition === 'resource-constraint'
      throw new StreamError(isFull ? 'resource-constraint' : 'not-authorized', error.text, { cause: error })
    }
    if (device !== undefined) await this.noteResource(device, resource)
    const answers = (await Promise.all(inline)).filter((e) => e !== undefined)
    const children = enabled === undefined ? answers : [enabled, ...answers]
    return {
      full,
      bound: el('bound', NS_BIND2, {}, ...children),
      isCounted: enabled?.name === 'enabled',
    }
  }
  #applied(bind: Element, session: BoundSession): Promise<Element | undefined>[] {
    const { parts, stream } = this.#host
    return parts.bindInlines.map(async (feature) => {
      try {
        if (feature.name === undefined) return await feature.apply(undefined, session)
        const asked = child(bind, feature.name, feature.ns)
        return asked && (await feature.apply(asked, session))
      } catch (error) {
        stream.log.error({ err: error, ns: feature.ns }, 'feature of a new session failed')
        return undefined
      }
    })
  }
  /** The session is there already, and works without. */
  async noteResource(device: LoggedInDevice, resource: string): Promise<void> {
    if (device.resource === resource) return
    try {
      await this.#host.parts.devices.bound(device.account, device.agent, resource)
    } catch (error) {
      this.#host.stream.log.warn({ err: error }, 'resource of a device not noted')
    }
  }

  #work(work: () => Promise<void>): void {
    this.#host.waiting(
      work,
      () => undefined,
      (error) => this.#failed(error),
    )
  }
  #send(element: Element): void {
    this.#host.stream.sendElement(element)
  }
  #failed(cause: unknown): void {
    if (cause instanceof StreamError || !(cause instanceof SaslError || this.isBusy)) throw cause
    // A store that cannot be asked, or a fault of ours.
    if (!(cause instanceof SaslError)) this.#host.stream.log.warn({ err: cause }, 'login could not be checked')
    const error = cause instanceof SaslError ? cause : new SaslError('temporary-auth-failure', undefined, { cause })
    const name = this.#attempt?.request.mechanism ?? ''
    this.#attempt = undefined
    this.#state = 'idle'
    const text = error.text === undefined ? [] : [el('text', NS_SASL2, { 'xml:lang': 'en' }, error.text)]
    this.#host.refused(name, error, el('failure', NS_SASL2, {}, el(error.condition, NS_SASL), ...text))
  }
}

/** XEP-0388 §2.4: "Servers MUST disconnect Clients immediately if any other traffic is received." */
export const disturbed = (): StreamError =>
  new StreamError('policy-violation', 'Nothing but the login may be sent while it is under way.')

/** XEP-0198 §5: a session takes the stream over; else <failed/>, with what of a lost one may be told. */
export async function resumed(
  host: LoginHost,
  account: LoggedIn,
  { previd, h }: Resume,
  tell: (resumed: Element, jid: string) => void,
): Promise<Element | undefined> {
  // §6: whatever is wrong with it, it is answered; the client may bind.
  if (h === undefined) return el('failed', NS_SM, {}, el('bad-request', NS_STANZA_ERRORS))
  const result = await host.parts.resume(host.stream, account, previd, h, tell)
  if ('handler' in result) {
    host.handOver(result.handler)
    return undefined
  }
  const attrs: Record<string, string> = result.lost === undefined ? {} : { h: String(countOnWire(result.lost)) }
  return el('failed', NS_SM, attrs, el('item-not-found', NS_STANZA_ERRORS))
}

const base64Element = (name: string, bytes: Buffer): Element => el(name, NS_SASL2, {}, bytes.toString('base64'))
const tokenElement = ({ token, expiresAt }: GivenToken): Element =>
  el('token', NS_FAST, { token, expiry: formatDateTime(new Date(expiresAt)) })
