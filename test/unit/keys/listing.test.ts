import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { readKey, reformatKey } from 'openpgp'
import type { Asker } from '../../../src/account/lookups.ts'
import type { Account } from '../../../src/account/store.ts'
import { hkpSearch, KeyListing, wkdHash } from '../../../src/keys/listing.ts'
import type { KeyListingStore } from '../../../src/keys/listing-store.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'
import { bridgeCertificate, type PhoneKey, phoneKey, phoneKeyOf } from '../../helpers/bridge-certificate.ts'
import { DOMAIN, type KeysInMemory, keysInMemory } from '../../helpers/keys-in-memory.ts'

const NOW = Date.UTC(2026, 5, 1)
const DAY = 86_400_000
const JID = 'romeo@example.org' as BareJid
const JOE = 'joe.doe@example.org' as BareJid

let phone: PhoneKey
before(async () => {
  phone = await phoneKey(JID, { date: new Date(NOW - DAY), lifetime: (10 * DAY) / 1000 })
})

function listingInMemory(accounts: () => readonly Account[]): KeyListingStore {
  const rows = new Map<number, string>()
  const listed = () => accounts().filter(({ id }) => rows.has(id))
  return {
    has: async (id) => rows.has(id),
    add: async (id, domain, hash) => void rows.set(id, `${hash}@${domain}`),
    remove: async (id) => void rows.delete(id),
    byHash: async (domain, hash) => listed().find(({ id }) => rows.get(id) === `${hash}@${domain}`),
    byKeyId: async (keyId) => listed().filter(({ fingerprint }) => fingerprint?.endsWith(keyId)),
  }
}
async function world(options: { readonly perDay?: number; readonly isNumber?: boolean } = {}) {
  const clock = { now: NOW }
  const memory: KeysInMemory = await keysInMemory({ at: () => clock.now })
  const candidate = await memory.keys.candidate(bridgeCertificate(phone), DOMAIN)
  const made = { ...memory.account(JID, candidate.fingerprint), isNumber: options.isNumber ?? false }
  await memory.keys.registered(made, candidate, await memory.keys.certify(candidate))
  const store = listingInMemory(() => [made])
  const asked = new Map<string, Set<string>>()
  const lookups = {
    spend: async (asker: Asker, target: string) => {
      const address = 'address' in asker ? asker.address : assert.fail('no address of the net')
      const all = asked.get(address) ?? new Set()
      asked.set(address, all)
      if (all.size < (options.perDay ?? 10)) all.add(target)
      return all.has(target)
    },
  }
  const listing = new KeyListing({ store, keys: memory.keys, lookups })
  const find = (text: string, network = '198.51.100.1') => {
    const search = hkpSearch(text)
    assert.ok(search !== undefined)
    return listing.find(network, search)
  }
  return { listing, account: made, find, clock, memory }
}

test('the hash is that of the draft’s example', () => {
  // draft-koch-openpgp-webkey-service-19 section 3.1.
  assert.equal(wkdHash(JOE), 'iy9q119eutrkn8s1mk4r39qejnbu3n5q')
})
test('what may be searched for', () => {
  const fingerprint = 'a'.repeat(40)
  assert.deepEqual(hkpSearch(`0x${fingerprint}`), { keyId: fingerprint.toUpperCase() })
  assert.deepEqual(hkpSearch(`0X${fingerprint.slice(24)}`), { keyId: 'A'.repeat(16) })
  const joe = { domain: 'example.org', hash: wkdHash(JOE) }
  for (const text of [JOE, `<${JOE}>`, `=${JOE}`, `=<${JOE}>`, 'Joe.Doe@Example.ORG'])
    assert.deepEqual(hkpSearch(text), joe, text)
  for (const text of [
    '',
    'joe',
    'example.org',
    '0xaaaaaaaa',
    `0x${'a'.repeat(39)}`,
    `${JOE}/phone`,
    'a@b@c',
    '*@example.org<',
    'x'.repeat(5_000),
  ])
    assert.equal(hkpSearch(text), undefined, text)
})

