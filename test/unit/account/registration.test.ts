import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { readKey } from 'openpgp'
import { AccountError } from '../../../src/account/accounts.ts'
import { PasswordError } from '../../../src/account/password.ts'
import { RegistrationError } from '../../../src/account/registration.ts'
import { TakeoverError } from '../../../src/account/takeovers.ts'
import { VerificationError } from '../../../src/account/verification.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'
import { bridgeCertificate, phoneKey } from '../../helpers/bridge-certificate.ts'
import { keysInMemory } from '../../helpers/keys-in-memory.ts'
import {
  certificate,
  DOMAIN,
  IP,
  openMemory,
  PHONE,
  PHONE_JID,
  RULES,
  type World,
  type WorldOptions,
  worldOn,
} from './world.ts'

const stores = await openMemory()
const world = (t: TestContext, options?: WorldOptions) => worldOn(stores, t, options)
const where = { domain: DOMAIN, ip: IP }
const ask = (w: World, phone = PHONE, force = false) =>
  w.registration.submitPhone({ phone, fallback: false, force, ...where })
const withKey = (w: World, code: string, shown = certificate(PHONE_JID)) =>
  w.registration.submitCodeWithKey({ code, certificate: shown, ...where })
const withPassword = (w: World, code: string, password = 'deny thy father') =>
  w.registration.submitCodeWithPassword({ phone: PHONE, code, password, ...where })
const open = (w: World, username: string, password = 'deny thy father') =>
  w.registration.open({ username, password, ...where })
const wrong = (w: World) => String((Number(w.sms.code) + 1) % 1_000_000).padStart(6, '0')
async function refuses(work: Promise<unknown>, fault: string): Promise<void> {
  await assert.rejects(work, (e: unknown) => {
    const faults = [RegistrationError, VerificationError, AccountError, TakeoverError]
    return faults.some((f) => e instanceof f && e.fault === fault)
  })
}

describe('a number', () => {
  test('gets a code, for the address that its hash is', async (t) => {
    const w = await world(t)
    const sent = await ask(w, '+49 (0)170 1234567')
    assert.deepEqual(sent, { jid: PHONE_JID, sender: 'Sender fake', sent: true, canFallback: false })
  })
  test('that is none, or one codes are not sent to, costs nothing', async (t) => {
    const w = await world(t, { countries: new Set(['DE']) })
    await refuses(ask(w, '0170 1234567'), 'bad-number')
    await refuses(ask(w, '+499001234567'), 'number-refused')
    await refuses(ask(w, '+447911123456'), 'number-refused')
    await refuses(ask(w, '+15555215554'), 'number-refused')
    assert.equal(w.sms.messages.length, 0)
    assert.deepEqual(await w.stores.database.query('select * from budget'), [])
  })
  test('that has an account is taken', async (t) => {
    const w = await world(t)
    await ask(w)
    await withPassword(w, w.sms.code)
    await refuses(ask(w), 'taken')
  })
  test('gets nothing where registration is closed to numbers', async (t) => {
    const w = await world(t, { modes: ['open'] })
    await refuses(ask(w), 'closed')
    await refuses(withKey(w, '123456'), 'closed')
    await refuses(withPassword(w, '123456'), 'closed')
  })
})

describe('a code with a key', () => {
  test('makes the account, remembers the key and certifies it', async (t) => {
    const w = await world(t)
    await ask(w)
    const { account, key } = await withKey(w, w.sms.code)
    assert.deepEqual([account.jid, account.isNumber, account.fingerprint], [PHONE_JID, true, 'A'.repeat(40)])
    assert.equal(Buffer.from(key).toString(), `certified ${'A'.repeat(40)} for ${PHONE_JID}`)
    assert.deepEqual(w.certifier.kept, [Buffer.from(key).toString()])
    assert.deepEqual(w.changes, [[PHONE_JID, 'created', undefined]])
  })
  test('gets its answer again when it was lost, but for another key nothing', async (t) => {
    const w = await world(t)
    await ask(w)
    const first = await withKey(w, w.sms.code)
    assert.deepEqual(await withKey(w, w.sms.code), first)
    await refuses(withKey(w, w.sms.code, certificate(PHONE_JID, 'B'.repeat(40))), 'taken')
    assert.equal(w.changes.length, 1)
  })
  test('whose certification failed may come again', async (t) => {
    const w = await world(t)
    await ask(w)
    w.certifier.fail = 'certify'
    await refuses(withKey(w, w.sms.code), 'not-certified')
    assert.equal(await w.accounts.find(PHONE_JID), undefined)
    w.certifier.fail = 'registered'
    await refuses(withKey(w, w.sms.code), 'not-certified')
    w.certifier.fail = undefined
    assert.equal((await withKey(w, w.sms.code)).account.jid, PHONE_JID)
  })
  test('needs the key of that number and of this domain', async (t) => {
    const w = await world(t)
    await ask(w)
    const local = PHONE_JID.slice(0, 40)
    for (const address of [`${local}@example.com`, `${local}@xexample.org`, 'example.org', ''])
      await refuses(withKey(w, w.sms.code, certificate(address)), 'bad-key')
    await refuses(withKey(w, w.sms.code, Buffer.from('none')), 'bad-key')
    await refuses(withKey(w, w.sms.code, certificate(`${'0'.repeat(40)}@example.org`)), 'wrong-code')
    await refuses(withKey(w, w.sms.code, certificate('romeo@example.org')), 'wrong-code')
    await withKey(w, w.sms.code, certificate(PHONE_JID))
  })
  test('must be the right one', async (t) => {
    const w = await world(t)
    await ask(w)
    await refuses(withKey(w, wrong(w)), 'wrong-code')
    assert.equal(await w.accounts.find(PHONE_JID), undefined)
  })
})

