import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { parsePhone } from '../../../src/account/phone-number.ts'
import { type ProviderCodes, SmsError } from '../../../src/account/sms-provider.ts'
import { VerificationError, type VerificationFault } from '../../../src/account/verification.ts'
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
const RIGHT = '246810'
const stores = await openMemory()

/** A provider that makes and checks its own code: the same one always. */
function holding(sms: FakeSms, next = true) {
  const calls: string[] = []
  const codes = {
    check: async (ticket: string, code: string) => {
      calls.push(`check ${ticket}`)
      return code === RIGHT ? 'right' : 'wrong'
    },
    cancel: async (ticket: string) => void calls.push(`cancel ${ticket}`),
    ...(next ? { next: async (ticket: string) => void calls.push(`next ${ticket}`) } : {}),
  } satisfies ProviderCodes
  const use: { -readonly [K in keyof ProviderCodes]: ProviderCodes[K] } = codes
  sms.codes = use
  let tickets = 0
  sms.act = async () => `t${++tickets}`
  return { calls, use }
}
async function world(t: TestContext, options: WorldOptions = {}) {
  const w = await worldOn(stores, t, options)
  return { ...w, ...holding(w.sms) }
}
function request(w: World, fallback = false) {
  const phone = parsePhone(PHONE)
  assert.ok(phone)
  return w.verification.request({ phone, jid: PHONE_JID, ip: IP, fallback, isForced: false })
}
const check = (w: World, code: string) => w.verification.check({ jid: PHONE_JID, code, ip: IP })
const redeem = async (w: World, code: string) =>
  madeBy(
    await w.verification.redeem(
      await check(w, code),
      { jid: PHONE_JID, isNumber: true, fingerprint: undefined, secrets: [] },
      TAKING,
    ),
  )
async function refuses(work: Promise<unknown>, fault: VerificationFault): Promise<void> {
  await assert.rejects(work, (e) => e instanceof VerificationError && e.fault === fault)
}
const rows = (w: World) =>
  w.stores.database.query<{ state: string; tries: number; provider: string | null; ticket: string | null }>(
    'select state, tries, provider, ticket from verification',
  )

describe('a code that the provider made', () => {
  test('is checked by it, and opens the account once', async (t) => {
    const w = await world(t)
    await request(w)
    assert.deepEqual(await rows(w), [{ state: 'sent', tries: 0, provider: 'fake', ticket: 't1' }])
    assert.equal((await redeem(w, ' 246 810')).jid, PHONE_JID)
    assert.deepEqual(w.calls, ['check t1'])
    assert.deepEqual(w.reports, [
      { provider: 'fake', step: 'send', country: 'DE', outcome: 'sent', cause: undefined },
      { provider: 'fake', step: 'check', country: 'DE', outcome: 'right', cause: undefined },
    ])
  })
  test('once right is ours: the provider is asked once, whatever happens then', async (t) => {
    const w = await world(t)
    await request(w)
    await check(w, RIGHT)
    assert.equal((await redeem(w, RIGHT)).jid, PHONE_JID)
    assert.equal((await check(w, RIGHT)).used, true)
    await refuses(check(w, '135791'), 'wrong-code')
    assert.deepEqual(w.calls, ['check t1'])
  })
  test('is not stored, nor is one that was tried', async (t) => {
    const w = await world(t)
    await request(w)
    await refuses(check(w, '135791'), 'wrong-code')
    await check(w, RIGHT)
    const stored = JSON.stringify(await w.stores.database.query('select * from verification'))
    for (const secret of [RIGHT, '135791', PHONE.slice(1)]) assert.ok(!stored.includes(secret))
  })
  test('is not the one we would have sent', async (t) => {
    const w = await world(t)
    await request(w)
    await refuses(check(w, w.sms.code), 'wrong-code')
    assert.deepEqual(w.calls, ['check t1'])
  })
  test('is locked after five wrong ones, and the provider asked no more', async (t) => {
    const w = await world(t)
    await request(w)
    for (let i = 0; i < 5; i++) await refuses(check(w, '135791'), 'wrong-code')
    await refuses(check(w, RIGHT), 'locked')
    assert.equal(w.calls.length, 5)
  })
  test('expires with us, whatever the provider says', async (t) => {
    const w = await world(t)
    await request(w)
    w.clock.now += 10 * MINUTE
    await refuses(check(w, RIGHT), 'expired')
    assert.deepEqual(w.calls, [])
  })
  test('is expired when the provider knows it no more', async (t) => {
    const w = await world(t)
    await request(w)
    w.use.check = async () => 'gone'
    await refuses(check(w, RIGHT), 'expired')
  })
  test('of a provider that the config names no more is expired', async (t) => {
    const w = await world(t)
    await request(w)
    await w.stores.database.query(`update verification set provider = 'other'`)
    await refuses(check(w, RIGHT), 'expired')
  })
  test('cannot be checked while the provider fails, and can be later', async (t) => {
    const w = await world(t)
    await request(w)
    const { check: works } = w.use
    w.use.check = () => Promise.reject(new SmsError('unavailable'))
    await refuses(check(w, RIGHT), 'unable')
    w.use.check = () => Promise.reject(new Error(RIGHT))
    await refuses(check(w, RIGHT), 'unable')
    assert.deepEqual(w.reports.at(-1), {
      provider: 'fake',
      step: 'check',
      country: 'DE',
      outcome: 'unavailable',
      cause: undefined,
    })
    w.use.check = works
    assert.ok(await redeem(w, RIGHT))
    assert.equal((await rows(w))[0]?.tries, 3)
  })
  test('is asked about for eight seconds and no longer', async (t) => {
    const w = await world(t)
    await request(w)
    t.mock.timers.enable({ apis: ['setTimeout'] })
    w.use.check = () => {
      setImmediate(() => t.mock.timers.tick(8_000))
      return new Promise(() => undefined)
    }
    await refuses(check(w, RIGHT), 'unable')
    assert.equal(w.reports.at(-1)?.outcome, 'timeout')
  })
  test('that comes twice at once makes one account', async (t) => {
    const w = await world(t)
    await request(w)
    const made = await Promise.allSettled([redeem(w, RIGHT), redeem(w, RIGHT), redeem(w, RIGHT)])
    assert.equal(made.filter((m) => m.status === 'fulfilled' && m.value !== undefined).length, 1)
  })
})

