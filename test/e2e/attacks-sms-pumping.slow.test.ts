import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { localpartOf, parsePhone } from '../../src/account/phone-number.ts'
import type { SmsMessage } from '../../src/account/sms-provider.ts'
import { Throttle } from '../../src/account/throttle.ts'
import { Verification, VerificationError } from '../../src/account/verification.ts'
import type { Stores } from '../../src/storage/open.ts'
import { SqlVerificationStore } from '../../src/storage/verification-store.ts'
import type { BareJid } from '../../src/xmpp/jid.ts'
import { registrationForm } from '../helpers/kontalk-phone.ts'
import { bind, logIn, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { Random } from '../helpers/random.ts'
import { ServerProcess } from '../helpers/server-process.ts'
import { withPostgres, withStores } from '../helpers/test-database.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

/**
 * Row 32 of the attacks, as it happens: somebody who earns by text messages asks for ten thousand of them, from many addresses, for
 * numbers of many prefixes. What they cost is bounded, honest people get in meanwhile, and a restart changes nothing.
 */

const HOUR = 3_600_000
/** What `limits.registration` allows by default. */
const TOTAL = { hour: 200, day: 2_000 }
const COUNTRY_DAY = 1_000
interface Target {
  readonly country: string
  /** How mobile numbers begin there, and how many digits follow. */
  readonly start: string
  readonly digits: number
}
const ABROAD: readonly Target[] = [
  { country: 'FR', start: '+336', digits: 8 },
  { country: 'GB', start: '+4474', digits: 8 },
  { country: 'ES', start: '+346', digits: 8 },
  { country: 'PL', start: '+4850', digits: 7 },
  { country: 'IT', start: '+3934', digits: 8 },
  { country: 'AT', start: '+43664', digits: 7 },
  { country: 'SE', start: '+4670', digits: 7 },
]
const HOME: Target = { country: 'DE', start: '+49162', digits: 7 }
/** The last two digits are all that the console tells of a number; those of the flood have others. */
const HONEST = '77'
const honest = (start: string, i: number): string =>
  start + String(i).padStart(14 - start.length - HONEST.length, '0') + HONEST

/** Nobody here has an account already. */
const TAKING = {
  rules: { activeMs: 0, delayMs: 0, lockKeptMs: 0 },
  isUnlocked: false,
  isConnected: false,
}

class Flood {
  readonly #random = new Random(32)
  readonly #targets: readonly Target[]
  constructor(targets: readonly Target[]) {
    this.#targets = targets
  }
  number(): string {
    const { start, digits } = this.#targets[this.#random.between(0, this.#targets.length - 1)] as Target
    const number = start + String(this.#random.between(0, 10 ** digits - 1)).padStart(digits, '0')
    return number.endsWith(HONEST) ? `${number.slice(0, -1)}8` : number
  }
  /** Of a few providers' networks, and of as many of IPv6 as anybody can have. */
  address(): string {
    const [a, b] = [this.#random.between(0, 255), this.#random.between(0, 255)]
    return this.#random.chance(0.5)
      ? `${this.#random.between(5, 9)}.${a}.${b}.9`
      : `2001:${this.#random.between(1, 40)}:${a}${b}::1`
  }
  guess(): string {
    return String(this.#random.between(0, 999_999)).padStart(6, '0')
  }
}

/** Registration without the wire, on a clock that a test moves. */
class Town {
  readonly clock = { now: Date.UTC(2026, 10, 25) }
  readonly sent: (SmsMessage & { readonly at: number })[] = []
  #verification: Verification

  constructor(stores: Stores) {
    this.#verification = this.#start(stores)
  }
  /** All that a process has in memory is lost. */
  restarts(stores: Stores): void {
    this.#verification = this.#start(stores)
  }
  /** Asks for a code; undefined when that was refused. */
  async asks(text: string, ip: string): Promise<BareJid | undefined> {
    const phone = parsePhone(text)
    assert.ok(phone, text)
    const jid = `${localpartOf(phone)}@example.org` as BareJid
    try {
      await this.#verification.request({ phone, jid, ip, fallback: false, isForced: false })
      return jid
    } catch (error) {
      assert.ok(error instanceof VerificationError && error.fault === 'throttled', String(error))
      return undefined
    }
  }
  /** Asks for a code, and makes the account by it. */
  async registers(text: string, ip: string): Promise<boolean> {
    const jid = await this.asks(text, ip)
    const code = this.sent.findLast(({ to }) => to === text)?.code
    if (jid === undefined || code === undefined) return false
    const proof = await this.#verification.check({ jid, code, ip })
    const account = { jid, isNumber: true, fingerprint: undefined, secrets: [] }
    return (await this.#verification.redeem(proof, account, TAKING)).outcome === 'made'
  }
  #start({ database }: Stores): Verification {
    return new Verification({
      store: new SqlVerificationStore(database),
      throttle: new Throttle(Buffer.alloc(32, 1)),
      providers: [
        {
          name: 'fake',
          sender: 'Fake',
          send: async (message) => {
            this.sent.push({ ...message, at: this.clock.now })
            return undefined
          },
        },
      ],
      key: Buffer.alloc(32, 2),
      now: () => this.clock.now,
    })
  }
}

/** Most that fell into any window of this length. Times ascend. */
function most(times: readonly number[], windowMs: number): number {
  let [from, best] = [0, 0]
  for (const [to, at] of times.entries()) {
    while ((times[from] as number) <= at - windowMs) from++
    best = Math.max(best, to - from + 1)
  }
  return best
}

/** What the flood is after, and who comes meanwhile: the `i`th number and address of each kind. */
const FLOODS: Readonly<
  Record<
    string,
    {
      readonly targets: readonly Target[]
      /** What is open in a day to those of whom nothing is known. */
      readonly day: number
      readonly honest: readonly ((i: number) => readonly [string, string])[]
    }
  >
> = {
  'of numbers abroad: at home also those get in of whom nothing is known': {
    targets: ABROAD,
    day: TOTAL.day / 2,
    honest: [
      (i) => [honest('+49151230', i), `198.51.100.${i}`],
      (i) => [honest(`+4917${i % 7}1`, i), `198.${60 + i}.9.9`],
    ],
  },
  'of numbers at home: those get in whose prefix or network is known': {
    targets: [HOME],
    day: COUNTRY_DAY / 2,
    honest: [
      (i) => [honest('+49151230', i), `198.${60 + i}.9.9`],
      (i) => [honest(`+4917${i % 7}1`, i), `203.0.113.${i}`],
    ],
  },
}
const ASKED_IN_A_DAY = 5_000
const STREAMS = 1_000
const ASKED_ON_EACH = 10
const AT_ONCE = 10

for (const [name, { targets, day, honest: kinds }] of Object.entries(FLOODS))
  withStores(`row 32: a flood of 5,000 in a day, ${name}`, async (stores) => {
    const town = new Town(stores)
    const flood = new Flood(targets)
    // Before it a few have registered, as they do anywhere.
    for (let i = 0; i < 4; i++) assert.ok(await town.registers(honest('+49151230', 100 + i), `203.0.113.${100 + i}`))
    town.clock.now += 25 * HOUR
    const [before, other] = [town.sent.length, await stores.second()]
    let registered = 0
    for (let i = 0; i < ASKED_IN_A_DAY; i += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => town.asks(flood.number(), flood.address())))
      if (i === ASKED_IN_A_DAY / 2) town.restarts(other)
      town.clock.now += (24 * HOUR * AT_ONCE) / ASKED_IN_A_DAY
      if (i % 250 !== 240) continue
      for (const kind of kinds) {
        const [phone, ip] = kind(registered)
        assert.ok(await town.registers(phone, ip), `${phone} from ${ip} after ${i} of the flood`)
        registered++
      }
    }
    assert.equal(registered, 40)
    const codes = town.sent.slice(before)
    const toFlood = codes.length - registered
    // A window begins with what is spent first in it, so two of them may meet in an hour, or in a day.
    assert.ok(
      most(
        codes.map(({ at }) => at),
        HOUR,
      ) <=
        2 * TOTAL.hour,
    )
    // Each code that was confirmed speaks for three more.
    assert.ok(toFlood <= day + TOTAL.hour + 3 * (registered + 4), `${toFlood} in a day`)
    assert.ok(toFlood >= day, `it was no flood: ${toFlood}`)
    for (const { country, start } of targets) {
      const those = codes.filter(({ to }) => to.startsWith(start)).length
      assert.ok(those <= COUNTRY_DAY / 2, `${those} to ${country}`)
    }
  })

withStores('row 32: who keeps asking is not locked out for longer, nor let in by a restart', async (stores) => {
  const town = new Town(stores)
  const began = town.clock.now
  const phone = honest('+49151230', 1)
  for (let i = 0; i < 3; i++) assert.ok(await town.asks(phone, '192.0.2.1'))
  for (town.clock.now += 60_000; town.clock.now < began + HOUR; town.clock.now += 60_000) {
    assert.equal(await town.asks(phone, '192.0.2.1'), undefined)
    town.restarts(stores)
  }
  assert.ok(await town.asks(phone, '192.0.2.1'))
})

const STORY = 'row 32: 10,000 requests on a thousand streams, a kill in the middle, guessed codes and numbers'
test(`${STORY} (sqlite)`, (t) => streams(t, undefined))
withPostgres(STORY, (databaseUrl, t) => streams(t, databaseUrl))

/** The real program, over TLS, with the limits that it comes with. */
async function streams(t: TestContext, databaseUrl: string | undefined): Promise<void> {
  const server = await ServerProcess.prepare({
    databaseUrl,
    config: { account: { registration: ['sms'] }, sms: { provider: 'console' }, log: { level: 'warn' } },
  })
  t.after(() => server.remove())
  await server.start()
  const { directTlsPort: port, domain } = server
  const connect = (localAddress: string) => XmppConnection.open({ port, domain, directTls: true, localAddress })
  const open = async (from: string): Promise<XmppConnection> => {
    const c = await connect(from)
    await secureStream(c)
    return c
  }
  async function step(c: XmppConnection, fields: Readonly<Record<string, string>>): Promise<string> {
    c.write(registrationForm({ FORM_TYPE: 'jabber:iq:register', ...fields }))
    return write(await c.element())
  }
  const password = 'a password, 123'
  async function registers(phone: string, from: string): Promise<void> {
    const c = await open(from)
    assert.match(await step(c, { phone, challenge: 'pin' }), /type='result'/, `${phone} from ${from}`)
    const lines = [...server.output.matchAll(new RegExp(`ending in ${HONEST}: the code is (\\d+)`, 'g'))]
    assert.match(await step(c, { phone, code: lines.at(-1)?.[1] ?? '', password }), /type='result'/)
    c.destroy()
  }
  /** What the metrics say of a counter, over all labels but those given. */
  async function sum(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const page = await (await fetch(`http://127.0.0.1:${server.opsPort}/metrics`)).text()
    const lines = page.split('\n').filter((line) => line.startsWith(`fernruf_${name}{`))
    return lines
      .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  const flood = new Flood(ABROAD)
  const told = { sent: 0, refused: 0 }
  async function stream(i: number): Promise<void> {
    const c = await open(`127.${1 + (i % 90)}.${i % 50}.${1 + (i % 200)}`)
    for (let k = 0; k < ASKED_ON_EACH; k++) {
      const answer = await step(c, { phone: flood.number(), challenge: 'pin' })
      const isSent = answer.includes(`type='result'`)
      if (!isSent) assert.match(answer, /<error type='wait'.*<service-unavailable.*Too many attempts\./)
      told[isSent ? 'sent' : 'refused']++
    }
    c.destroy()
  }

  for (let i = 0; i < 3; i++) await registers(honest('+49151230', i), `127.100.0.${1 + i}`)
  for (let i = 0; i < STREAMS; i += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => stream(i + k)))
    if (i % 100 === 90) {
      const k = (i - 90) / 100
      if (k % 2 === 0) await registers(honest('+49151230', 10 + k), `127.${150 + k}.1.1`)
      else await registers(honest('+491761', k), `127.100.${k}.1`)
    }
    if (i !== 490) continue
    // Of what is for those of whom nothing is known, the honest ones before the flood had the first.
    assert.equal(told.sent, TOTAL.hour / 2 - 1)
    assert.equal(await sum('sms_sent_total'), told.sent + 3 + 5)
    await server.end('SIGKILL')
    await server.start()
  }
  assert.equal(told.sent + told.refused, STREAMS * ASKED_ON_EACH)
  assert.equal(told.sent, TOTAL.hour / 2 - 1, 'a restart gives nothing')
  assert.equal(await sum('sms_sent_total'), 5)
  for (const [name, labels] of [
    ['sms_sent_total', { provider: 'console', outcome: 'sent', country: 'DE' }],
    ['sms_confirmed_total', { country: 'DE' }],
  ] as const)
    assert.equal(await sum(name, labels), 5)
  assert.ok((await sum('registration_refused_total', { budget: 'total-unproved' })) > 0)

  // Codes of one number are guessed from many addresses: five are looked at.
  const victim = honest('+49151230', 30)
  assert.match(await step(await open('127.100.9.1'), { phone: victim, challenge: 'pin' }), /type='result'/)
  for (let i = 0; i < 40; i++) {
    const c = await open(`127.${180 + i}.1.1`)
    for (let k = 0; k < 5; k++)
      assert.match(await step(c, { phone: victim, code: flood.guess(), password }), /<bad-request/)
    c.destroy()
  }
  const guesses = (outcome: string) => sum('register_steps_total', { step: 'code', outcome })
  assert.deepEqual([await guesses('wrong-code'), await guesses('locked')], [5, 195])

  // One who is in asks for whoever else is.
  const c = await connect('127.100.0.1')
  const hash = (text: string) => createHash('sha1').update(text).digest('hex')
  await logIn(c, { username: hash(honest('+49151230', 0)), password })
  await bind(c, 'r')
  for (let i = 0; i < 5; i++) {
    const items = Array.from({ length: 500 }, (_, k) => `<item jid='${hash(`${i} ${k}`)}@${domain}'/>`)
    const query = `<query xmlns='http://kontalk.org/extensions/roster'>${items.join('')}</query>`
    c.write(`<iq type='get' id='e${i}' to='probe@${domain}'>${query}</iq>`)
    assert.match(write(await c.element()), /type='result'/)
  }
  c.destroy()
  const items = (outcome: string) => sum('contact_discovery_items_total', { outcome })
  assert.deepEqual([await items('unknown'), await items('withheld')], [1_000, 1_500])
}
