import { after, test } from 'node:test'
import type { ScramMechanism } from '../../src/account/store.ts'
import type { Login } from './login.ts'
import { type ServerSettings, startTestServers, type TestServer, type TestServers } from './test-server.ts'
import { Transcript } from './transcript.ts'
import { XmppClient } from './xmpp-client.ts'
import { type ConnectionSettings, XmppConnection } from './xmpp-connection.ts'

/** The password of every account of a story. */
export const PASSWORD = 'a password, 123'

export interface ClientOptions extends Partial<Pick<ConnectionSettings, 'directTls' | 'certificate' | 'tls'>> {
  readonly login?: Partial<Login>
  readonly hearsPresence?: boolean
  readonly manualAcks?: boolean
  /** Which server, when it matters; else the next one in turn. */
  readonly server?: number
}

export interface Story {
  /** A device of a person, connected, authenticated and bound. The account is made when it is first named. */
  client(person: string, resource?: string, options?: ClientOptions): Promise<XmppClient>
  /** The same, not connected yet. */
  device(person: string, resource?: string, options?: ClientOptions): Promise<XmppClient>
  /** A bare connection, nothing negotiated. */
  connection(options?: ClientOptions): Promise<XmppConnection>
  /** Bare JID of a person; the account is made when it is first named, with secrets for `only` these mechanisms. */
  account(person: string, only?: readonly ScramMechanism[]): Promise<string>
  /** Bare JID of somebody who has no account. */
  stranger(name: string): string
  readonly domain: string
  readonly servers: readonly TestServer[]
  readonly stores: TestServers['stores']
  /** Lines with codes, and lines of the log, of all servers of the story. */
  readonly codes: readonly string[]
  readonly logged: readonly string[]
}

export interface StoryOptions {
  /** Changes of the test configuration; such a story has servers of its own. */
  readonly config?: ServerSettings
  /** It is about one connection and need not run twice, or about two nodes. */
  readonly servers?: 1 | 2
}

/** Set by the runner: stories are told on one server only. */
const IS_QUICK = process.env.FERNRUF_TEST_QUICK === '1'

const shared = new Map<number, Promise<TestServers>>()
let stories = 0
after(async () => {
  for (const servers of shared.values()) await (await servers).stop()
})

/**
 * A transcript-style test (style.md 6.4). It runs on one server, and again with its clients spread in turn over two servers in
 * one process that share store and bus, unless it has to be quick. Accounts are new for each run.
 */
export function story(name: string, tell: (story: Story) => Promise<void>, options: StoryOptions = {}): void {
  for (const count of options.servers === undefined && !IS_QUICK ? [1, 2] : [options.servers ?? 1]) {
    test(count === 1 ? name : `${name}, on ${count} servers`, { timeout: 60_000 }, async () => {
      const own = options.config !== undefined
      const servers = await (own ? startTestServers(count, options.config) : sharedServers(count))
      try {
        await run(servers, tell)
      } finally {
        if (own) await servers.stop()
      }
    })
  }
}

function sharedServers(count: number): Promise<TestServers> {
  const running = shared.get(count) ?? startTestServers(count)
  shared.set(count, running)
  return running
}

async function run(servers: TestServers, tell: (story: Story) => Promise<void>): Promise<void> {
  const transcript = new Transcript()
  const suffix = `.${process.pid.toString(36)}${(stories++).toString(36)}`
  const clients: XmppClient[] = []
  const connections: XmppConnection[] = []
  const accounts = new Map<string, Promise<unknown>>()
  let turn = 0
  const place = (options: ClientOptions): TestServer => {
    const server = servers.servers[(options.server ?? turn++) % servers.servers.length]
    if (server === undefined) throw new Error('no such server')
    return server
  }
  const settings = (who: string, options: ClientOptions): ConnectionSettings => {
    const server = place(options)
    return {
      port: options.directTls === true ? server.directTlsPort : server.starttlsPort,
      domain: servers.domain,
      log: transcript.of(who),
      ...(options.directTls === undefined ? {} : { directTls: options.directTls }),
      ...(options.certificate === undefined ? {} : { certificate: options.certificate }),
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    }
  }
  const account: Story['account'] = async (person, only) => {
    const local = person + suffix
    const made = accounts.get(local) ?? servers.addAccount(local, PASSWORD, only)
    accounts.set(local, made)
    await made
    return `${local}@${servers.domain}`
  }
  const device: Story['device'] = async (person, resource, options = {}) => {
    await account(person)
    const client = new XmppClient({
      // The shorter way in; that of STARTTLS has stories of its own.
      ...settings(`${person}/${resource ?? ''}`, { directTls: true, ...options }),
      login: { username: person + suffix, password: PASSWORD, ...options.login },
      resource,
      hearsPresence: options.hearsPresence ?? false,
      manualAcks: options.manualAcks ?? false,
      others: () => clients,
    })
    clients.push(client)
    return client
  }
  try {
    await tell({
      device,
      client: async (person, resource, options) => {
        const client = await device(person, resource, options)
        await client.connects()
        return client
      },
      connection: async (options = {}) => {
        const connection = await XmppConnection.open(settings(`connection ${connections.length + 1}`, options))
        connections.push(connection)
        return connection
      },
      account,
      stranger: (name) => `${name}${suffix}@${servers.domain}`,
      domain: servers.domain,
      servers: servers.servers,
      stores: servers.stores,
      codes: servers.codes,
      logged: servers.logged,
    })
  } catch (error) {
    throw withTranscript(error, transcript)
  } finally {
    for (const client of clients) if (client.online) client.drops()
    for (const connection of connections) connection.destroy()
  }
}

/** The same error, with everything that went over the wire below its message. */
function withTranscript(error: unknown, transcript: Transcript): unknown {
  if (!(error instanceof Error)) return error
  const text = `${error.message}\n\n${transcript.toString()}\n`
  const told = new Error(text, { cause: error.cause })
  told.stack = `${text}${(error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n')}`
  return told
}

const NS_STANZA_ERRORS = 'urn:ietf:params:xml:ns:xmpp-stanzas'
/** An error stanza as a test expects it: condition and type; text and echoed payload are left open. */
export function bounce(
  kind: 'message' | 'presence' | 'iq',
  attrs: Readonly<Record<string, string>>,
  type: string,
  condition: string,
): string {
  const written = Object.entries(attrs).map(([k, v]) => ` ${k}='${v}'`)
  return `<${kind} type='error'${written.join('')}>{...}<error type='${type}'>{...}<${condition} xmlns='${NS_STANZA_ERRORS}'/></error></${kind}>`
}
