import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connectAdmin } from '../../src/http/admin-client.ts'
import type { Element } from '../../src/xmpp/element.ts'
import { type Cut, type Device, FaultDevice } from './fault-device.ts'
import { FaultLedger, type Known, type Policy } from './fault-ledger.ts'
import { ForeignDevice, ForeignProgram } from './foreign-devices.ts'
import { Random } from './random.ts'
import { type RoughNetwork, roughNetwork } from './rough-network.ts'
import { ServerProcess } from './server-process.ts'
import { XmppClient } from './xmpp-client.ts'

const ACCOUNTS = 50
const DEVICES = 3
const PASSWORD = 'fault password'
const POLICIES: readonly Policy[] = ['first-come', 'every-device', 'exclusive']
/** Devices that are online at a time, while the server lives. */
const ONLINE = 30
const COMING_AT_ONCE = 8
/** Something happens to a device after about so many events. */
const DISTURB_EVERY = 40
const XMPP_JS = 8
const SLIXMPP = 4
const CUTS: readonly Cut[] = ['lost', 'inside a stanza', 'half closed']
const LIFE_MS = 60_000
const LAST_MS = 90_000

export interface Storm {
  readonly databaseUrl: string | undefined
  readonly isArchived: boolean
  /** Devices reach the server through a network that delays, cuts and truncates. */
  readonly isRough: boolean
  readonly kills: number
  /** Acknowledged messages until the storm is over. */
  readonly messages: number
  readonly seed: number
  readonly hasSlixmpp: boolean
  /** Messages in the store while no server runs, above this id: their XML, as it was sent, and id. */
  stored(server: ServerProcess, above: number): Promise<readonly { readonly xml: string; readonly id: number }[]>
}

/**
 * Fifty accounts with three devices each talk to each other by a server that is killed again and again, while devices come, go,
 * lose their connections and resume; then all come back, and what every device and every archive holds is compared with what
 * was acknowledged.
 */
