import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { bind, logIn } from '../test/helpers/login.ts'
import { register } from '../test/helpers/register.ts'
import { XmppConnection } from '../test/helpers/xmpp-connection.ts'
import { benchOptions } from './options.ts'
import { publish, table } from './report.ts'
import { benchFolder, cpuMs, DOMAIN, machine, removeFolder, startServer } from './servers.ts'
import { ran } from './shell.ts'
import { buildXload, figure, xload } from './xload.ts'

const PASSWORD = 'bench password'
const EVERY_MS = 20

/**
 * Latency of one client's pings, alone and while one connection drips, one floods, one nests, one sends 10,000 elements before
 * login and one logs in 100 times a second. Options: `--offences drip,flood,nest,swell,login --secs S --out FILE --server-cpus 0 --load-cpus 1`.
 */
export async function run(args: readonly string[]): Promise<void> {
  const options = benchOptions('fairness', args, { offences: 'drip,flood,nest,swell,login' }, { rounds: 1, secs: 10 })
  const folder = await benchFolder()
  const server = await startServer('fernruf', {
    cpus: options.serverCpus,
    folder,
    ...(options.checkout === undefined ? {} : { checkout: options.checkout }),
  })
  try {
    await buildXload()
    // Whoever pings runs where it comes before the offenders, and never waits for the server's processor.
    if (options.loadCpus !== undefined) await ran('taskset', ['-a', '-p', '-c', options.loadCpus, String(process.pid)])
    const settings = { port: server.port, domain: DOMAIN }
    for (const name of ['witness', 'flooder', 'sink', 'loginner']) await register(settings, name, PASSWORD)
    const witness = await XmppConnection.open(settings)
    await logIn(witness, { username: 'witness', password: PASSWORD })
    await bind(witness, 'w')
    const alone = await watched(server.pid, () => pings(witness, options.secs))
    const script = join(import.meta.dirname, 'offenders.ts')
    // Lowest priority on their own processor: what is measured is the server's delay, not that of the one who measures.
    const command = ['nice', '-n', '19', process.execPath, script, String(server.directPort), DOMAIN, PASSWORD]
    const offences = (options.rest.offences ?? '').split(',')
    const logins = offences.includes('login')
      ? xload(loginArgs(server.port, options.secs), options.loadCpus, 19)
      : undefined
    const pinned = options.loadCpus === undefined ? command : ['taskset', '-c', options.loadCpus, ...command]
    const rest = offences.filter((offence) => offence !== 'login').join(',')
    const offenders = spawn(pinned[0] ?? '', [...pinned.slice(1), rest], { stdio: ['ignore', 'pipe', 'inherit'] })
    const said: string[] = []
    offenders.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text))
    await once(offenders.stdout, 'data')
    const crowded = await watched(server.pid, () => pings(witness, options.secs))
    const closed = once(offenders, 'close')
    offenders.kill('SIGTERM')
    await closed
    const loginsPerSecond = logins === undefined ? 0 : figure(await logins, 'logins_per_s')
    const rows = [
      ['alone', ...alone],
      ['among offenders', ...crowded],
    ]
    const did = JSON.parse(said.join('').replace(/^.*\n/, '')) as Readonly<Record<string, number>>
    const deeds = Object.entries(did).map(([offence, count]) => `${offence} ${Math.round(count / options.secs)}`)
    deeds.push(`login ${Math.round(loginsPerSecond)}`)
    const text = [
      '# Pings of one client while others misbehave',
      table(['', 'pings', 'p50 ms', 'p99 ms', 'slowest ms', 'server CPU %'], rows),
      `What the offenders did a second (bytes, messages, connections ended for nesting and for swelling, logins): ${deeds.join(', ')}.`,
      `Command: \`${options.command}\``,
      `Machine: ${machine()}; server ${server.version} on processor ${options.serverCpus ?? 'any'}, offenders on ${options.loadCpus ?? 'any'}, ${options.secs} s each. The offenders have the lowest priority, so that the client that pings waits for the server only.`,
    ]
    await publish(text.join('\n\n'), options.out)
    witness.destroy()
  } finally {
    await server.stop()
    await removeFolder(folder)
  }
}

/** SCRAM logins by one client at 100 a second, whether the server keeps up or not. */
function loginArgs(port: number, secs: number): string[] {
  const who = ['--port', String(port), '--domain', DOMAIN, '--user', 'loginner', '--pass', PASSWORD, '--users', '1']
  const work = ['--mode', 'login', '--mech', 'SCRAM-SHA-1', '--no-presence', '--conc', '16', '--rate', '100']
  return [...who, ...work, '--warmup', '1', '--secs', String(secs)]
}

/** What `work` gives, and how busy the process was meanwhile. */
async function watched(pid: number, work: () => Promise<string[]>): Promise<string[]> {
  const [before, since] = [cpuMs(pid), performance.now()]
  const result = await work()
  return [...result, ((100 * (cpuMs(pid) - before)) / (performance.now() - since)).toFixed(0)]
}
/** @returns count, p50, p99 and slowest, in ms. @throws Error when the connection ends */
async function pings(c: XmppConnection, secs: number): Promise<string[]> {
  const times: number[] = []
  const end = performance.now() + secs * 1000
  while (performance.now() < end) {
    const before = performance.now()
    c.write(`<iq type='get' id='p' to='${DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await c.element()
    times.push(performance.now() - before)
    await new Promise((done) => setTimeout(done, EVERY_MS))
  }
  const sorted = times.toSorted((a, b) => a - b)
  const at = (q: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN).toFixed(1)
  return [String(sorted.length), at(0.5), at(0.99), at(1)]
}
