import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { BareJid, Domain } from '../src/xmpp/jid.ts'
import { bridgeCertificate, type PhoneKey, phoneKey } from '../test/helpers/bridge-certificate.ts'
import { keysInMemory } from '../test/helpers/keys-in-memory.ts'
import { registersKey, shown, WIDE_BUDGETS } from '../test/helpers/kontalk-phone.ts'
import { authenticate, bind, secureStream } from '../test/helpers/login.ts'
import { register } from '../test/helpers/register.ts'
import { ServerProcess } from '../test/helpers/server-process.ts'
import { XmppConnection } from '../test/helpers/xmpp-connection.ts'
import { benchOptions, positive } from './options.ts'
import { median, publish, spread, table } from './report.ts'
import { cpuMs, machine } from './servers.ts'
import { ran } from './shell.ts'

const KINDS = ['nistP256', 'rsa', 'ed25519Legacy'] as const
type Kind = (typeof KINDS)[number]
const PASSWORD = 'bench password'
const AT_ONCE = 4
const WELL_FORMED = { wellFormedSan: true }
const many = 1_000_000
const LIMITS = {
  connections: { per_address: many, before_login: many, before_login_per_address: many, total: many },
  registration: WIDE_BUDGETS,
}
const numberOf = (i: number): string => `+49151${23_000_000 + i}`
const localOf = (phone: string): string => createHash('sha1').update(phone).digest('hex')

interface Way {
  readonly name: string
  /** The key of the certificate shown; undefined: none is. */
  readonly kind: Kind | undefined
  /** Undefined: only the stream is opened. */
  readonly mechanism: string | undefined
}
const WAYS: readonly Way[] = [
  { name: 'stream opened, no certificate', kind: undefined, mechanism: undefined },
  ...['SCRAM-SHA-1', 'SCRAM-SHA-256'].map((mechanism) => ({ name: mechanism, kind: undefined, mechanism })),
  ...KINDS.flatMap((kind) => [
    { name: `stream opened, certificate of ${kind}`, kind, mechanism: undefined },
    { name: `EXTERNAL, ${kind}`, kind, mechanism: 'EXTERNAL' },
  ]),
]

/**
 * CPU of the server for a login by an OpenPGP key in a bridge certificate, beside SCRAM; and, within one process, what checking
 * and certifying a key take, and how long the event loop is busy with it. Options: `--rounds N --passes N --out FILE
 * --server-cpus 0 --load-cpus 1`.
 */
