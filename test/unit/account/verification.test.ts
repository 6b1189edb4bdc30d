import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { parsePhone } from '../../../src/account/phone-number.ts'
import { SmsError } from '../../../src/account/sms-provider.ts'
import { VerificationError, type VerificationFault } from '../../../src/account/verification.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'
import {
  FakeSms,
  IP,
  madeBy,
  openMemory,
  PHONE,
  PHONE_JID,
  TAKING,
  type World,
  type WorldOptions,
  worldOn,
} from './world.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const stores = await openMemory()
const world = (t: TestContext, options?: WorldOptions) => worldOn(stores, t, options)

function request(w: World, call: { phone?: string; jid?: string; ip?: string; fallback?: boolean } = {}) {
  const phone = parsePhone(call.phone ?? PHONE)
  assert.ok(phone)
  const jid = (call.jid ?? PHONE_JID) as BareJid
  return w.verification.request({ phone, jid, ip: call.ip ?? IP, fallback: call.fallback ?? false, isForced: false })
}
const check = (w: World, code: string, ip = IP) => w.verification.check({ jid: PHONE_JID, code, ip })
const redeem = async (w: World, code: string) =>
  madeBy(
    await w.verification.redeem(
      await check(w, code),
      { jid: PHONE_JID, isNumber: true, fingerprint: undefined, secrets: [] },
      TAKING,
    ),
  )
const wrong = (w: World) => String((Number(w.sms.code) + 1) % 1_000_000).padStart(6, '0')
async function refuses(work: Promise<unknown>, fault: VerificationFault): Promise<VerificationError> {
  const error: unknown = await work.then(
    () => assert.fail(`expected ${fault}`),
    (e: unknown) => e,
  )
  assert.ok(error instanceof VerificationError, String(error))
  assert.equal(error.fault, fault)
  return error
}
const rows = (w: World) =>
  w.stores.database.query<{ state: string; tries: number }>('select state, tries from verification')
const spent = async (w: World, kind: string) =>
  (await w.stores.database.query<{ spent: number }>('select spent from budget where kind = $1', [kind]))[0]?.spent

describe('a code', () => {
  test('has six digits, is sent, and opens the account once', async (t) => {
    const w = await world(t)
    assert.deepEqual(await request(w), { sender: 'Sender fake', sent: true, canFallback: false })
    assert.match(w.sms.code, /^\d{6}$/)
    assert.equal(w.sms.messages[0]?.to, PHONE)
    assert.equal(w.sms.messages[0]?.text, `${w.sms.code} is your code for example.org.`)
    assert.deepEqual(await rows(w), [{ state: 'sent', tries: 0 }])
    assert.equal((await redeem(w, w.sms.code)).jid, PHONE_JID)
    assert.deepEqual(await rows(w), [{ state: 'confirmed', tries: 1 }])
    assert.equal((await check(w, w.sms.code)).used, true)
    await refuses(redeem(w, w.sms.code), 'expired')
  })
  test('may be typed with gaps', async (t) => {
    const w = await world(t)
    await request(w)
    assert.ok(await check(w, ` ${w.sms.code.slice(0, 3)} ${w.sms.code.slice(3)} `))
  })
  test('is not stored, nor is the number or the address', async (t) => {
    const w = await world(t)
    await request(w)
    const stored = JSON.stringify([
      await w.stores.database.query('select * from verification'),
      await w.stores.database.query('select * from budget'),
    ])
    for (const secret of [w.sms.code, PHONE.slice(1), PHONE_JID.slice(0, 40), IP]) assert.ok(!stored.includes(secret))
  })
  test('is locked after five wrong ones, also for the right one', async (t) => {
    const w = await world(t)
    await request(w)
    for (let i = 0; i < 5; i++) await refuses(check(w, wrong(w)), 'wrong-code')
    assert.deepEqual(await rows(w), [{ state: 'locked', tries: 5 }])
    await refuses(check(w, w.sms.code), 'locked')
  })
  test('is right at the fifth try too', async (t) => {
    const w = await world(t)
    await request(w)
    for (let i = 0; i < 4; i++) await refuses(check(w, wrong(w)), 'wrong-code')
    assert.ok(await redeem(w, w.sms.code))
  })
  test('tried many times at once is compared five times', async (t) => {
    const w = await world(t)
    await request(w)
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => check(w, wrong(w))))
    const faults = tries.map((r) => (r.status === 'rejected' ? (r.reason as VerificationError).fault : 'right'))
    assert.equal(faults.filter((f) => f === 'wrong-code').length, 5)
    assert.equal(faults.filter((f) => f === 'locked').length, 15)
  })
  test('expires', async (t) => {
    const w = await world(t)
    await request(w)
    w.clock.now += 10 * MINUTE
    await refuses(check(w, w.sms.code), 'expired')
    assert.deepEqual(await rows(w), [{ state: 'expired', tries: 0 }])
  })
  test('that expires between check and redemption opens nothing', async (t) => {
    const w = await world(t)
    await request(w)
    const proof = await check(w, w.sms.code)
    w.clock.now += 10 * MINUTE
    const account = { jid: PHONE_JID, isNumber: true, fingerprint: undefined, secrets: [] }
    assert.equal((await w.verification.redeem(proof, account, TAKING)).outcome, 'gone')
    assert.equal(await w.accounts.find(PHONE_JID), undefined)
  })
  test('is replaced by the next one, with tries of its own', async (t) => {
    const w = await world(t)
    await request(w)
    const first = w.sms.code
    for (let i = 0; i < 5; i++) await refuses(check(w, wrong(w)), 'wrong-code')
    do await request(w)
    while (w.sms.code === first)
    await refuses(check(w, first), 'wrong-code')
    assert.ok(await redeem(w, w.sms.code))
  })
  test('nobody asked for is a wrong one', async (t) => {
    await refuses(check(await world(t), '123456'), 'wrong-code')
  })
  test('of any shape is only wrong', async (t) => {
    const w = await world(t)
    await request(w)
    for (const code of ['', '12345', '１２３４５６', '1'.repeat(100_000)]) await refuses(check(w, code), 'wrong-code')
  })
})

