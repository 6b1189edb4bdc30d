import { createHmac } from 'node:crypto'
import type { Element } from '../../src/xmpp/element.ts'
import { LoginRefused } from './login.ts'
import { ScramClient } from './scram.ts'
import type { XmppConnection } from './xmpp-connection.ts'

export const NS_SASL2 = 'urn:xmpp:sasl:2'
export const NS_BIND2 = 'urn:xmpp:bind:0'
export const NS_FAST = 'urn:xmpp:fast:0'

const base64 = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString('base64')

/** One <authenticate/> (XEP-0388). */
export interface Login2 {
  readonly mechanism?: string
  readonly username: string
  /** Of an HT mechanism: the token. */
  readonly password: string
  readonly authzid?: string
  /** UUID of the user-agent. */
  readonly agent?: string
  /** What else <authenticate/> holds. */
  readonly inline?: string
  /** Overrides the channel binding's bytes, to lie. */
  readonly bindingData?: Uint8Array
}

export const elements = (e: Element): Element[] => e.children.filter((c): c is Element => typeof c !== 'string')
/** The first child of that name. @throws Error when there is none */
export function the(e: Element, name: string): Element {
  const found = elements(e).find((c) => c.name === name)
  if (found === undefined) throw new Error(`<${e.name}/> has no <${name}/>`)
  return found
}
export const has = (e: Element, name: string): boolean => elements(e).some((c) => c.name === name)
export const text = (e: Element): string => e.children.join('')

export const agentElement = (id: string, names = ''): string => `<user-agent id='${id}'>${names}</user-agent>`
export function authenticateElement(mechanism: string, initial: string | Uint8Array | undefined, rest = ''): string {
  const response = initial === undefined ? '' : `<initial-response>${base64(initial)}</initial-response>`
  return `<authenticate xmlns='${NS_SASL2}' mechanism='${mechanism}'>${response}${rest}</authenticate>`
}

/** What a token is bound to on this connection. */
export function tokenBinding(c: XmppConnection, mechanism: string): Uint8Array {
  if (mechanism.endsWith('-EXPR')) return c.channelBinding('tls-exporter')
  if (mechanism.endsWith('-ENDP')) return c.channelBinding('tls-server-end-point')
  // RFC 5929 §3.1: the client's Finished message is the first of a full handshake.
  if (mechanism.endsWith('-UNIQ')) return c.tls?.getFinished() ?? Buffer.alloc(0)
  return Buffer.alloc(0)
}
/** The one message of the HT mechanisms (draft-schmaus-kitten-sasl-ht). */
export function tokenMessage(username: string, token: string, binding: Uint8Array): Buffer {
  const proof = createHmac('sha256', token).update('Initiator').update(binding).digest()
  return Buffer.concat([Buffer.from(`${username}\0`), proof])
}

/** The whole <authenticate/> of a login by token, for clients that know beforehand what the server offers. */
export function tokenLogin(c: XmppConnection, login: Login2): string {
  const mechanism = login.mechanism ?? 'HT-SHA-256-NONE'
  const binding = login.bindingData ?? tokenBinding(c, mechanism)
  return authenticateElement(mechanism, tokenMessage(login.username, login.password, binding), inlineOf(login))
}
const inlineOf = ({ agent, inline }: Login2): string =>
  `${agent === undefined ? '' : agentElement(agent)}${inline ?? ''}`

/**
 * One SASL2 exchange on a stream that has got its features. @returns <success/> or <continue/>, whose server's part was
 * verified @throws LoginRefused
 */
export async function authenticate2(c: XmppConnection, login: Login2): Promise<Element> {
  const mechanism = login.mechanism ?? 'SCRAM-SHA-256'
  const inline = inlineOf(login)
  if (mechanism.startsWith('HT-')) {
    c.write(tokenLogin(c, login))
    const success = await answered(c)
    const binding = login.bindingData ?? tokenBinding(c, mechanism)
    const expected = createHmac('sha256', login.password).update('Responder').update(binding).digest('base64')
    if (text(the(success, 'additional-data')) !== expected) throw new Error('the server does not know the token')
    return success
  }
  if (mechanism === 'PLAIN' || mechanism === 'EXTERNAL') {
    const plain = `${login.authzid ?? ''}\0${login.username}\0${login.password}`
    c.write(authenticateElement(mechanism, mechanism === 'PLAIN' ? plain : (login.authzid ?? ''), inline))
    return answered(c)
  }
  const plus = mechanism.endsWith('-PLUS')
  const scram = new ScramClient({
    mechanism,
    username: login.username,
    password: login.password,
    channelBinding: plus ? 'p=tls-exporter' : 'n',
    ...(login.authzid === undefined ? {} : { authzid: login.authzid }),
    ...(plus ? { bindingData: c.channelBinding('tls-exporter') } : {}),
  })
  c.write(authenticateElement(mechanism, scram.first(), inline))
  const challenge = await c.element()
  if (challenge.name !== 'challenge' || challenge.ns !== NS_SASL2) throw new LoginRefused(challenge)
  const final = scram.final(Buffer.from(text(challenge), 'base64').toString())
  c.write(`<response xmlns='${NS_SASL2}'>${base64(final)}</response>`)
  const success = await answered(c)
  scram.verify(Buffer.from(text(the(success, 'additional-data')), 'base64').toString())
  return success
}

/** @returns <success/> or <continue/> @throws LoginRefused */
export async function answered(c: XmppConnection): Promise<Element> {
  const answer = await c.element()
  if (answer.ns !== NS_SASL2 || (answer.name !== 'success' && answer.name !== 'continue'))
    throw new LoginRefused(answer)
  return answer
}

/** Header with `from`, features. @returns the features */
export async function openFrom(c: XmppConnection, from: string | undefined): Promise<Element> {
  if (c.settings.directTls !== true) await c.startTls()
  await c.openStream(from === undefined ? {} : { from })
  return c.features()
}