describe('another request for the number', () => {
  test('cancels the former one first', async (t) => {
    const w = await world(t)
    await request(w)
    await request(w)
    assert.deepEqual(w.calls, ['cancel t1'])
    assert.equal((await rows(w))[0]?.ticket, 't2')
  })
  test('goes on when that cannot be cancelled', async (t) => {
    const w = await world(t)
    await request(w)
    w.use.cancel = () => Promise.reject(new SmsError('unavailable'))
    await request(w)
    assert.equal((await rows(w))[0]?.ticket, 't2')
  })
  test('another way is the same code by a call', async (t) => {
    const w = await world(t)
    assert.equal((await request(w)).canFallback, true)
    assert.deepEqual(await request(w, true), { sender: 'Sender fake', sent: true, canFallback: false })
    assert.deepEqual(w.calls, ['next t1'])
    assert.equal(w.sms.messages.length, 1)
    assert.deepEqual(await rows(w), [{ state: 'sent', tries: 0, provider: 'fake', ticket: 't1' }])
    assert.ok(await redeem(w, RIGHT))
  })
  test('another way is a new code when there is no call to be had', async (t) => {
    const w = await world(t)
    await request(w)
    w.use.next = () => Promise.reject(new SmsError('refused'))
    await request(w, true)
    assert.deepEqual(w.calls, ['cancel t1'])
    assert.equal((await rows(w))[0]?.ticket, 't2')
  })
  test('another way is not a call where the provider makes none', async (t) => {
    const w = await worldOn(stores, t)
    const { calls } = holding(w.sms, false)
    assert.equal((await request(w)).canFallback, false)
    await request(w, true)
    assert.deepEqual(calls, ['cancel t1'])
  })
  test('does not look at one that is over', async (t) => {
    const w = await world(t)
    await request(w)
    w.clock.now += 10 * MINUTE
    await request(w, true)
    assert.deepEqual(w.calls, [])
  })
  test('that comes while the first is on its way leaves no ticket lying about', async (t) => {
    const w = await world(t, { limits: { answerMs: 0 } })
    const { promise, resolve } = Promise.withResolvers<string>()
    w.sms.act = () => promise
    await request(w)
    w.sms.act = async () => 'second'
    await request(w)
    resolve('first')
    await w.verification.idle()
    assert.deepEqual(w.calls, ['cancel first'])
    assert.equal((await rows(w))[0]?.ticket, 'second')
  })
})

describe('a chain', () => {
  test('sends our code when the provider with its own fails', async (t) => {
    const fallback = new FakeSms('second')
    const w = await world(t, { fallback })
    w.sms.act = () => Promise.reject(new SmsError('unpaid'))
    assert.equal((await request(w)).sender, 'Sender second')
    assert.deepEqual(await rows(w), [{ state: 'sent', tries: 0, provider: null, ticket: null }])
    assert.ok(await redeem(w, fallback.code))
    assert.deepEqual(w.calls, [])
  })
  test('calls before it goes on, and cancels when it does', async (t) => {
    const fallback = new FakeSms('second')
    const w = await world(t, { fallback })
    await request(w)
    await request(w, true)
    assert.equal(fallback.messages.length, 0)
    w.use.next = () => Promise.reject(new SmsError('refused'))
    await request(w, true)
    assert.deepEqual(w.calls, ['next t1', 'cancel t1'])
    assert.ok(await redeem(w, fallback.code))
  })
  test('whose database is away when the ticket comes gives the code up', async (t) => {
    const w = await world(t)
    t.mock.method(w.store, 'settle', () => Promise.reject(new Error('away')))
    await refuses(request(w), 'unable')
    assert.deepEqual(w.calls, ['cancel t1'])
  })
})
