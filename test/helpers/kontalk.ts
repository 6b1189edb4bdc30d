import type { ConnectionOptions } from 'node:tls'
import type { Element } from '../../src/xmpp/element.ts'
import { type BridgeOptions, bridgeCertificate, keyPem, type PhoneKey, toPem } from './bridge-certificate.ts'
import { secureStream } from './login.ts'
import { write } from './match-element.ts'
import type { TestServers } from './test-server.ts'
import { type ConnectionSettings, XmppConnection } from './xmpp-connection.ts'

const NS_REGISTER = 'jabber:iq:register'
export const KONTALK_CODE = 'http://kontalk.org/protocol/register#code'

const many = { hour: 1_000_000, day: 1_000_000 }
/** `limits.registration` for tests that are not about it. */
export const WIDE_BUDGETS = {
  number: many,
  address: many,
  network: many,
  prefix: many,
  country: many,
  total: many,
  tries: many,
  accounts: many,
}

/** A request of registration with a submitted form. */
export function registrationForm(fields: Readonly<Record<string, string>>, id = 'reg'): string {
  const written = Object.entries(fields).map(([name, value]) => `<field var='${name}'><value>${value}</value></field>`)
  return `<iq type='set' id='${id}' to='localhost'><query xmlns='${NS_REGISTER}'><x xmlns='jabber:x:data' type='submit'>${written.join('')}</x></query></iq>`
}

/** What a connection needs to show the bridge certificate of a key. */
export const shown = (
  key: PhoneKey,
  options: BridgeOptions = {},
  tls: ConnectionOptions = {},
): Pick<ConnectionSettings, 'certificate' | 'tls'> => ({
  certificate: { cert: toPem(bridgeCertificate(key, options)), key: keyPem(options.master ?? key.master) },
  // Kontalk signs RSA certificates with SHA-1.
  tls: { ciphers: 'DEFAULT@SECLEVEL=0', ...tls },
})

/** The code in the last line that holds one. */
export function codeIn(lines: readonly string[]): string {
  const code = /the code is (\d+)$/.exec(lines.at(-1) ?? '')?.[1]
  if (code === undefined) throw new Error('no code was sent')
  return code
}

/**
 * Registers a number with a key as Kontalk's app does (kontalk-protocol b.1, b.2, b.4), each step on a connection of its own.
 * @returns the certified transferable public key @throws Error with the server's answer when it refuses a step
 */
export async function registersKey(
  servers: Pick<TestServers, 'codes'>,
  settings: ConnectionSettings,
  phone: string,
  key: PhoneKey,
  certificate: BridgeOptions = {},
  tls: ConnectionOptions = {},
): Promise<Buffer> {
  const described = await step(settings, `<iq type='get' id='reg' to='localhost'><query xmlns='${NS_REGISTER}'/></iq>`)
  if (!write(described).includes(`var='phone'`)) throw new Error(`no field for a number: ${write(described)}`)
  await step(settings, registrationForm({ FORM_TYPE: NS_REGISTER, phone, challenge: 'pin' }))
  const form = registrationForm({ FORM_TYPE: KONTALK_CODE, code: codeIn(servers.codes) })
  const answer = await step({ ...settings, ...shown(key, certificate, tls) }, form)
  const encoded = /var='publickey'[^>]*><value>([^<]+)</.exec(write(answer))?.[1]
  if (encoded === undefined) throw new Error(`no key: ${write(answer)}`)
  return Buffer.from(encoded, 'base64')
}

async function step(settings: ConnectionSettings, request: string): Promise<Element> {
  const c = await XmppConnection.open(settings)
  try {
    await secureStream(c)
    c.write(request)
    const answer = await c.element()
    if (answer.attrs.type !== 'result') throw new Error(write(answer))
    return answer
  } finally {
    c.destroy()
  }
}
