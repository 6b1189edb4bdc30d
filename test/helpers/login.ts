import type { Element } from '../../src/xmpp/element.ts'
import { write } from './match-element.ts'
import { ScramClient } from './scram.ts'
import type { XmppConnection } from './xmpp-connection.ts'

export const NS_SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
export const NS_BIND = 'urn:ietf:params:xml:ns:xmpp-bind'
export const NS_SM = 'urn:xmpp:sm:3'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

export interface Login {
  readonly mechanism?: string
  readonly username: string
  readonly password: string
  readonly authzid?: string
  /** Type for a `-PLUS` mechanism. */
  readonly channelBinding?: 'tls-exporter' | 'tls-server-end-point'
  /** Overrides the GS2 flag, to lie: `n`, `y`, `p=…`. */
  readonly gs2?: string
  /** Overrides the binding's bytes, to lie. */
  readonly bindingData?: Uint8Array
}

/** A server's refusal of one login (RFC 6120 §6.5). */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused'
  readonly condition: string
  constructor(failure: Element) {
    super(write(failure))
    this.condition =
      failure.children.find((c): c is Element => typeof c !== 'string' && c.name !== 'text')?.name ?? 'none'
  }
}

/** Mechanisms in stream features, in the order offered. */
export function mechanismsOf(features: Element): string[] {
  const list = features.children.find(
    (c): c is Element => typeof c !== 'string' && c.name === 'mechanisms' && c.ns === NS_SASL,
  )
  return (list?.children ?? []).filter((c): c is Element => typeof c !== 'string').map((c) => c.children.join(''))
}

/** One SASL exchange on a stream that has got its features; no restart. @throws LoginRefused */
export async function authenticate(connection: XmppConnection, login: Login): Promise<void> {
  const mechanism = login.mechanism ?? 'SCRAM-SHA-1'
  if (mechanism === 'PLAIN') {
    connection.write(auth('PLAIN', base64(`${login.authzid ?? ''}\0${login.username}\0${login.password}`)))
    await success(connection)
    return
  }
  if (mechanism === 'EXTERNAL') {
    connection.write(auth('EXTERNAL', login.authzid === undefined ? '=' : base64(login.authzid)))
    await success(connection)
    return
  }
  const plus = mechanism.endsWith('-PLUS')
  const type = login.channelBinding ?? 'tls-exporter'
  const scram = new ScramClient({
    mechanism,
    username: login.username,
    password: login.password,
    ...(login.authzid === undefined ? {} : { authzid: login.authzid }),
    channelBinding: login.gs2 ?? (plus ? `p=${type}` : 'n'),
    ...(plus || login.bindingData !== undefined
      ? { bindingData: login.bindingData ?? connection.channelBinding(type) }
      : {}),
  })
  connection.write(auth(mechanism, base64(scram.first())))
  const challenge = await connection.element()
  if (challenge.name !== 'challenge') throw new LoginRefused(challenge)
  const final = scram.final(Buffer.from(challenge.children.join(''), 'base64').toString())
  connection.write(`<response xmlns='${NS_SASL}'>${base64(final)}</response>`)
  scram.verify(Buffer.from(await success(connection), 'base64').toString())
}

export const auth = (mechanism: string, initial: string): string =>
  `<auth xmlns='${NS_SASL}' mechanism='${mechanism}'>${initial}</auth>`

/** @returns the text of <success/> @throws LoginRefused */
export async function success(connection: XmppConnection): Promise<string> {
  const answer = await connection.element()
  if (answer.name !== 'success' || answer.ns !== NS_SASL) throw new LoginRefused(answer)
  return answer.children.join('')
}

/** From a fresh connection to a stream that shows its mechanisms. @returns the features */
export async function secureStream(connection: XmppConnection): Promise<Element> {
  if (connection.settings.directTls !== true) await connection.startTls()
  await connection.openStream()
  return connection.features()
}

/** From a fresh connection to an authenticated stream. @returns the features after authentication @throws LoginRefused */
export async function logIn(connection: XmppConnection, login: Login): Promise<Element> {
  await secureStream(connection)
  await authenticate(connection, login)
  await connection.openStream()
  return connection.features()
}

/** @returns the full JID that the server bound @throws Error when it refuses */
export async function bind(connection: XmppConnection, resource: string | undefined): Promise<string> {
  const wish = resource === undefined ? '' : `<resource>${resource}</resource>`
  connection.write(`<iq type='set' id='bind'><bind xmlns='${NS_BIND}'>${wish}</bind></iq>`)
  const answer = await connection.element()
  const bound = answer.children.find((c): c is Element => typeof c !== 'string' && c.ns === NS_BIND)
  const jid = bound?.children.find((c): c is Element => typeof c !== 'string' && c.name === 'jid')
  if (answer.attrs.type !== 'result' || jid === undefined) throw new Error(`bind was refused: ${write(answer)}`)
  return jid.children.join('')
}