export async function run(args: readonly string[]): Promise<void> {
  const options = benchOptions('login-keys', args, { passes: '40' }, { rounds: 5, secs: 1 })
  const passes = positive(options.rest.passes, 40, '--passes')
  const keys = new Map<Kind, PhoneKey>()
  for (const [i, kind] of KINDS.entries())
    keys.set(
      kind,
      await phoneKey(`${localOf(numberOf(i))}@localhost`, { kind, date: new Date(Date.now() - 86_400_000) }),
    )
  const server = await ServerProcess.prepare({
    config: { account: { registration: ['sms', 'open'] }, sms: { provider: 'console' }, limits: LIMITS },
  })
  const costs = new Map<Way, number[]>(WAYS.map((way) => [way, []]))
  try {
    await server.start(options.serverCpus === undefined ? [] : ['taskset', '-c', options.serverCpus, process.execPath])
    if (options.loadCpus !== undefined) await ran('taskset', ['-a', '-p', '-c', options.loadCpus, String(process.pid)])
    const settings = { port: server.directTlsPort, domain: server.domain, directTls: true }
    await register(settings, 'juliet', PASSWORD)
    const printed = {
      get codes() {
        return server.output.split('\n').filter((line) => line.includes('the code is'))
      },
    }
    for (const [i, key] of [...keys.values()].entries())
      await registersKey(printed, settings, numberOf(i), key, WELL_FORMED)
    const certificates = new Map([...keys].map(([kind, key]) => [kind, shown(key, WELL_FORMED)]))
    const comes = async ({ kind, mechanism }: Way): Promise<void> => {
      const c = await XmppConnection.open({ ...settings, ...(kind === undefined ? {} : certificates.get(kind)) })
      await secureStream(c)
      if (mechanism !== undefined) {
        await authenticate(c, { mechanism, username: 'juliet', password: PASSWORD })
        await c.openStream()
        await c.features()
        await bind(c, undefined)
      }
      c.destroy()
    }
    /** Ms of the server's CPU for each connection. */
    const measured = async (way: Way): Promise<number> => {
      const before = cpuMs(server.pid)
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          for (let pass = 0; pass < passes; pass++) await comes(way)
        }),
      )
      return (cpuMs(server.pid) - before) / (passes * AT_ONCE)
    }
    for (const way of WAYS) await measured(way)
    for (let round = 0; round < options.rounds; round++) {
      const turn = round % WAYS.length
      for (const way of [...WAYS.slice(turn), ...WAYS.slice(0, turn)]) costs.get(way)?.push(await measured(way))
      process.stderr.write(`round ${round + 1} of ${options.rounds} done\n`)
    }
  } finally {
    await server.remove()
  }
  const inside: string[][] = []
  for (const kind of KINDS) inside.push([kind, ...(await insideOne(kind))])
  const rows = WAYS.map((way) => {
    const base = WAYS.find((other) => other.kind === way.kind && other.mechanism === undefined)
    const more = (costs.get(way) ?? []).map((ms, i) => ms - ((base && costs.get(base)?.[i]) ?? Number.NaN))
    return [way.name, spread(costs.get(way) ?? [], 2), way.mechanism === undefined ? '' : median(more).toFixed(2)]
  })
  const text = [
    '# Logins by an OpenPGP key beside SCRAM',
    `Command: \`${options.command}\``,
    table(['way', 'CPU ms', 'of these after TLS'], rows),
    `CPU of the server's process, all threads, for each connection: median (lowest to highest) of ${options.rounds} rounds of ${passes * AT_ONCE} connections, ${AT_ONCE} at a time, the ways in turn. The last column is the median over the rounds of the difference to the row of the same TLS handshake without a login: SASL, binding and the end of the session. TLS 1.3 with P-256, no resumption; embedded store. The keys have two subkeys, and our certification.`,
    '## Within one process',
    table(
      ['master key', 'login: ms', 'CPU ms', 'event loop busy, ms', 'certifying: ms', 'CPU ms', 'event loop busy, ms'],
      inside,
    ),
    `One after the other, without a wire, the store in memory: a certificate read, every signature of its key verified, merged with what is stored; or verified and certified anew, as a registration does. Means of ${INSIDE} each after as many to warm up. CPU is that of all threads: what exceeds the event loop's is done beside it.`,
    `Machine: ${machine()}; server on processor ${options.serverCpus ?? 'any'}, clients on ${options.loadCpus ?? 'any'}.`,
  ]
  await publish(text.join('\n\n'), options.out)
}

const INSIDE = 200
/** Wall time, CPU and the event loop's time of a login and of a certification, ms. */
async function insideOne(kind: Kind): Promise<string[]> {
  const world = await keysInMemory({ at: Date.now })
  const domain = 'example.org' as Domain
  const jid = `${localOf(numberOf(0))}@${domain}` as BareJid
  const key = await phoneKey(jid, { kind, date: new Date(Date.now() - 86_400_000) })
  const certificate = bridgeCertificate(key)
  const candidate = await world.keys.candidate(certificate, domain)
  const account = world.account(jid, candidate.fingerprint)
  await world.keys.registered(account, candidate, await world.keys.certify(candidate))
  const login = () => world.keys.login(certificate, domain)
  const certify = async () => world.keys.certify(await world.keys.candidate(certificate, domain))
  const figures: string[] = []
  for (const work of [login, certify]) {
    for (let i = 0; i < INSIDE; i++) await work()
    const [cpu, loop, began] = [process.cpuUsage(), performance.eventLoopUtilization(), performance.now()]
    for (let i = 0; i < INSIDE; i++) await work()
    const { user, system } = process.cpuUsage(cpu)
    const { active } = performance.eventLoopUtilization(loop)
    const each = [performance.now() - began, (user + system) / 1000, active]
    figures.push(...each.map((ms) => (ms / INSIDE).toFixed(2)))
  }
  return figures
}
