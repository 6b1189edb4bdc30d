import { parseArgs } from 'node:util'
import type { Element } from '../src/xmpp/element.ts'
import { register } from '../test/helpers/register.ts'
import { DEADLINE_MS } from '../test/helpers/xmpp-connection.ts'
import { CountingClient } from './counting-client.ts'
import { type Addresses, CONTACTS, type DayEvent, isImportant, KINDS, presence, simulatedDay } from './csi-day.ts'
import { positive } from './options.ts'
import { median, publish, spread, table } from './report.ts'
import { benchFolder, DOMAIN, machine, type Running, removeFolder, startServer } from './servers.ts'
import { NO_TRAFFIC, SEGMENT, since, TlsMeter, type Traffic } from './tls-meter.ts'

const PASSWORD = 'bench password'
/** Seconds for which a phone's radio stays up after it was used, as LTE's long tail has it. */
const TAIL_S = 10

/** What the phone received upon one event. */
interface Reached {
  readonly event: DayEvent
  readonly traffic: Traffic
}
interface Day {
  readonly reached: readonly Reached[]
  /** What came when somebody looked at the phone in the end. */
  readonly look: Traffic
  /** Events whose stanzas came only with the round trip after them; that round trip is counted, then. */
  readonly late: number
}

/**
 * What a phone receives in a simulated day with XEP-0352's <inactive/>, and in the same day without. The events are driven one by
 * one, as fast as the server answers; after each, round trips see to it that all it led to has come. Options: `--days N --out FILE`.
 * @throws Error when something important was lost, late, doubled or out of order
 */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { days: { type: 'string' }, out: { type: 'string' } } })
  const days = positive(values.days, 3, '--days')
  const folder = await benchFolder()
  const server = await startServer('fernruf', { cpus: undefined, folder, archive: true })
  const meter = await TlsMeter.before(server.directPort ?? 0)
  const plain: Day[] = []
  const inactive: Day[] = []
  try {
    const verona = await Verona.of(server, meter)
    for (let seed = 1; seed <= days; seed++) {
      plain.push(await verona.lives(seed, false))
      inactive.push(await verona.lives(seed, true))
      process.stderr.write(`day ${seed} of ${days} done\n`)
    }
  } finally {
    meter.close()
    await server.stop()
    await removeFolder(folder)
  }
  const text = [
    '# A day of a phone that nobody looks at (XEP-0352)',
    `Command: \`npm run bench -- ${['csi', ...args].join(' ')}\``,
    totals(plain, inactive),
    'By what happened (of the first day; presence that was kept back counts with what took it along):',
    byKind(plain[0]?.reached ?? [], inactive[0]?.reached ?? []),
    explanation(days, plain, inactive),
    `Server: ${server.version} with archive, on the embedded store, direct TLS. ${machine()}`,
  ]
  await publish(text.join('\n\n'), values.out)
}

/** A server with one account that has two devices and forty contacts. */
class Verona {
  readonly #addresses: Addresses
  readonly #contacts: readonly CountingClient[]
  readonly #desk: CountingClient
  readonly #meter: TlsMeter
  /** Numbers the days, so that no id comes twice. */
  #days = 0

  private constructor(contacts: readonly CountingClient[], desk: CountingClient, meter: TlsMeter) {
    const bare = `juliet@${DOMAIN}`
    this.#contacts = contacts
    this.#desk = desk
    this.#meter = meter
    this.#addresses = { bare, desk: desk.jid, phone: `${bare}/phone`, contacts: contacts.map(({ jid }) => jid) }
  }
  static async of(server: Running, meter: TlsMeter): Promise<Verona> {
    const settings = { port: server.directPort ?? 0, domain: DOMAIN, directTls: true }
    await register(settings, 'juliet', PASSWORD)
    const desk = await CountingClient.open(settings, { username: 'juliet', password: PASSWORD }, 'desk')
    desk.send(CARBONS)
    const contacts: CountingClient[] = []
    for (let i = 0; i < CONTACTS; i++) {
      const username = `contact${i}`
      await register(settings, username, PASSWORD)
      const contact = await CountingClient.open(settings, { username, password: PASSWORD }, 'app')
      // Each approves beforehand, then each asks.
      for (const type of ['subscribed', 'subscribe'])
        for (const [one, other] of [
          [desk, `${username}@${DOMAIN}`],
          [contact, `juliet@${DOMAIN}`],
        ] as const) {
          one.send(`<presence type='${type}' to='${other}'/>`)
          await one.roundTrip()
        }
      contacts.push(contact)
    }
    return new Verona(contacts, desk, meter)
  }

