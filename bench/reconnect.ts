import { randomUUID } from 'node:crypto'
import type { Element } from '../src/xmpp/element.ts'
import { bind, logIn, NS_SM } from '../test/helpers/login.ts'
import { register } from '../test/helpers/register.ts'
import { roundTrips } from '../test/helpers/round-trips.ts'
import { answered, authenticate2, has, NS_BIND2, NS_FAST, openFrom, the, tokenLogin } from '../test/helpers/sasl2.ts'
import { streamHeader, XmppConnection } from '../test/helpers/xmpp-connection.ts'
import { benchOptions, positive } from './options.ts'
import { median, publish, spread, table } from './report.ts'
import { benchFolder, cpuMs, DOMAIN, machine, removeFolder, startServer } from './servers.ts'
import { ran } from './shell.ts'

const PASSWORD = 'bench password'
const TOKEN_MECHANISM = 'HT-SHA-256-EXPR'
/** Connections at a time, each of a device of its own. */
const AT_ONCE = 4
const DEVICES = 20

interface Device {
  readonly username: string
  readonly agent: string
  readonly token: string
  /** Of the session that it can resume. */
  smid: string
}
/** From TLS to a session that counts stanzas. */
interface Way {
  readonly name: string
  comes(c: XmppConnection, device: Device): Promise<void>
}

/**
 * CPU of the server for a device that lost its connection and comes back, and the round trips it waits for after TLS: the old way,
 * by SASL2 and Bind 2, and by a token. Options: `--rounds N --passes N --out FILE --server-cpus 0 --load-cpus 1 --checkout FOLDER`.
 */
export async function run(args: readonly string[]): Promise<void> {
  const options = benchOptions('reconnect', args, { passes: '20' }, { rounds: 7, secs: 1 })
  const passes = positive(options.rest.passes, 20, '--passes')
  const folder = await benchFolder()
  const server = await startServer('fernruf', {
    cpus: options.serverCpus,
    folder,
    ...(options.checkout === undefined ? {} : { checkout: options.checkout }),
  })
  const trips = new Map<Way, number>()
  const costs = new Map<Way, number[]>(WAYS.map((way) => [way, []]))
  try {
    if (options.loadCpus !== undefined) await ran('taskset', ['-a', '-p', '-c', options.loadCpus, String(process.pid)])
    const settings = { port: server.directPort ?? 0, domain: DOMAIN, directTls: true }
    const devices: Device[] = []
    for (let i = 0; i < DEVICES; i++) devices.push(await newDevice(settings.port, `juliet${i}`))
    const reconnect = async (way: Way, device: Device): Promise<void> => {
      const waited = roundTrips()
      const c = await XmppConnection.open({ ...settings, log: waited.log })
      await way.comes(c, device)
      trips.set(way, waited.count())
      c.destroy()
    }
    const all = async (way: Way, passes: number): Promise<void> => {
      const worker = async (own: readonly Device[]): Promise<void> => {
        for (let pass = 0; pass < passes; pass++) for (const device of own) await reconnect(way, device)
      }
      await Promise.all(
        Array.from({ length: AT_ONCE }, (_, w) => worker(devices.filter((_device, i) => i % AT_ONCE === w))),
      )
    }
    /** Ms of the server's CPU for each connection; what another way has left behind is ended before. */
    const measured = async (way: Way): Promise<number> => {
      await all(way, 1)
      const before = cpuMs(server.pid)
      await all(way, passes)
      return (cpuMs(server.pid) - before) / (passes * DEVICES)
    }
    for (const way of WAYS) await measured(way)
    for (let round = 0; round < options.rounds; round++) {
      const turn = round % WAYS.length
      for (const way of [...WAYS.slice(turn), ...WAYS.slice(0, turn)]) costs.get(way)?.push(await measured(way))
      process.stderr.write(`round ${round + 1} of ${options.rounds} done\n`)
    }
  } finally {
    await server.stop()
    await removeFolder(folder)
  }
  const against = (way: Way, base: Way | undefined, by: (a: number, b: number) => number): string =>
    median((costs.get(way) ?? []).map((ms, i) => by(ms, (base && costs.get(base)?.[i]) ?? Number.NaN))).toFixed(2)
  const [opening, old] = WAYS
  const rows = WAYS.map((way) => [
    way.name,
    String(trips.get(way)),
    spread(costs.get(way) ?? [], 2),
    against(way, opening, (a, b) => a - b),
    against(way, old, (a, b) => a / b),
  ])
  const text = [
    '# Coming back after a lost connection',
    `Command: \`${options.command}\``,
    table(['way', 'round trips after TLS', 'CPU ms', 'more than opening', '× the old way'], rows),
    `CPU of the server's process for each connection, TLS handshake and the end of the connection before included: median (lowest to highest) of ${options.rounds} rounds, in each of which ${DEVICES} accounts come ${passes} times, ${AT_ONCE} at a time, the ways in turn. The last two columns are medians over the rounds of what was taken in the same round; "the old way" is the second row. TLS 1.3 with P-256, no resumption of TLS; every connection is dropped without a word when it has come as far as its row says.`,
    'Round trips are those that the client waits for, counted on its side. A client that remembers what the server offers sends its token with the stream header, as is done here; with SASL2 and a password it would save one as well.',
    `Machine: ${machine()}; server ${server.version} on processor ${options.serverCpus ?? 'any'}, clients on ${options.loadCpus ?? 'any'}.`,
  ]
  await publish(text.join('\n\n'), options.out)
}