export async function storm(t: TestContext, settings: Storm): Promise<void> {
  const { random, ledger, server, devices, networks, weather } = await prepared(t, settings)
  const { kills: goalKills, messages, seed } = settings
  const told = `seed ${seed}`
  let kills = 0
  let highest = 0
  const look = async (): Promise<void> => {
    for (const { xml, id } of await settings.stored(server, highest)) {
      highest = Math.max(highest, id)
      const sent = /^<message[^>]* id=['"]([^'"]+)['"]/.exec(xml)?.[1]
      if (sent !== undefined) ledger.isStored(sent, String(id))
    }
    assert.deepEqual(ledger.faults.slice(0, 10), [], `${told}, after ${kills} kills`)
  }

  // Every device is known before anything is lost.
  weather.sends = false
  await inTurns(devices, comesSurely)
  const [first] = devices
  weather.wanted = [...weather.accounts.keys()].filter((account) => account !== first?.account)
  while (weather.wanted.length > 0) {
    first?.fills()
    await ledger.until(
      () => first?.isSettled === true,
      LIFE_MS,
      () => 'the first messages',
    )
  }
  await ledger.until(
    () => ledger.isWhole,
    LIFE_MS,
    () => [...ledger.missing(), ...ledger.faults].slice(0, 20).join('\n'),
  )
  await allLeave(devices, ledger)
  await server.end('SIGTERM')
  await look()

  const crowd = new Crowd(devices, random, ledger)
  weather.sends = true
  weather.isCalm = false
  for (const network of networks) network.rough(true)
  while (kills < goalKills || ledger.acknowledged < messages) {
    if (kills > goalKills * 3) throw new Error(`only ${ledger.acknowledged} messages after ${kills} kills`)
    // One start in ten is killed while it is under way.
    if (kills > 0 && random.chance(0.1)) {
      const starting = server.start().catch(() => undefined)
      await moment(random.between(0, 400))
      await server.end('SIGKILL')
      await starting
      kills++
    }
    await server.start()
    weather.isKilled = false
    const share = Math.ceil(Math.max(messages - ledger.acknowledged, 1) / Math.max(1, goalKills - kills))
    const goal = ledger.acknowledged + random.between(0, share * 2)
    crowd.begins()
    const faults = ledger.faults.length
    await ledger.until(
      () => ledger.acknowledged >= goal || ledger.faults.length > faults,
      LIFE_MS,
      () => `life ${kills}: ${ledger.acknowledged} of ${goal} acknowledged\n${server.output.slice(-2000)}`,
    )
    // Not always right after an acknowledgement.
    await moment(random.between(0, 15))
    weather.isKilled = true
    crowd.ends()
    await server.end('SIGKILL')
    kills++
    await crowd.gone()
    await look()
  }

  for (const network of networks) network.rough(false)
  await server.start()
  weather.isKilled = false
  weather.isCalm = true
  // The last messages are sent while the devices read what they have missed: nothing follows them that would show a gap.
  weather.sends = false
  weather.wanted = [...weather.accounts.keys()]
  await inTurns(devices, comesSurely)
  await ledger.until(
    () => weather.wanted.length === 0 && devices.every((device) => device.isSettled) && ledger.isWhole,
    LAST_MS,
    () => {
      const unsettled = devices.filter((device) => !device.isSettled).map((device) => device.name)
      return `the end: seed ${seed}, not settled ${unsettled.join(' ')}, missing\n${[...ledger.missing()].slice(0, 10).join('\n')}\n${ledger.faults.slice(0, 10).join('\n')}`
    },
  )
  await allLeave(devices, ledger)
  if (settings.isArchived)
    await inTurns([...weather.accounts.keys()], (account) => readArchive(server, account, ledger))
  await server.end('SIGTERM')
  await look()
  const cuts = networks.reduce((sum, network) => sum + network.cuts, 0)
  t.diagnostic(
    `${told}: ${kills} kills, ${ledger.acknowledged} messages acknowledged, ${ledger.sent} sent, ` +
      `${ledger.resumed} streams resumed, ${ledger.lostStreams} not, ${crowd.disturbed} disturbances, ${cuts} cuts of the network, ` +
      `${ledger.uncovered} sent again because no h had covered them; lost 0, doubled 0, out of order 0`,
  )
  assert.deepEqual([...ledger.missing()].slice(0, 10), [], `${told}: acknowledged and lost`)
  if (settings.isArchived) assert.deepEqual([...ledger.unarchived()].slice(0, 10), [], `${told}: not in the archives`)
  assert.deepEqual(ledger.faults.slice(0, 10), [], told)
}

/** What devices have to know of what goes on. */
interface Weather {
  readonly accounts: ReadonlyMap<string, Known>
  /** Everybody sends to everybody. */
  sends: boolean
  /** The server is being killed. */
  isKilled: boolean
  isCalm: boolean
  /** Accounts that are still to get one message. */
  wanted: string[]
}

