import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Cut, Device, DeviceSettings } from './fault-device.ts'

const WINDOW = 4
const COME_MS = 15_000

/** What a program is told, one JSON object per line; `name` says which of its clients. */
export type ForeignOrder =
  | {
      readonly do: 'come'
      readonly name: string
      readonly user: string
      readonly password: string
      readonly resource: string
      readonly domain: string
      readonly port: number
    }
  | { readonly do: 'cut' | 'leave'; readonly name: string }
  | { readonly do: 'say'; readonly name: string; readonly to: string; readonly id: string }
/** What it tells. */
export type ForeignEvent =
  | { readonly is: 'online'; readonly name: string; readonly resumed: boolean }
  | { readonly is: 'offline'; readonly name: string; readonly why: string }
  | {
      readonly is: 'message'
      readonly name: string
      readonly id: string
      readonly logId: string | null
      readonly delayed: boolean
    }
  | { readonly is: 'error'; readonly name: string; readonly id: string; readonly text: string }
  /** The server has acknowledged it. `unsent`: it never left. */
  | { readonly is: 'acknowledged' | 'unsent'; readonly name: string; readonly id: string }

/** A program has ended of itself. */
interface Crashed {
  readonly is: 'crashed'
  readonly text: string
}

/** A program with clients that nobody here wrote. */
export class ForeignProgram {
  readonly #child: ChildProcess
  readonly #devices = new Map<string, (event: ForeignEvent | Crashed) => void>()
  readonly #gone: Promise<void>
  #errors = ''
  #isStopped = false

  constructor(command: readonly string[]) {
    const [file = '', ...args] = command
    // The development certificate signs itself.
    const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' }
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#gone = new Promise((done) => this.#child.once('close', () => done()))
    void this.#gone.then(() => {
      if (this.#isStopped) return
      for (const hears of this.#devices.values()) hears({ is: 'crashed', text: this.#errors })
    })
    this.#child.stdin?.on('error', () => {})
    this.#child.stderr?.on('data', (text) => {
      this.#errors = (this.#errors + String(text)).slice(-4000)
    })
    if (this.#child.stdout !== null)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        const event = JSON.parse(line) as ForeignEvent
        this.#devices.get(event.name)?.(event)
      })
  }
  /** What it has complained of. */
  get errors(): string {
    return this.#errors
  }
  device(name: string, hears: (event: ForeignEvent | Crashed) => void): void {
    this.#devices.set(name, hears)
  }
  order(order: ForeignOrder): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
  }
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#child.kill('SIGKILL')
    await this.#gone
  }
}

/** One client of such a program. */
export class ForeignDevice implements Device {
  readonly name: string
  readonly account: string
  readonly #settings: DeviceSettings
  readonly #program: ForeignProgram
  readonly #sends: boolean
  #isOnline = false
  /** Its connection ends by our will. */
  #isCut = false
  #isLeaving = false
  #stream: object = {}
  #unacknowledged: { readonly id: string; readonly to: string }[] = []
  readonly #waiting = new Set<() => void>()

  /** `sends`: it can be trusted with messages of its own. */
  constructor(settings: DeviceSettings, program: ForeignProgram, sends: boolean) {
    this.account = settings.account
    this.name = `${settings.account}-${settings.number}`
    this.#settings = settings
    this.#program = program
    this.#sends = sends
    program.device(this.name, (event) => this.#hears(event))
  }
  get isOnline(): boolean {
    return this.#isOnline
  }
  get isSettled(): boolean {
    return this.#unacknowledged.length === 0
  }

  async comes(): Promise<void> {
    const { account: user, number, password, connection } = this.#settings
    const { domain, port } = connection
    this.#isLeaving = false
    const answered = this.#answer()
    this.#program.order({ do: 'come', name: this.name, user, password, resource: `d${number}`, domain, port })
    await answered
  }
  cuts(_how: Cut): void {
    if (this.#isCut) return
    this.#isCut = true
    this.#program.order({ do: 'cut', name: this.name })
  }
  async leaves(): Promise<void> {
    if (!this.#isOnline || this.#isCut) return
    this.#isLeaving = true
    const answered = this.#answer()
    this.#program.order({ do: 'leave', name: this.name })
    await answered
  }
  /** Settles with the next `online` or `offline`, or when neither comes. */
  #answer(): Promise<void> {
    return new Promise((resolve) => {
      const answered = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(answered)
        resolve()
      }
      const timer = setTimeout(answered, COME_MS)
      // It may be told to leave while it comes again, so more than one may wait.
      this.#waiting.add(answered)
    })
  }
  #answers(): void {
    for (const answered of [...this.#waiting]) answered()
  }
  fills(): void {
    if (!this.#sends || !this.#isOnline || this.#isCut || this.#isLeaving) return
    while (this.#unacknowledged.length < WINDOW) {
      const to = this.#settings.next(this.account)
      if (to === undefined) return
      this.#says(to)
    }
  }
  #says(to: string): void {
    const id = this.#settings.ledger.sends(this.name, to)
    this.#unacknowledged.push({ id, to })
    this.#program.order({ do: 'say', name: this.name, to: `${to}@${this.#settings.connection.domain}`, id })
  }
  #hears(event: ForeignEvent | Crashed): void {
    const { ledger, changed } = this.#settings
    switch (event.is) {
      case 'online': {
        this.#isOnline = true
        if (event.resumed) ledger.resumed++
        else {
          this.#stream = {}
          const again = this.#unacknowledged
          this.#unacknowledged = []
          for (const { to } of again) this.#says(to)
        }
        this.#answers()
        changed()
        this.fills()
        break
      }
      case 'offline':
        // What ended is not what is being waited for, unless that is the end, or could not begin.
        if (!this.#isOnline || this.#isLeaving) this.#answers()
        if (!this.#isCut && !this.#isLeaving && !this.#settings.isDisturbed())
          ledger.faults.push(`${this.name} was disconnected: ${event.why}; ${this.#program.errors}`)
        this.#isOnline = false
        this.#isCut = false
        changed()
        break
      case 'message':
        ledger.arrives(this.name, this.#stream, event.id, event.logId ?? undefined, event.delayed)
        break
      case 'crashed':
        ledger.faults.push(`the program of ${this.name} ended: ${event.text}`)
        ledger.happened()
        break
      case 'error':
        ledger.faults.push(`${this.name} was refused ${event.id}: ${event.text}`)
        ledger.happened()
        break
      case 'acknowledged':
      case 'unsent':
        this.#unacknowledged = this.#unacknowledged.filter(({ id }) => id !== event.id)
        if (event.is === 'acknowledged') ledger.acknowledges(event.id)
        else ledger.happened()
        this.fills()
        break
    }
  }
}
