import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { before, beforeEach, describe, test } from 'node:test'
import { readKey } from 'openpgp'
import { KeyError, type KeyFault } from '../../../src/keys/key-error.ts'
import { ServerKey } from '../../../src/keys/server-key.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'
import {
  type BridgeOptions,
  bridgeCertificate,
  type PhoneKey,
  phoneKey,
  phoneKeyOf,
} from '../../helpers/bridge-certificate.ts'
import { DOMAIN, type KeysInMemory, keysInMemory, ROOT } from '../../helpers/keys-in-memory.ts'

const LOCAL = createHash('sha1').update('+15555215554').digest('hex')
const JID = `${LOCAL}@example.org` as BareJid
const NOW = Date.UTC(2026, 5, 1)
const DAY = 86_400_000

let phone: PhoneKey
let other: PhoneKey
before(async () => {
  phone = await phoneKey(JID, { date: new Date(NOW - DAY) })
  other = await phoneKey(JID, { date: new Date(NOW - DAY) })
})
let now: number
let with_: KeysInMemory
beforeEach(async () => {
  now = NOW
  with_ = await keysInMemory({ at: () => now })
})

/** Registers the key: certifies it, makes the account, keeps the ring. */
async function register(key: PhoneKey, disabledAt?: number): Promise<Buffer> {
  const candidate = await with_.keys.candidate(bridgeCertificate(key), DOMAIN)
  const ring = await with_.keys.certify(candidate)
  const account = with_.account(candidate.jid, candidate.fingerprint, disabledAt)
  await with_.keys.registered(account, candidate, ring)
  return ring
}
const login = (key: PhoneKey, options?: BridgeOptions) => with_.keys.login(bridgeCertificate(key, options), DOMAIN)
const candidate = (key: PhoneKey) => with_.keys.candidate(bridgeCertificate(key), DOMAIN)
const refused = (work: Promise<unknown>, fault: KeyFault): Promise<void> =>
  assert.rejects(work, (error) => error instanceof KeyError && error.fault === fault)

describe('login', () => {
  test('with the key as registered, its certification only in the store', async () => {
    await register(phone)
    assert.deepEqual(await login(phone), { jid: JID, account: with_.found(JID), fingerprint: phone.fingerprint })
  })
  test('with the certified ring in the certificate', async () => {
    const ring = await register(phone)
    assert.equal((await login(phone, { ring })).jid, JID)
  })
  for (const kind of ['nistP384', 'nistP521', 'ed25519Legacy'] as const) {
    test(`with a master key ${kind}`, async () => {
      const key = await phoneKey(JID, { kind, date: new Date(NOW - DAY) })
      await register(key)
      assert.equal((await login(key)).jid, JID)
    })
  }
  test('with what a client adds to its key: it is kept for others', async () => {
    await register(phone)
    await login(phone)
    const kept = await with_.keys.of(with_.found(JID))
    assert.equal(kept?.fingerprint, phone.fingerprint)
    const users = (await readKey({ binaryKey: kept?.ring ?? new Uint8Array() })).users
    assert.equal(users[0]?.otherCertifications.length, 1)
  })
})