async function prepared(t: TestContext, settings: Storm) {
  const random = new Random(settings.seed)
  const server = await ServerProcess.prepare({ databaseUrl: settings.databaseUrl, config: configOf(settings) })
  t.after(() => server.remove())
  const networks: RoughNetwork[] = []
  const portTo = async (port: number): Promise<number> => {
    if (!settings.isRough) return port
    const network = await roughNetwork(port, random)
    t.after(() => network.close())
    networks.push(network)
    return network.port
  }
  const direct = { port: await portTo(server.directTlsPort), domain: server.domain, directTls: true }
  const starttls = { port: await portTo(server.port), domain: server.domain }
  await server.start()
  const accounts = new Map<string, Known>()
  const admin = await connectAdmin(join(server.folder, 'data'))
  for (let i = 0; i < ACCOUNTS; i++) {
    const account = `p${String(i).padStart(2, '0')}`
    const policy = POLICIES[i % POLICIES.length] as Policy
    accounts.set(account, { policy, devices: Array.from({ length: DEVICES }, (_, n) => `${account}-${n}`) })
    await admin?.addAccount(`${account}@${server.domain}`, PASSWORD)
    if (policy !== 'first-come') await admin?.setDelivery(`${account}@${server.domain}`, policy)
  }
  const ledger = new FaultLedger(accounts)
  const weather: Weather = { accounts, sends: false, isKilled: false, isCalm: true, wanted: [] }
  const names = [...accounts.keys()]
  const next = (from: string): string | undefined => {
    if (weather.wanted.length > 0) {
      const at = weather.wanted.findIndex((name) => name !== from)
      return at < 0 ? undefined : weather.wanted.splice(at, 1)[0]
    }
    if (!weather.sends || weather.isKilled) return undefined
    for (;;) {
      const to = names[random.between(0, names.length - 1)]
      if (to !== from) return to
    }
  }
  const common = {
    password: PASSWORD,
    ledger,
    random,
    next,
    isDisturbed: () => weather.isKilled || (settings.isRough && !weather.isCalm),
    changed: () => ledger.happened(),
  }
  const programs: Record<'xmppJs' | 'slixmpp', ForeignProgram | undefined> = {
    xmppJs: program(t, [process.execPath, fileURLToPath(new URL('./crowd-xmpp-js.ts', import.meta.url))]),
    slixmpp: settings.hasSlixmpp
      ? program(t, ['/usr/bin/python3', fileURLToPath(new URL('./crowd-slixmpp.py', import.meta.url))])
      : undefined,
  }
  const devices = names.flatMap((account, i) =>
    Array.from({ length: DEVICES }, (_, number): Device => {
      const own = { ...common, account, number }
      const which = number === 1 && i < XMPP_JS ? 'xmppJs' : number === 2 && i < SLIXMPP ? 'slixmpp' : undefined
      const foreign = which === undefined ? undefined : programs[which]
      if (foreign === undefined) return new FaultDevice({ ...own, connection: direct })
      // COMPAT(slixmpp 1.8.3): it forgets what is unacknowledged when it asks to resume, so it only receives.
      return new ForeignDevice({ ...own, connection: starttls }, foreign, which === 'xmppJs')
    }),
  )
  return { random, server, ledger, devices, networks, weather }
}
function program(t: TestContext, command: readonly string[]): ForeignProgram {
  const started = new ForeignProgram(command)
  t.after(() => started.stop())
  return started
}
const configOf = ({ isArchived }: Storm) => ({
  // All devices are one address here, and the quota of what may wait is not what is tested.
  limits: {
    inbox: { open_entries: 100_000, open_bytes: '100MiB' },
    connections: { per_address: 10_000, before_login_per_address: 10_000 },
  },
  log: { level: 'warn' },
  ...(isArchived ? {} : { features: { archive: false } }),
})

/** Keeps so many devices online, whatever happens to them, and makes it happen. */
class Crowd {
  readonly #devices: readonly Device[]
  readonly #random: Random
  readonly #ledger: FaultLedger
  readonly #coming = new Map<Device, Promise<void>>()
  #isOpen = false
  #next = 0
  /** Events are handled one after the other. */
  #isTending = false
  disturbed = 0