test('a listed key is found by address, fingerprint and key ID', async () => {
  const { listing, account, find } = await world()
  const searches = [JID, `0x${phone.fingerprint}`, `0x${phone.fingerprint.slice(-16)}`]
  for (const search of searches) assert.equal(await find(search), undefined)
  await listing.list(account, true)
  assert.equal(await listing.isListed(account), true)
  for (const search of searches) assert.equal((await find(search))?.fingerprint, phone.fingerprint, search)
  assert.equal(
    await find(`0x${'F'.repeat(24)}${phone.fingerprint.slice(-16)}`),
    undefined,
    'the whole fingerprint counts',
  )
  await listing.list(account, false)
  for (const search of searches) assert.equal(await find(search), undefined)
})
test('that of a number is found by its address alone', async () => {
  const { listing, account, find } = await world({ isNumber: true })
  await listing.list(account, true)
  assert.equal((await find(JID))?.fingerprint, phone.fingerprint)
  for (const search of [`0x${phone.fingerprint}`, `0x${phone.fingerprint.slice(-16)}`])
    assert.equal(await find(search), undefined)
})
test('an address has its budget of different questions', async () => {
  const { listing, account, find } = await world({ perDay: 2 })
  await listing.list(account, true)
  assert.equal(await find('a@example.org'), undefined)
  assert.ok(await find(JID))
  assert.equal(await find(`0x${phone.fingerprint}`), undefined, 'the third')
  assert.ok(await find(JID), 'one of the two')
  assert.ok(await find(`0x${phone.fingerprint}`, '198.51.100.2'), 'of another network')
})

test('nothing leaves but the account’s user ID with the key’s own signature and ours', async () => {
  const date = new Date(NOW - DAY)
  const other = await phoneKey('nurse@example.org', { date })
  const { memory, listing, account, find } = await world()
  const many = await phoneKey(JID, { date })
  // A ring of the same key with more names on it, signed by somebody else as well.
  const { privateKey } = await reformatKey({
    privateKey: many.key,
    userIDs: [
      { name: 'Romeo', email: JID },
      { name: 'At work', email: 'romeo@montague.example' },
      { name: 'Nobody’s business' },
    ],
    date,
    format: 'object',
  })
  const whole = phoneKeyOf(await privateKey.signPrimaryUser([other.key], date), 'nistP256')
  const candidate = await memory.keys.successor(whole.ring, JID)
  const changed = { ...account, fingerprint: candidate.fingerprint }
  const ring = await memory.keys.certify(candidate)
  await memory.keys.registered(changed, candidate, ring)
  assert.equal((await readKey({ binaryKey: ring })).getUserIDs().length, 3)
  const shown = await memory.keys.shown(changed)
  assert.ok(shown !== undefined)
  const key = await readKey({ binaryKey: shown.ring })
  assert.deepEqual(key.getUserIDs(), [`Romeo <${JID}>`])
  assert.equal(Buffer.from(shown.userId).toString(), `Romeo <${JID}>`)
  const [user] = key.users
  assert.equal(user?.selfCertifications.length, 1)
  assert.deepEqual(
    user?.otherCertifications.map(({ issuerKeyID }) => issuerKeyID.toHex().toUpperCase()),
    [memory.server.fingerprint.slice(-16)],
  )
  assert.equal(key.subkeys.length, 2)
  assert.equal(await listing.isListed(account), false)
  assert.equal(await find(JID), undefined)
})
test('a key that has expired, or whose certification has, is not shown', async () => {
  const { memory, account, clock } = await world()
  const shown = await memory.keys.shown(account)
  assert.equal(shown?.expiresAt, NOW - DAY + 10 * DAY)
  assert.deepEqual([shown?.algorithm, shown?.bits, shown?.isRevoked], [19, undefined, false])
  clock.now = NOW + 10 * DAY
  assert.equal(await memory.keys.shown(account), undefined)
})
test('a new ring of the same key is shown as it is now', async () => {
  const { memory, account } = await world()
  const first = await memory.keys.shown(account)
  assert.equal(await memory.keys.shown(account), first, 'read once')
  const candidate = await memory.keys.candidate(bridgeCertificate(phone), DOMAIN)
  await memory.keys.registered(account, candidate, candidate.ring.bytes)
  assert.equal(await memory.keys.shown(account), undefined, 'without our certification')
  assert.equal(await memory.keys.shown({ ...account, fingerprint: 'F'.repeat(40) }), undefined)
})
test('it was updated when something was last said of it, but not by a clock that is ahead', async () => {
  const { memory, account, clock } = await world()
  assert.equal((await memory.keys.shown(account))?.updatedAt, NOW, 'certified')
  const says = async (at: number): Promise<number | undefined> => {
    const grown = await phone.key.addSubkey({ type: 'ecc', curve: 'nistP256', date: new Date(at) } as never)
    const candidate = await memory.keys.successor(Buffer.from(grown.toPublic().write()), JID)
    await memory.keys.registered(account, candidate, await memory.keys.certify(candidate))
    return (await memory.keys.shown(account))?.updatedAt
  }
  assert.equal(await says(NOW + DAY), NOW)
  assert.equal(await says(NOW + 60_000), NOW + 60_000)
  clock.now = NOW + 2 * DAY
  assert.equal(await says(NOW + DAY), NOW + 2 * DAY, 'certified again')
})