  async lives(seed: number, isInactive: boolean): Promise<Day> {
    const mark = `d${String(this.#days++).padStart(2, '0')}-`
    const events = simulatedDay(seed, mark, this.#addresses)
    const phone = new Phone()
    const settings = { port: this.#meter.port, domain: DOMAIN, directTls: true }
    const login = { username: 'juliet', password: PASSWORD }
    const client = await CountingClient.open(settings, login, 'phone', (stanza) => phone.hear(stanza))
    if (client.jid !== this.#addresses.phone) throw new Error(`the phone is ${client.jid}`)
    client.send(`${CARBONS}<presence/>`)
    await client.roundTrip()
    for (const [i, sender] of [...this.#contacts, this.#desk].entries()) {
      sender.send(presence(`${mark}-${i}`, 'online'))
      await phone.hears(`${mark}-${i}`)
    }
    if (isInactive) client.send(`<inactive xmlns='urn:xmpp:csi:0'/>`)
    await client.roundTrip()

    phone.ids.length = 0
    const told = new Map(phone.presences)
    this.#meter.traffic = NO_TRAFFIC
    const reached: Reached[] = []
    let late = 0
    for (const event of events) {
      const before = this.#meter.traffic
      const sender = this.#sender(event)
      sender.send(event.xml)
      if (event.kind === 'presence') told.set(sender.jid, event.id)
      await sender.roundTrip()
      if (!isInactive || isImportant(event.kind)) await phone.hears(event.id)
      const [heard, came] = [phone.count, this.#meter.traffic]
      await client.roundTrip()
      // The answer alone is ours, not the day's.
      if (phone.count === heard) this.#meter.traffic = came
      else late++
      const traffic = since(before, this.#meter.traffic)
      if (traffic.bytes > 0) reached.push({ event, traffic })
      if (isImportant(event.kind) && phone.presences.get(sender.jid) !== told.get(sender.jid))
        throw new Error(`${event.id} came before the presence its sender had told`)
    }
    const before = this.#meter.traffic
    client.send(`<active xmlns='urn:xmpp:csi:0'/>`)
    await client.roundTrip()
    const look = isInactive ? since(before, this.#meter.traffic) : NO_TRAFFIC
    for (const [jid, id] of told)
      if (phone.presences.get(jid) !== id) throw new Error(`${jid} is not known to be as in ${id}`)
    const kindOf = new Map(events.map(({ id, kind }) => [id, kind]))
    const counts = (id: string): boolean => !isInactive || isImportant(kindOf.get(id) ?? 'presence')
    const expected = events.map(({ id }) => id).filter(counts)
    const differs = phone.ids.filter(counts).findIndex((id, i) => id !== expected[i])
    if (differs >= 0) throw new Error(`${expected[differs]} was not what came, or not in its turn`)
    await client.close()
    return { reached, look, late }
  }
  #sender({ by }: DayEvent): CountingClient {
    const sender = by === 'desk' ? this.#desk : this.#contacts[by]
    if (sender === undefined) throw new Error(`no contact ${by}`)
    return sender
  }
}
const CARBONS = `<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>`

/** What the device under test has heard. */
class Phone {
  /** Of presences and messages, those inside of carbons too, as they came. */
  readonly ids: string[] = []
  /** The last presence of each address. */
  readonly presences = new Map<string, string>()
  /** Stanzas. */
  count = 0
  readonly #heard = new Set<string>()
  #waits: { readonly id: string; readonly resolve: () => void } | undefined

  hear(stanza: Element): void {
    this.count++
    if (stanza.name === 'iq') return
    const { id = '' } = (innermost(stanza) ?? stanza).attrs
    this.ids.push(id)
    this.#heard.add(id)
    if (stanza.name === 'presence') this.presences.set(stanza.attrs.from ?? '', id)
    if (this.#waits?.id === id) this.#waits.resolve()
  }
  /** @throws Error when it does not come */
  async hears(id: string): Promise<void> {
    if (this.#heard.has(id)) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${id} did not come in time`)), DEADLINE_MS)
      this.#waits = {
        id,
        resolve: () => {
          clearTimeout(timer)
          resolve()
        },
      }
    })
  }
}

/** The message within a carbon. */
function innermost(stanza: Element): Element | undefined {
  let e: Element | undefined = stanza
  for (const name of [/^(sent|received)$/, /^forwarded$/, /^message$/])
    e = e?.children.find((c): c is Element => typeof c !== 'string' && name.test(c.name))
  return e
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

function totals(plain: readonly Day[], inactive: readonly Day[]): string {
  const row = (name: string, figure: (day: Day) => number): string[] => {
    const [a, b] = [plain.map(figure), inactive.map(figure)]
    const ratio = median(b.map((value, i) => value / (a[i] ?? Number.NaN)))
    return [name, spread(a, 0), spread(b, 0), ratio.toFixed(2)]
  }
  const traffic = (name: keyof Traffic) => (day: Day) => sum(day.reached.map((r) => r.traffic[name])) + day.look[name]
  return table(
    ['in a day', 'without', 'inactive', 'ratio'],
    [
      row('octets of TLS', traffic('bytes')),
      row('TLS records', traffic('records')),
      row(`TCP segments of ${SEGMENT} octets`, traffic('segments')),
      row('events that reached the phone', (day) => day.reached.length),
      row('times that the radio woke up', (day) => radio(day).wakeUps),
      row('minutes that the radio was up', (day) => radio(day).seconds / 60),
    ],
  )
}
/** Of a radio that stays up for a while after each event. */
function radio({ reached }: Day): { readonly wakeUps: number; readonly seconds: number } {
  let [wakeUps, seconds, upUntil] = [0, 0, Number.NEGATIVE_INFINITY]
  for (const { event } of reached) {
    const until = event.at + TAIL_S
    if (event.at > upUntil) wakeUps++
    seconds += until - Math.max(event.at, upUntil)
    upUntil = until
  }
  return { wakeUps, seconds }
}

function byKind(plain: readonly Reached[], inactive: readonly Reached[]): string {
  const rows = KINDS.map((kind) => {
    const [a, b] = [plain, inactive].map((all) => all.filter(({ event }) => event.kind === kind))
    const bytes = (of: readonly Reached[] = []): string => String(sum(of.map(({ traffic }) => traffic.bytes)))
    return [kind, String(a?.length), bytes(a), String(b?.length), bytes(b)]
  })
  return table(['event', 'reached it without', 'octets', 'reached it inactive', 'octets'], rows)
}

function explanation(days: number, plain: readonly Day[], inactive: readonly Day[]): string {
  const late = sum([...plain, ...inactive].map((day) => day.late))
  return [
    `Median (lowest to highest) of ${days} seeded days, each lived twice. Counted is what the server sends to the phone, by a proxy before its port of direct TLS: octets with the records' headers and seals, without TCP/IP's; a segment is ${SEGMENT} octets, and each record begins a new one. The phone has stream management and carbons; the server's \`<r/>\` is counted.`,
    `Each event has a time of day. The radio wakes up when something comes more than ${TAIL_S} s after the last that did, and stays up for ${TAIL_S} s after each. What depends on real time is not in the figures: keep-alives, and connections that are lost.`,
    `Checked in each day: every message with a body, receipt, headline and error came upon its own event, once and in order; no message was heard before the presence that its sender had told; when the phone became active (${median(inactive.map((day) => day.look.bytes)).toFixed(0)} octets, which are in the totals) it knew the last presence of everybody. Events whose stanzas were still on their way after the sender's round trip: ${late}; for those some 50 octets too many are counted.`,
  ].join('\n\n')
}