  constructor(devices: readonly Device[], random: Random, ledger: FaultLedger) {
    this.#devices = devices
    this.#random = random
    this.#ledger = ledger
  }
  begins(): void {
    this.#isOpen = true
    this.#next = this.#ledger.events + DISTURB_EVERY
    // Never settles by itself: it looks at each event.
    this.#ledger
      .until(
        () => this.#tends(),
        LIFE_MS * 2,
        () => 'the crowd',
      )
      .catch(() => {})
  }
  ends(): void {
    this.#isOpen = false
    this.#ledger.happened()
  }
  /** Settles when nobody is online or on the way any more. */
  async gone(): Promise<void> {
    await this.#ledger.until(
      () => this.#coming.size === 0,
      LIFE_MS,
      () => `still on the way: ${[...this.#coming.keys()].map((device) => device.name)}`,
    )
    for (const device of this.#online()) device.cuts('lost')
    await this.#ledger.until(
      () => this.#devices.every((device) => !device.isOnline),
      LIFE_MS,
      () => `still online: ${this.#online().map((device) => device.name)}`,
    )
  }
  #online(): readonly Device[] {
    return this.#devices.filter((device) => device.isOnline)
  }
  #tends(): boolean {
    if (!this.#isOpen) return true
    if (this.#isTending) return false
    this.#isTending = true
    const online = this.#online()
    const isFull = (): boolean => online.length + this.#coming.size >= ONLINE || this.#coming.size >= COMING_AT_ONCE
    for (let tries = 0; !isFull() && tries < ONLINE; tries++) this.#comes(this.#any(this.#devices))
    if (this.#ledger.events >= this.#next && online.length > 0) {
      this.#next = this.#ledger.events + this.#random.between(1, DISTURB_EVERY * 2)
      this.disturbed++
      const device = this.#any(online)
      if (this.#random.chance(0.2)) void device.leaves()
      else {
        device.cuts(this.#any(CUTS))
        // Most come again at once, some while the server believes that they are there.
        if (this.#random.chance(0.7)) this.#comes(device, true)
      }
    }
    this.#isTending = false
    return false
  }
  #comes(device: Device, always = false): void {
    if (this.#coming.has(device) || (device.isOnline && !always)) return
    const coming = device.comes().finally(() => {
      this.#coming.delete(device)
      this.#ledger.happened()
    })
    this.#coming.set(device, coming)
  }
  #any<T>(list: readonly T[]): T {
    return list[this.#random.between(0, list.length - 1)] as T
  }
}

/** On a slow machine a program may have been too impatient. @throws Error when it does not come */
async function comesSurely(device: Device): Promise<void> {
  for (let tries = 0; !device.isOnline; tries++) {
    if (tries === 10) throw new Error(`${device.name} does not come`)
    await device.comes()
  }
}

async function allLeave(devices: readonly Device[], ledger: FaultLedger): Promise<void> {
  for (const device of devices) void device.leaves()
  const online = (): readonly Device[] => devices.filter((device) => device.isOnline)
  await ledger.until(
    () => online().length === 0,
    LIFE_MS,
    () => `did not leave: ${online().map((device) => device.name)}`,
  )
}

/** Does it for each, a few at a time. */
async function inTurns<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...list]
  const worker = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: COMING_AT_ONCE }, worker))
}

/** Reads all of an account's archive by XEP-0313. */
async function readArchive(server: ServerProcess, account: string, ledger: FaultLedger): Promise<void> {
  const client = new XmppClient({
    port: server.directTlsPort,
    domain: server.domain,
    directTls: true,
    login: { username: account, password: PASSWORD },
    resource: undefined,
  })
  await client.connects()
  let after = ''
  for (let page = 0; ; page++) {
    await client.sends(
      `<iq type='set' id='page-${page}'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>250</max>${after}</set></query></iq>`,
    )
    let last: string | undefined
    let stanza = await client.receivesAny()
    for (; stanza.name === 'message'; stanza = await client.receivesAny()) {
      const result = inside(stanza, 'result')
      const message = inside(stanza, 'result', 'forwarded', 'message')
      last = result?.attrs.id ?? ''
      const direction = message?.attrs.from?.startsWith(`${account}@`) === true ? 'sent' : 'received'
      ledger.isArchived(account, direction, message?.attrs.id ?? '', last)
    }
    const fin = inside(stanza, 'fin')
    if (fin === undefined) throw new Error(`no archive of ${account}: ${JSON.stringify(stanza)}`)
    if (fin.attrs.complete === 'true') break
    after = `<after>${last}</after>`
  }
  await client.disconnects()
}
const inside = (parent: Element, ...names: readonly string[]): Element | undefined =>
  names.reduce<Element | undefined>(
    (e, name) => e?.children.find((c): c is Element => typeof c !== 'string' && c.name === name),
    parent,
  )

/** Chooses the moment of a kill; nothing is expected to have happened by then. */
const moment = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