/** An account and a device of it that has a token. */
async function newDevice(port: number, username: string): Promise<Device> {
  const settings = { port, domain: DOMAIN, directTls: true }
  await register(settings, username, PASSWORD)
  const agent = randomUUID()
  const c = await XmppConnection.open(settings)
  await openFrom(c, `${username}@${DOMAIN}`)
  const inline = `<request-token xmlns='${NS_FAST}' mechanism='${TOKEN_MECHANISM}'/>`
  const success = await authenticate2(c, { username, password: PASSWORD, agent, inline })
  c.destroy()
  return { username, agent, token: the(success, 'token').attrs.token ?? '', smid: '' }
}

const ENABLE = `<enable xmlns='${NS_SM}' resume='true'/>`
const BIND2 = `<bind xmlns='${NS_BIND2}'><tag>phone</tag>${ENABLE}</bind>`
const FAST = `<fast xmlns='${NS_FAST}'/>`
const resume = ({ smid }: Device): string => `<resume xmlns='${NS_SM}' previd='${smid}' h='0'/>`

const opening: Way = {
  name: 'stream opened, no login',
  comes: async (c, { username }) => {
    await openFrom(c, `${username}@${DOMAIN}`)
  },
}
const old = (mechanism: string): Way => ({
  name: `${mechanism}, bind, enable`,
  comes: async (c, device) => {
    await logIn(c, { username: device.username, password: PASSWORD, mechanism })
    await bind(c, 'phone')
    c.write(ENABLE)
    device.smid = idOf(await c.element())
  },
})
const oldResume = (mechanism: string): Way => ({
  name: `${mechanism}, resume`,
  comes: async (c, device) => {
    await logIn(c, { username: device.username, password: PASSWORD, mechanism })
    c.write(resume(device))
    const answer = await c.element()
    if (answer.name !== 'resumed') throw new Error(`${device.username} could not resume`)
  },
})
const sasl2 = (mechanism: string): Way => ({
  name: `SASL2 ${mechanism}, Bind 2 with enable`,
  comes: async (c, device) => {
    const { username, agent } = device
    await openFrom(c, `${username}@${DOMAIN}`)
    const success = await authenticate2(c, { username, password: PASSWORD, mechanism, agent, inline: BIND2 })
    device.smid = idOf(the(the(success, 'bound'), 'enabled'))
  },
})
/** Header and token at once, since what the server offers is known from last time (XEP-0388 §2.1). */
async function comesByToken(c: XmppConnection, device: Device, inline: string): Promise<Element> {
  const { username, agent, token } = device
  const header = streamHeader({ to: DOMAIN, from: `${username}@${DOMAIN}` })
  const login = { username, password: token, mechanism: TOKEN_MECHANISM, agent, inline: FAST + inline }
  c.write(header + tokenLogin(c, login))
  await c.next()
  await c.features()
  return answered(c)
}
const tokenBind: Way = {
  name: 'token (FAST), Bind 2 with enable',
  comes: async (c, device) => {
    const success = await comesByToken(c, device, BIND2)
    device.smid = idOf(the(the(success, 'bound'), 'enabled'))
  },
}
const tokenResume: Way = {
  name: 'token (FAST), resume',
  comes: async (c, device) => {
    const success = await comesByToken(c, device, resume(device) + BIND2)
    if (!has(success, 'resumed')) throw new Error(`${device.username} could not resume`)
  },
}
/** Of <enabled/>. @throws Error for another answer */
function idOf(enabled: Element): string {
  if (enabled.name !== 'enabled' || enabled.attrs.id === undefined) throw new Error('nothing to resume by')
  return enabled.attrs.id
}

const WAYS: readonly Way[] = [
  opening,
  old('SCRAM-SHA-1'),
  old('SCRAM-SHA-256'),
  oldResume('SCRAM-SHA-1'),
  sasl2('SCRAM-SHA-1'),
  sasl2('SCRAM-SHA-256'),
  tokenBind,
  tokenResume,
]
