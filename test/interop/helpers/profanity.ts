import type { Device, Login } from './device.ts'
import { Terminal } from './terminal.ts'

/** Profanity as a person uses it: everything that it knows is what its screen shows. */
export class Profanity implements Device {
  readonly jid: string
  readonly #terminal: Terminal

  constructor(terminal: Terminal, jid: string) {
    this.#terminal = terminal
    this.jid = jid
  }

  async adds(contact: string): Promise<void> {
    // It says nothing where the contact came into the roster by a request of its own.
    await this.#terminal.types(`/roster add ${contact}`)
    await this.#command(`/sub request ${contact}`, `Sent subscription request to ${contact}`)
  }
  async accepts(contact: string): Promise<void> {
    await this.#console()
    await this.#terminal.shows(contact, '/sub received')
    await this.#command(`/sub allow ${contact}`, `Accepted subscription for ${contact}`)
  }
  async hasFriend(contact: string): Promise<void> {
    await this.#console()
    await this.#terminal.shows(new RegExp(`${contact}.*both`, 'i'), '/roster')
  }
  async sees(contact: string): Promise<void> {
    await this.#console()
    await this.#terminal.shows(inPanel('Online', contact))
  }
  async misses(contact: string): Promise<void> {
    await this.#console()
    await this.#terminal.shows(inPanel('Offline', contact))
  }
  async says(to: string, body: string): Promise<void> {
    await this.#terminal.types(`/msg ${to} ${body}`)
    await this.#terminal.shows(body)
  }
  async hears(from: string, body: string): Promise<void> {
    await this.#terminal.types(`/msg ${from}`)
    await this.#terminal.shows(body)
  }
  /** It shows to nobody what it tells the server. */
  takes(): Promise<void> {
    return Promise.resolve()
  }
  async heard(body: string): Promise<number> {
    return (await this.#terminal.screen()).split(body).length - 1
  }
  /** From now on it shows what the account's other devices say and hear. */
  copies(): Promise<void> {
    return this.#command('/carbons on', /[Cc]arbons/)
  }
  async leaves(): Promise<void> {
    await this.#terminal.types('/quit')
    await this.#terminal.ends()
  }
  stop(): Promise<void> {
    return this.#terminal.close()
  }

  /** Only what comes from now on counts. */
  async #console(): Promise<void> {
    await this.#terminal.types('/win 1')
    await this.#terminal.types('/clear')
  }
  async #command(line: string, shows: string | RegExp): Promise<void> {
    await this.#console()
    await this.#terminal.types(line)
    await this.#terminal.shows(shows)
  }
}

/** The one contact below this heading of the list on the right. */
const inPanel = (heading: string, contact: string): RegExp =>
  new RegExp(`\\b${heading} \\(\\d+\\) *\\n[^\\n]*  ${contact.split('@')[0]} *$`, 'm')

/** Opens it, lets it do something, and closes it when that fails. */
async function opened(work: (terminal: Terminal) => Promise<void>): Promise<Terminal> {
  const terminal = await Terminal.open('profanity')
  try {
    await terminal.shows("Type '/help'")
    await work(terminal)
    return terminal
  } catch (error) {
    await terminal.close()
    throw error
  }
}

/** Registers in one run and logs in in another: once it has registered, it takes every later login for a registration. */
export const profanity: Login<Profanity> = async ({ domain, port }, { user, password, resource, register }) => {
  if (register) {
    const once = await opened(async (terminal) => {
      await terminal.types(`/register ${user} ${domain} port ${port} tls trust`)
      await terminal.shows(/Enter password/)
      await terminal.types(password)
      await terminal.shows(/Confirm password/)
      await terminal.types(password)
      await terminal.shows('Registration successful')
    })
    await once.close()
  }
  const jid = `${user}@${domain}`
  const terminal = await opened(async (t) => {
    await t.types(`/connect ${jid}/${resource} server ${domain} port ${port} tls trust`)
    await t.shows(/Enter password/)
    await t.types(password)
    await t.shows('logged in successfully')
  })
  return new Profanity(terminal, jid)
}