test('a real bridge certificate: the key comes back certified and is kept', async (t) => {
  const { keys, store, server } = await keysInMemory()
  const w = await world(t, { keys })
  const phone = await phoneKey(PHONE_JID)
  await ask(w)
  const { account, key } = await withKey(w, w.sms.code, bridgeCertificate(phone))
  assert.equal(account.fingerprint, phone.fingerprint)
  const ring = await readKey({ binaryKey: key })
  const signers = ring.users[0]?.otherCertifications.map((c) => c.issuerKeyID.toHex().toUpperCase())
  assert.deepEqual(signers, [server.fingerprint.slice(-16)])
  assert.deepEqual(await store.find(account.id), {
    account: account.id,
    fingerprint: phone.fingerprint,
    ring: key,
    expiresAt: Number.POSITIVE_INFINITY,
  })
  const other = await phoneKey(PHONE_JID)
  await refuses(withKey(w, w.sms.code, bridgeCertificate(phone, { master: other.master })), 'bad-key')
  await refuses(withKey(w, w.sms.code, bridgeCertificate(other)), 'taken')
  await refuses(withKey(w, w.sms.code, Buffer.from('no certificate')), 'bad-key')
})

test('the devices of an account in use have their time from when they were told, not before', async (t) => {
  const w = await world(t)
  await ask(w)
  const { account } = await withKey(w, w.sms.code)
  w.connected.add(PHONE_JID)
  await ask(w, PHONE, true)
  const comes = () => withKey(w, w.sms.code, certificate(PHONE_JID, 'B'.repeat(40)))
  w.hearing.value = false
  for (const told of [1, 2]) {
    await refuses(comes(), 'waiting')
    assert.equal(w.notices.length, told)
    assert.equal(w.events.at(-1), 'not told')
    w.clock.now += RULES.delayMs
  }
  w.hearing.value = true
  await refuses(comes(), 'waiting')
  await refuses(comes(), 'waiting')
  assert.equal(w.notices.length, 3, 'once')
  assert.deepEqual(await w.accounts.find(PHONE_JID), account)
  w.clock.now += RULES.delayMs
  assert.notEqual((await comes()).account.id, account.id)
})

describe('a code with a password', () => {
  test('makes the account', async (t) => {
    const w = await world(t)
    await ask(w)
    assert.equal((await withPassword(w, w.sms.code)).jid, PHONE_JID)
    assert.ok((await w.stores.accounts.credential(PHONE_JID, 'SCRAM-SHA-1'))?.secrets)
    await refuses(withPassword(w, w.sms.code), 'taken')
  })
  test('survives a password that none can have', async (t) => {
    const w = await world(t)
    await ask(w)
    await assert.rejects(withPassword(w, w.sms.code, 'short'), PasswordError)
    assert.equal((await withPassword(w, w.sms.code)).jid, PHONE_JID)
  })
  test('given twice at once makes one account', async (t) => {
    const w = await world(t)
    await ask(w)
    const both = await Promise.allSettled([withPassword(w, w.sms.code), withPassword(w, w.sms.code)])
    assert.equal(both.filter((r) => r.status === 'fulfilled').length, 1)
  })
})

describe('a name of choice', () => {
  test('makes an account where that is open', async (t) => {
    const w = await world(t, { modes: ['open'] })
    assert.equal((await open(w, 'romeo')).jid, 'romeo@example.org' as BareJid)
    await refuses(open(w, 'romeo'), 'taken')
  })
  test('is refused where it is not', async (t) => {
    await refuses(open(await world(t), 'romeo'), 'closed')
  })
  test('is neither a number account nor the operator', async (t) => {
    const w = await world(t, { modes: ['open'] })
    await refuses(open(w, PHONE_JID.slice(0, 40)), 'reserved')
    for (const name of ['admin', 'postmaster', '']) await refuses(open(w, name), 'bad-name')
    await refuses(open(w, 'romeo@example.com/x'), 'bad-name')
  })
  test('costs the address', async (t) => {
    const w = await world(t, { modes: ['open'], throttle: { accounts: { hour: 2, day: 9 } } })
    await open(w, 'a')
    await open(w, 'b')
    await refuses(open(w, 'c'), 'throttled')
    await w.registration.open({ username: 'c', password: 'deny thy father', domain: DOMAIN, ip: '192.0.2.9' })
  })
})

test('says what it asks for', async (t) => {
  const w = await world(t, { modes: ['sms', 'open'] })
  assert.deepEqual(w.registration.instructions, { sms: true, open: true, canFallback: false })
})