describe('nobody gets in with', () => {
  beforeEach(() => register(phone))

  test('a newer key of the same name, certified or not', async () => {
    await refused(login(other), 'other-key')
    const ring = await with_.keys.certify(await with_.keys.candidate(bridgeCertificate(other), DOMAIN))
    await refused(login(other, { ring }), 'other-key')
  })
  test('a certified key of an account that is gone', async () => {
    const gone = await phoneKey('gone@example.org', { date: new Date(NOW - DAY) })
    const ring = await with_.keys.certify(await with_.keys.candidate(bridgeCertificate(gone), DOMAIN))
    await refused(login(gone, { ring }), 'no-account')
  })
  test("somebody's public key in a wrapper of one's own", async () => {
    await refused(login(phone, { master: other.master }), 'mismatch')
    await refused(login(phone, { master: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey }), 'mismatch')
    await refused(login(other, { ring: phone.ring }), 'mismatch')
  })
  test("a wrapper of the key's own subkey", async () => {
    const subkey = phone.key.subkeys[0]?.keyPacket as unknown as { publicParams: object; privateParams: object }
    const { keyPacket } = phone.key as unknown as { keyPacket: object }
    const wrapped = Object.assign(Object.create(Object.getPrototypeOf(phone.key)), {
      ...phone.key,
      keyPacket: Object.assign(Object.create(Object.getPrototypeOf(keyPacket)), { ...keyPacket, ...params(subkey) }),
    })
    await refused(login(phone, { master: phoneKeyOf(wrapped, 'nistP256').master }), 'mismatch')
  })
  test('names in the certificate', async () => {
    const mallory = await phoneKey('mallory@example.org', { date: new Date(NOW - DAY) })
    const ring = await with_.keys.certify(await with_.keys.candidate(bridgeCertificate(mallory), DOMAIN))
    with_.account('mallory@example.org', mallory.fingerprint)
    const texts = [JID, `Romeo <${JID}>`, `O=x,CN=Romeo <${JID}>`, `${JID}\0.example.net`]
    for (const text of texts) {
      const options = { ring, commonNames: [text, text], addresses: [JID, text] }
      assert.equal((await login(mallory, options)).jid, 'mallory@example.org')
    }
  })
  test('a user ID of another domain', async () => {
    const stranger = await phoneKey(`${LOCAL}@example.net`, { date: new Date(NOW - DAY) })
    await refused(login(stranger), 'no-account-name')
  })
  test('an expired key', async () => {
    const key = await phoneKey('old@example.org', { date: new Date(NOW - DAY), lifetime: 2 * 86_400 })
    await register(key)
    await login(key)
    assert.deepEqual([await with_.keys.endExpired(), with_.over], [0, []])
    now = NOW + 2 * DAY
    await refused(login(key), 'expired')
  })
  test('an expired key, and what it has opened ends, once', async () => {
    const key = await phoneKey('old@example.org', { date: new Date(NOW - DAY), lifetime: 2 * 86_400 })
    await register(key)
    await login(key)
    now = NOW + DAY - 1_000
    assert.equal(await with_.keys.endExpired(), 0)
    now = NOW + DAY
    assert.deepEqual(
      [await with_.keys.endExpired(), await with_.keys.endExpired(), with_.over],
      [1, 0, ['old@example.org']],
    )
  })
  test('a key made in the future', async () => {
    await refused(login(await phoneKey(JID, { date: new Date(NOW + DAY) })), 'future')
  })
  test('a revoked key, nor with a copy that does not say so once one was shown that did', async () => {
    const revoked = phoneKeyOf(await phone.key.revoke({}, new Date(NOW)), 'nistP256')
    await refused(login(revoked), 'revoked')
    await refused(login(phone), 'revoked')
    await refused(with_.keys.renewed(with_.found(JID), await candidate(phone)), 'revoked')
  })
  test('a certification of another server', async () => {
    const key = await phoneKey('new@example.org', { date: new Date(NOW - DAY) })
    const elsewhere = await keysInMemory({ at: () => now })
    const ring = await elsewhere.keys.certify(await elsewhere.keys.candidate(bridgeCertificate(key), DOMAIN))
    with_.account('new@example.org', key.fingerprint)
    await refused(login(key, { ring }), 'not-certified')
  })
  test('an account that is disabled', async () => {
    const key = await phoneKey('off@example.org', { date: new Date(NOW - DAY) })
    await register(key, NOW)
    await refused(login(key), 'account-disabled')
  })
})

describe('the certification', () => {
  const certifications = async (): Promise<readonly Date[]> => {
    const kept = await with_.keys.of(with_.found(JID))
    const key = await readKey({ binaryKey: kept?.ring ?? new Uint8Array() })
    return key.users[0]?.otherCertifications.map((signature) => signature.created as Date) ?? []
  }
  test('holds for two years', async () => {
    await register(phone)
    now = NOW + 731 * DAY
    await refused(login(phone), 'not-certified')
  })
  test('is renewed at login in its second year, in place of the old one', async () => {
    await register(phone)
    now = NOW + 300 * DAY
    await login(phone)
    assert.deepEqual(await certifications(), [new Date(NOW)])
    now = NOW + 400 * DAY
    await login(phone)
    assert.deepEqual(await certifications(), [new Date(now)])
    now = NOW + 800 * DAY
    await login(phone)
  })
  test('is one that the library itself verifies', async () => {
    const ring = await register(phone)
    const key = await readKey({ binaryKey: ring })
    const server = await readKey({ binaryKey: with_.keys.serverKey().ring })
    const [, mine] = await key.verifyAllUsers([server], new Date(NOW + DAY))
    assert.deepEqual(mine?.valid, true)
  })
})

