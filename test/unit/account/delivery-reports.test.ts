import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { parsePhone } from '../../../src/account/phone-number.ts'
import { type DeliveryStatus, ReportError } from '../../../src/account/sms-provider.ts'
import { FakeSms, IP, openMemory, PHONE, PHONE_JID, type World, type WorldOptions, worldOn } from './world.ts'

const stores = await openMemory()

/** Reports of which the test says all. */
function reporting(sms: FakeSms): boolean[] {
  const settled: boolean[] = []
  sms.reports = {
    read: (_, body, now) => {
      const { status, reference, id } = JSON.parse(body.toString()) as Record<string, string>
      if (status === 'forged') throw new ReportError('signature')
      return { status: status as DeliveryStatus, reference, id: id ?? '', issuedAt: now }
    },
    settled: (isDelivered) => void settled.push(isDelivered),
  }
  return settled
}
async function world(t: TestContext, options: WorldOptions = {}) {
  const other = new FakeSms('other')
  const w = await worldOn(stores, t, { fallback: other, ...options })
  return { ...w, other, settled: reporting(w.sms) }
}
function request(w: World, fallback = false) {
  const phone = parsePhone(PHONE)
  assert.ok(phone)
  return w.verification.request({ phone, jid: PHONE_JID, ip: IP, fallback, isForced: false })
}
let ids = 0
const says = (w: World, status: string, reference = w.sms.messages.at(-1)?.reference, id = String(++ids)) =>
  w.verification.report('fake', () => undefined, Buffer.from(JSON.stringify({ status, reference, id })))

describe('a message that could not be delivered', () => {
  test('makes the next request go to somebody else, who spends as any other', async (t) => {
    const w = await world(t, { throttle: { number: { hour: 2, day: 6 } } })
    await request(w)
    assert.equal(await says(w, 'failed'), true)
    assert.equal((await request(w)).sender, 'Sender other')
    assert.equal(w.other.messages.length, 1)
    assert.equal(w.sms.messages.length, 1)
    await assert.rejects(request(w), /throttled/)
    assert.deepEqual(w.settled, [false])
    assert.deepEqual(w.heard, ['fake failed'])
  })
  test('makes its provider the last one, not none', async (t) => {
    const w = await world(t)
    await request(w)
    await says(w, 'undeliverable')
    w.other.act = () => Promise.reject(new Error('away'))
    assert.equal((await request(w)).sender, 'Sender fake')
    assert.notEqual(w.sms.messages[0]?.reference, w.sms.messages[1]?.reference)
  })
  test('may have come all the same: its code is good until there is another', async (t) => {
    const w = await world(t)
    await request(w)
    await says(w, 'failed')
    await w.verification.check({ jid: PHONE_JID, code: w.sms.code, ip: IP })
  })
  test('is nobody’s fault when the telephone was off', async (t) => {
    const w = await world(t)
    await request(w)
    await says(w, 'expired')
    assert.deepEqual(w.settled, [])
    assert.equal((await request(w)).sender, 'Sender other')
  })
  test('is brought the next way at once where the provider holds the code and has one, once', async (t) => {
    const w = await world(t)
    const calls: string[] = []
    w.sms.act = async () => 't1'
    w.sms.codes = {
      check: async () => 'wrong',
      cancel: async () => undefined,
      next: async (ticket) => void calls.push(ticket),
    }
    await request(w)
    await says(w, 'failed')
    await says(w, 'failed')
    await w.verification.idle()
    assert.deepEqual(calls, ['t1'])
    const outcome = { provider: 'fake', step: 'send', country: 'DE', outcome: 'sent', cause: undefined }
    assert.deepEqual(w.reports, [outcome, outcome])
  })
})

describe('a report', () => {
  test('of a message that came, or of none that is waited for, changes nothing', async (t) => {
    const w = await world(t)
    await request(w)
    assert.equal(await says(w, 'failed', 'of another server'), true, 'whoever signs well is told nothing')
    assert.equal(await says(w, 'delivered'), true)
    assert.equal(await says(w, 'failed'), true)
    assert.deepEqual(w.settled, [true])
    assert.equal((await request(w)).sender, 'Sender fake')
    assert.deepEqual(w.heard, ['fake failed', 'fake delivered', 'fake failed'])
  })
  test('of a message whose provider was given up is too late', async (t) => {
    const w = await world(t)
    w.sms.act = () => Promise.reject(new Error('away'))
    reporting(w.other)
    await request(w)
    await says(w, 'failed')
    await request(w)
    assert.equal(w.sms.messages.length, 2)
    assert.deepEqual(w.settled, [])
  })
  test('that comes again, is forged, or comes from nobody who makes any, is none', async (t) => {
    const w = await world(t)
    await request(w)
    assert.equal(await says(w, 'pending', undefined, 'twice'), true)
    assert.equal(await says(w, 'failed', undefined, 'twice'), false)
    assert.equal(await says(w, 'forged'), false)
    assert.deepEqual(w.verification.reporters, ['fake'])
    for (const name of ['other', 'nobody'])
      assert.equal(await w.verification.report(name, () => undefined, Buffer.from('{}')), false)
    assert.deepEqual(w.heard, ['fake pending', 'fake replayed', 'fake signature'])
    assert.equal((await request(w)).sender, 'Sender fake')
  })
  test('may be quicker than the provider’s answer', async (t) => {
    const w = await world(t)
    w.sms.act = async () => {
      await says(w, 'failed')
      return undefined
    }
    await request(w)
    assert.equal((await request(w)).sender, 'Sender other')
  })
  test('holds neither number nor code in what is stored of it', async (t) => {
    const w = await world(t)
    await request(w)
    await says(w, 'failed')
    for (const table of ['verification', 'sms_report']) {
      const rows = await w.stores.database.query<Record<string, unknown>>(`select * from ${table}`)
      assert.equal(rows.length, 1)
      const text = rows
        .flatMap((row) =>
          Object.values(row).map((v) => (v instanceof Uint8Array ? Buffer.from(v).toString('latin1') : String(v))),
        )
        .join()
      assert.ok(!text.includes(PHONE.slice(1)) && !text.includes(w.sms.code), text)
    }
  })
})
