import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Credentials, Login, ProgrammedDevice } from './device.ts'
import type { InteropServer } from './interop-server.ts'
import type { Event, Order, Remembered } from './orders.ts'

const LIMIT_MS = 15_000
const LEAVE_MS = 5_000

type EventOf<Is extends Event['is']> = Event & { readonly is: Is }

/** A client in a process of its own, which obeys orders and tells events. */
export class Program {
  readonly #child: ChildProcess
  readonly #gone: Promise<void>
  readonly #events: Event[] = []
  readonly #errors: string[] = []
  readonly #waiting = new Set<() => void>()
  #hasEnded = false

  constructor(command: readonly string[]) {
    const [file = '', ...args] = command
    // The development certificate signs itself.
    const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' }
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#gone = new Promise((done) => {
      const end = (): void => {
        this.#hasEnded = true
        this.#wake()
        done()
      }
      this.#child.once('close', end)
      this.#child.once('error', (error) => {
        this.#errors.push(error.message)
        end()
      })
    })
    this.#child.stdin?.on('error', (error) => this.#errors.push(error.message))
    if (this.#child.stdout !== null)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.#events.push(JSON.parse(line) as Event)
        this.#wake()
      })
    this.#child.stderr?.on('data', (text) => this.#errors.push(String(text)))
  }

  get events(): readonly Event[] {
    return this.#events
  }
  order(order: Order): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
  }
  /** The first event so far, or to come, that fits. @throws Error with all that it told when none comes */
  event<Is extends Event['is']>(is: Is, fits: (event: EventOf<Is>) => boolean = () => true): Promise<EventOf<Is>> {
    const look = (): EventOf<Is> | undefined =>
      this.#events.find((event): event is EventOf<Is> => event.is === is && fits(event as EventOf<Is>))
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(again)
      }
      const fail = (why: string): void => {
        end()
        const told = this.#events.map((event) => JSON.stringify(event))
        reject(new Error([`${is}: ${why}`, ...told, this.#errors.join('')].join('\n')))
      }
      const again = (): void => {
        const found = look()
        if (found !== undefined) {
          end()
          resolve(found)
        } else if (this.#hasEnded) fail('the program ended')
      }
      const timer = setTimeout(() => fail('did not come in time'), LIMIT_MS)
      this.#waiting.add(again)
      again()
    })
  }
  /** Lets it end by itself, but not for ever. */
  async leave(): Promise<void> {
    this.order({ do: 'leave' })
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), LEAVE_MS)
    await this.#gone
    clearTimeout(timer)
    if (this.#child.signalCode !== null) throw new Error(`it did not log out\n${this.#errors.join('')}`)
  }
  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#gone
  }

  #wake(): void {
    for (const again of [...this.#waiting]) again()
  }
}

const bare = (jid: string): string => jid.split('/')[0] ?? ''

/** A device that a program of ours drives. */
class ProgramDevice implements ProgrammedDevice {
  readonly jid: string
  readonly address: string
  readonly #program: Program

  constructor(program: Program, address: string) {
    this.#program = program
    this.address = address
    this.jid = bare(address)
  }

  async adds(contact: string): Promise<void> {
    this.#program.order({ do: 'add', jid: contact })
    await this.#program.event('contact', ({ jid }) => jid === contact)
  }
  async accepts(contact: string): Promise<void> {
    await this.#program.event('request', ({ from }) => bare(from) === contact)
    this.#program.order({ do: 'accept', jid: contact })
  }
  async hasFriend(contact: string): Promise<void> {
    await this.#program.event('contact', ({ jid, subscription }) => jid === contact && subscription === 'both')
  }
  async sees(contact: string): Promise<void> {
    await this.#program.event('presence', ({ from, available }) => bare(from) === contact && available)
  }
  async misses(contact: string): Promise<void> {
    await this.#program.event('presence', ({ from, available }) => bare(from) === contact && !available)
  }
  says(to: string, body: string): Promise<void> {
    this.#program.order({ do: 'say', to, body })
    return Promise.resolve()
  }
  async hears(from: string, body: string): Promise<void> {
    await this.#program.event('message', (message) => bare(message.from) === from && message.body === body)
  }
  async takes(): Promise<void> {
    const { events } = this.#program
    const last = events.findLastIndex(({ is }) => is === 'message')
    await this.#program.event('acknowledged', (event) => events.indexOf(event) > last)
  }
  heard(body: string): Promise<number> {
    return Promise.resolve(this.#program.events.filter((event) => event.is === 'message' && event.body === body).length)
  }
  async copies(): Promise<void> {
    this.#program.order({ do: 'copies' })
    await this.#program.event('copying')
  }
  async overhears(direction: 'sent' | 'received', from: string, body: string): Promise<void> {
    await this.#program.event(
      'copy',
      (copy) => copy.direction === direction && bare(copy.from) === from && copy.body === body,
    )
  }
  overheard(body: string): number {
    return this.#program.events.filter((event) => event.is === 'copy' && event.body === body).length
  }
  async remembers(contact: string): Promise<readonly Remembered[]> {
    this.#program.order({ do: 'history', with: contact })
    return (await this.#next('history')).messages
  }
  async uploads(file: { readonly name: string; readonly type: string; readonly body: string }): Promise<string> {
    this.#program.order({ do: 'upload', ...file })
    return (await this.#next('uploaded')).url
  }
  async isCut(): Promise<void> {
    this.#program.order({ do: 'cut' })
    await this.#next('cut')
  }
  async returns(): Promise<void> {
    const { events } = this.#program
    const cut = events.findLastIndex(({ is }) => is === 'cut')
    await this.#program.event('resumed', (event) => events.indexOf(event) > cut)
  }
  leaves(): Promise<void> {
    return this.#program.leave()
  }
  stop(): Promise<void> {
    return this.#program.stop()
  }
  #next<Is extends Event['is']>(is: Is): Promise<EventOf<Is>> {
    const { events } = this.#program
    const before = events.length
    return this.#program.event(is, (event) => events.indexOf(event) >= before)
  }
}

const loginBy =
  (start: () => Program): Login<ProgrammedDevice> =>
  async (server: InteropServer, credentials: Credentials) => {
    const program = start()
    const { port, tlsPort, domain } = server
    program.order({ do: 'login', port, tlsPort, domain, ...credentials })
    try {
      if (credentials.register) await program.event('registered')
      const { jid } = await program.event('online')
      // Its own presence comes back when the server knows it (RFC 6121 section 4.2.2).
      await program.event('presence', ({ from, available }) => from === jid && available)
      return new ProgramDevice(program, jid)
    } catch (error) {
      await program.stop()
      throw error
    }
  }

export const startStanza = (): Program =>
  new Program([process.execPath, fileURLToPath(new URL('./run-stanza.ts', import.meta.url))])
export const startSlixmpp = (): Program =>
  new Program(['/usr/bin/python3', fileURLToPath(new URL('./run-slixmpp.py', import.meta.url))])
export const startXmppJs = (): Program =>
  new Program([process.execPath, fileURLToPath(new URL('./run-xmpp-js.ts', import.meta.url))])

export const xmppJs = loginBy(startXmppJs)
export const stanza = loginBy(startStanza)
export const slixmpp = loginBy(startSlixmpp)
