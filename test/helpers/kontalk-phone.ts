import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import type { Element } from '../../src/xmpp/element.ts'
import { type BridgeOptions, bridgeCertificate, keyPem, type PhoneKey, phoneKey, toPem } from './bridge-certificate.ts'
import { auth, bind, secureStream } from './login.ts'
import { write } from './match-element.ts'
import type { Story } from './story.ts'
import type { TestServers } from './test-server.ts'
import type { XmppClient } from './xmpp-client.ts'
import { type ConnectionSettings, XmppConnection } from './xmpp-connection.ts'

const NS_REGISTER = 'jabber:iq:register'
const NS_COMMANDS = 'http://jabber.org/protocol/commands'
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

/** People of stories about numbers. */
export const NUMBERS = { romeo: '+4915123456789', juliet: '+4915123456780', nobody: '+4915123456781' } as const
export type Person = keyof typeof NUMBERS

/** A number with the key that was registered for it. */
export interface Phone {
  readonly jid: string
  /** With our certification. */
  readonly key: PhoneKey
  device(resource: string, server?: number): Promise<XmppClient>
}
const addressOf = (phone: string, domain: string): string =>
  `${createHash('sha1').update(phone).digest('hex')}@${domain}`
export const jidOf = (tell: Story, person: Person): string => addressOf(NUMBERS[person], tell.domain)
const DAY_MS = 86_400_000
export const keyFor = (jid: string, lifetime = 0): Promise<PhoneKey> =>
  phoneKey(jid, { date: new Date(Date.now() - DAY_MS), lifetime })
export const settingsOf = (tell: Story, server = 0) => ({
  port: (tell.servers[server] ?? tell.servers[0])?.directTlsPort ?? 0,
  domain: tell.domain,
  directTls: true,
})
export const phoneOf = (tell: Story, person: Person, key: PhoneKey): Phone => ({
  jid: jidOf(tell, person),
  key,
  device: (resource, server) =>
    tell.client(person, resource, {
      ...shown(key),
      login: { mechanism: 'EXTERNAL' },
      hearsPresence: true,
      ...(server === undefined ? {} : { server }),
    }),
})
/** Registers a number with a key, as Kontalk's app does. */
export async function phone(tell: Story, person: Person): Promise<Phone> {
  const made = await keyFor(jidOf(tell, person))
  const ring = await registersKey(tell, settingsOf(tell), NUMBERS[person], made)
  return phoneOf(tell, person, { ...made, ring })
}

/** Says by the command of a client whether anybody may fetch the account's key. */
export async function publishes(client: XmppClient, isPublished: boolean): Promise<void> {
  const command = (inner: string) => `<command xmlns='${NS_COMMANDS}' node='key-publication'${inner}</command>`
  const offered = write(await client.asks('set', command('>')))
  const session = /sessionid='([^']*)'/.exec(offered)?.[1] ?? ''
  assert.match(offered, /type='boolean' var='published'/)
  const form = `<x xmlns='jabber:x:data' type='submit'><field var='published'><value>${isPublished ? 'true' : 'false'}</value></field></x>`
  const done = write(await client.asks('set', command(` sessionid='${session}' action='complete'>${form}`)))
  assert.match(done, /status='completed'/)
}

/** People with a number and a key each, on servers of a file's own, where no story is told. */
export class People {
  readonly #servers: TestServers
  readonly #opened: XmppConnection[] = []
  #numbers = 0

  constructor(servers: TestServers) {
    this.#servers = servers
  }
  /** How to reach one of the servers. */
  settings(server = 0): ConnectionSettings {
    const { servers, domain } = this.#servers
    return { port: servers[server]?.starttlsPort ?? 0, domain }
  }
  /** `lifetime`: of the key, in seconds; 0: for ever. */
  async registers(lifetime = 0): Promise<Pick<Phone, 'jid' | 'key'>> {
    const number = `+49151${String(24_000_000 + this.#numbers++)}`
    const jid = addressOf(number, this.#servers.domain)
    const made = await keyFor(jid, lifetime)
    return { jid, key: { ...made, ring: await registersKey(this.#servers, this.settings(), number, made) } }
  }
  /** @returns a connection that is logged in by the key, with nothing bound yet, or the refusal */
  async logsIn(key: PhoneKey, server = 0): Promise<XmppConnection | string> {
    const c = await XmppConnection.open({ ...this.settings(server), ...shown(key) })
    this.#opened.push(c)
    await secureStream(c)
    c.write(auth('EXTERNAL', '='))
    const answer = await c.element()
    if (answer.name !== 'success') return write(answer)
    await c.openStream()
    await c.features()
    return c
  }
  /** A device, bound. @throws Error with the refusal */
  async device(key: PhoneKey, server = 0, resource = 'phone'): Promise<XmppConnection> {
    const c = await this.logsIn(key, server)
    if (typeof c === 'string') throw new Error(c)
    await bind(c, resource)
    return c
  }
  leave(): void {
    for (const c of this.#opened) c.destroy()
  }
}