describe('after another key became the server’s', () => {
  const rotate = async (): Promise<void> => {
    await ServerKey.rotate(with_.store, ROOT, { domain: DOMAIN, now })
    assert.equal(await with_.keys.reload(), true)
    assert.equal(await with_.keys.reload(), false, 'nothing new')
  }
  const issuers = async (): Promise<readonly (string | undefined)[]> => {
    const kept = await with_.keys.of(with_.found(JID))
    const key = await readKey({ binaryKey: kept?.ring ?? new Uint8Array() })
    return key.users[0]?.otherCertifications.map((signature) => signature.issuerKeyID.toHex()) ?? []
  }
  const keyId = (fingerprint: string): string => fingerprint.slice(-16).toLowerCase()

  test('whoever was certified by the former one logs in, and is certified by the new one', async () => {
    await register(phone)
    const former = with_.keys.serverKey().fingerprint
    await rotate()
    const { fingerprint } = with_.keys.serverKey()
    assert.notEqual(fingerprint, former)
    assert.deepEqual(await issuers(), [keyId(former)])
    assert.equal((await login(phone)).jid, JID)
    assert.deepEqual(await issuers(), [keyId(former), keyId(fingerprint)])
    // From then on the former key is not needed.
    assert.equal(await with_.store.removeServerKey(former), true)
    await with_.keys.reload()
    assert.equal((await login(phone)).jid, JID)
  })
  test('the former one vouches for nobody any more when it is not listed', async () => {
    const ring = await register(phone)
    const former = with_.keys.serverKey().fingerprint
    await rotate()
    await with_.store.removeServerKey(former)
    await with_.keys.reload()
    await refused(login(phone), 'not-certified')
    await refused(login(phone, { ring }), 'not-certified')
  })
  test('a key that was never the server’s vouches for nobody', async () => {
    const key = await phoneKey('new@example.org', { date: new Date(NOW - DAY) })
    with_.account('new@example.org', key.fingerprint)
    await rotate()
    const elsewhere = await keysInMemory({ at: () => now })
    const ring = await elsewhere.keys.certify(await elsewhere.keys.candidate(bridgeCertificate(key), DOMAIN))
    await refused(login(key, { ring }), 'not-certified')
  })
  test('a node that has not heard of it yet looks before it refuses', async () => {
    await register(phone)
    await ServerKey.rotate(with_.store, ROOT, { domain: DOMAIN, now })
    const other = await ServerKey.open(with_.store, ROOT, { domain: DOMAIN, make: false, now })
    const key = await phoneKey('new@example.org', { date: new Date(NOW - DAY) })
    const candidate = await with_.keys.candidate(bridgeCertificate(key), DOMAIN)
    const { bytes } = await other.certify(candidate.ring, candidate.jid, now)
    await with_.keys.registered(with_.account('new@example.org', key.fingerprint), candidate, bytes)
    assert.equal((await login(key)).jid, 'new@example.org')
    assert.equal(with_.keys.serverKey().fingerprint, other.fingerprint)
  })
})

/** The key material of a packet. */
function params({ publicParams, privateParams }: { publicParams: object; privateParams: object }): object {
  return { publicParams, privateParams }
}

describe('the key as others get it', () => {
  test('costs one query for as long as nothing of the account changes, however many ask at once', async () => {
    await register(phone)
    let queries = 0
    const { find } = with_.store
    with_.store.find = (account) => {
      queries++
      return find(account)
    }
    const account = with_.found(JID)
    const found = await Promise.all([with_.keys.of(account), with_.keys.of(account)])
    found.push(await with_.keys.of(account))
    for (const key of found) assert.equal(key?.fingerprint, phone.fingerprint)
    assert.equal(queries, 1)
    await with_.keys.of(with_.found(JID))
    assert.equal(queries, 2)
    assert.equal(await with_.keys.of(with_.account('none@example.org', undefined)), undefined)
    assert.equal(queries, 2, 'an account without a key costs none')
  })
  test('is not the one that an account had before its present one', async () => {
    await register(phone)
    assert.equal(await with_.keys.of({ ...with_.found(JID), fingerprint: other.fingerprint }), undefined)
  })
  test('is read anew when it was written: whoever keeps views is told', async () => {
    const ring = await register(phone)
    assert.deepEqual(with_.changed, [JID])
    await login(phone, { ring })
    assert.deepEqual(with_.changed, [JID], 'nothing new')
    now += 400 * DAY
    await login(phone)
    assert.deepEqual(with_.changed, [JID, JID], 'the certification was renewed')
  })
  test('of which the store cannot tell is asked for again', async () => {
    await register(phone)
    const account = with_.found(JID)
    const { find } = with_.store
    with_.store.find = () => Promise.reject(new Error('away'))
    await assert.rejects(with_.keys.of(account), /away/)
    with_.store.find = find
    assert.equal((await with_.keys.of(account))?.fingerprint, phone.fingerprint)
  })
})