describe('budgets', () => {
  test('of a number end, tell until when, and open again', async (t) => {
    const w = await world(t, { throttle: { number: { hour: 2, day: 9 } } })
    const start = w.clock.now
    await request(w)
    await request(w, { ip: '192.0.2.2' })
    w.clock.now += 59 * MINUTE
    assert.equal((await refuses(request(w, { ip: '192.0.2.3' }), 'throttled')).until, start + HOUR)
    w.clock.now = start + HOUR
    await request(w)
  })
  test('are not spent by refused attempts, which make no lock-out longer', async (t) => {
    const w = await world(t, { throttle: { number: { hour: 1, day: 9 } } })
    const start = w.clock.now
    await request(w)
    for (let i = 0; i < 20; i++) {
      w.clock.now += MINUTE
      await refuses(request(w), 'throttled')
    }
    assert.equal(await spent(w, 'total'), 1)
    assert.equal(w.sms.messages.length, 1)
    w.clock.now = start + HOUR
    await request(w)
  })
  test('of an address, a prefix, a country and all', async (t) => {
    const one = { hour: 1, day: 9 }
    const [a, b, c] = ['+491701234567', '+491701999999', '+491719999999']
    const tries: [string, { phone: string; ip: string }, { phone: string; ip: string }][] = [
      ['address', { phone: a, ip: '2001:db8::1' }, { phone: '+447911123456', ip: '2001:db8::2' }],
      ['prefix', { phone: a, ip: '192.0.2.1' }, { phone: b, ip: '192.0.2.2' }],
      ['country', { phone: a, ip: '192.0.2.1' }, { phone: c, ip: '192.0.2.2' }],
      ['total', { phone: a, ip: '192.0.2.1' }, { phone: '+447911123456', ip: '192.0.2.2' }],
    ]
    for (const [kind, first, second] of tries) {
      const w = await world(t, { throttle: { [kind]: one } })
      await request(w, { ...first, jid: '1@example.org' })
      await refuses(request(w, { ...second, jid: '2@example.org' }), 'throttled')
    }
  })
  test('of a day hold where those of the hour would not', async (t) => {
    const w = await world(t, { throttle: { number: { hour: 2, day: 3 } } })
    for (let i = 0; i < 3; i++) {
      await request(w)
      w.clock.now += HOUR
    }
    await refuses(request(w), 'throttled')
  })
  test('of nothing let nothing through', async (t) => {
    const w = await world(t, { throttle: { total: { hour: 0, day: 0 } } })
    await refuses(request(w), 'throttled')
  })
  test('are spent for numbers that have an account too', async (t) => {
    const w = await world(t, { throttle: { number: { hour: 2, day: 9 } } })
    await request(w)
    await redeem(w, w.sms.code)
    await refuses(request(w), 'taken')
    await refuses(request(w), 'throttled')
    assert.equal(w.sms.messages.length, 1)
  })
  test('bound the codes tried from one address, also those for nobody', async (t) => {
    const w = await world(t, { throttle: { tries: { hour: 3, day: 9 } } })
    for (let i = 0; i < 3; i++) await refuses(check(w, '000000'), 'wrong-code')
    await refuses(check(w, '000000'), 'throttled')
    await refuses(check(w, '000000', '192.0.2.9'), 'wrong-code')
  })
  test('spend one unit each however many ask at once', async (t) => {
    const w = await world(t, { throttle: { number: { hour: 3, day: 9 } } })
    const asked = await Promise.allSettled(Array.from({ length: 10 }, () => request(w)))
    assert.equal(asked.filter((r) => r.status === 'fulfilled').length, 3)
    assert.equal(w.sms.messages.length, 3)
  })
})

test('what is over is removed', async (t) => {
  const w = await world(t)
  await request(w)
  assert.equal(await w.verification.purge(), 0)
  w.clock.now += 10 * MINUTE
  assert.equal(await w.verification.purge(), 1)
  w.clock.now += 24 * HOUR
  assert.equal(await w.verification.purge(), 16, 'budgets')
  w.clock.now += 13 * 7 * 24 * HOUR
  assert.equal(await w.verification.purge(), 3, 'sources')
})

describe('a provider', () => {
  const never = () => new Promise<undefined>(() => undefined)
  /** Lets the asker's patience pass, once the message is with the provider. */
  async function pass(t: TestContext, sms: FakeSms, act: FakeSms['act'], ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    sms.act = (message, signal) => {
      setImmediate(() => {
        t.mock.timers.tick(ms)
        resolve()
      })
      return act(message, signal)
    }
    return promise
  }

  test('that is slow does not keep the asker', async (t) => {
    const w = await world(t)
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { promise: taken, resolve: take } = Promise.withResolvers<undefined>()
    void pass(t, w.sms, () => taken, 8_000)
    assert.deepEqual(await request(w), { sender: 'Sender fake', sent: false, canFallback: false })
    assert.deepEqual(await rows(w), [{ state: 'requested', tries: 0 }])
    take(undefined)
    await w.verification.idle()
    assert.deepEqual(await rows(w), [{ state: 'sent', tries: 0 }])
    assert.ok(await redeem(w, w.sms.code))
  })
  test('that never answers is given up, and the other one tried', async (t) => {
    const fallback = new FakeSms('second')
    const w = await world(t, { fallback })
    t.mock.timers.enable({ apis: ['setTimeout'] })
    void pass(t, w.sms, never, 30_000)
    const sent = await request(w)
    assert.equal(sent.canFallback, true)
    await w.verification.idle()
    assert.equal(fallback.code, w.sms.code)
    assert.deepEqual(
      w.reports.map((r) => [r.provider, r.outcome]),
      [
        ['fake', 'timeout'],
        ['second', 'sent'],
      ],
    )
  })
  test('that fails is replaced by the other one at once', async (t) => {
    const fallback = new FakeSms('second')
    const w = await world(t, { fallback })
    w.sms.act = async () => {
      throw new SmsError('unavailable')
    }
    assert.deepEqual(await request(w), { sender: 'Sender second', sent: true, canFallback: true })
    assert.ok(await redeem(w, fallback.code))
  })
  test('is the other one when the user asks so', async (t) => {
    const fallback = new FakeSms('second')
    const w = await world(t, { fallback })
    assert.deepEqual(await request(w, { fallback: true }), { sender: 'Sender second', sent: true, canFallback: false })
    assert.equal(w.sms.messages.length, 0)
  })
  test('that fails with no other one ends the request', async (t) => {
    const w = await world(t)
    w.sms.act = async () => {
      throw new SmsError('unauthorized')
    }
    await refuses(request(w), 'unable')
    await refuses(check(w, w.sms.code), 'expired')
  })
  test('may throw anything; what it says goes nowhere', async (t) => {
    const w = await world(t)
    w.sms.act = async (message) => {
      throw new Error(`cannot reach ${message.to}`)
    }
    await refuses(request(w), 'unable')
    assert.deepEqual(w.reports, [
      { provider: 'fake', step: 'send', country: 'DE', outcome: 'unavailable', cause: undefined },
    ])
  })
  test('still at work is given up at the stop', async (t) => {
    const w = await world(t, { limits: { answerMs: 0 } })
    w.sms.act = never
    await request(w)
    await w.verification.close()
    assert.deepEqual(
      w.reports.map((r) => r.outcome),
      ['timeout'],
    )
  })
  test('that ends late does not touch the code that came after', async (t) => {
    const w = await world(t, { limits: { answerMs: 0 } })
    const { promise: first, reject } = Promise.withResolvers<undefined>()
    w.sms.act = () => first
    await request(w)
    w.sms.act = async () => undefined
    await request(w)
    reject(new SmsError('unavailable'))
    await w.verification.idle()
    assert.deepEqual(await rows(w), [{ state: 'sent', tries: 0 }])
  })
})
