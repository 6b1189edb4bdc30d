import assert from 'node:assert/strict'
import { SqlKeyStore } from '../../src/storage/key-store.ts'
import { StoreError } from '../../src/storage/sql.ts'
import { bytes, createAccount, jid } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const A = 'A'.repeat(40)
const B = 'B'.repeat(40)
const C = 'C'.repeat(40)
const serverKey = (fingerprint: string) => ({
  fingerprint,
  ring: bytes(`ring of ${fingerprint}`),
  sealed: bytes('sealed'),
  createdAt: 1_800_000_000_000,
})

const keyOf = (account: number, fingerprint: string, ring: string | Uint8Array) => ({
  account,
  fingerprint,
  ring: typeof ring === 'string' ? bytes(ring) : ring,
  expiresAt: Number.POSITIVE_INFINITY,
})

withStores('the key of an account, kept anew, followed by another, and gone with the account', async (stores) => {
  const keys = new SqlKeyStore(stores.database)
  const { id } = await createAccount(stores, 'alice@example.org')
  const found = async () => {
    const key = await keys.find(id)
    return key && { ...key, ring: new Uint8Array(key.ring), expiresAt: Number.POSITIVE_INFINITY }
  }
  await stores.accounts.setFingerprint(id, A)
  assert.equal(await found(), undefined)
  assert.equal(await keys.put(keyOf(id, A, 'one')), true)
  assert.equal(await keys.put(keyOf(id, A, 'two')), true)
  assert.deepEqual(await found(), keyOf(id, A, 'two'))
  const { epoch } = (await stores.accounts.find(jid('alice@example.org'))) ?? {}
  assert.equal(await keys.follow(keyOf(id, B, 'three'), A), true)
  assert.deepEqual(await found(), keyOf(id, B, 'three'))
  const account = await stores.accounts.find(jid('alice@example.org'))
  assert.deepEqual([account?.fingerprint, account?.epoch], [B, (epoch ?? 0) + 1])
  await stores.accounts.remove(id)
  assert.equal(await found(), undefined)
})

withStores('what a key has opened that is over ends, and is not looked for again', async (stores) => {
  const keys = new SqlKeyStore(stores.database)
  const alice = jid('alice@example.org')
  const { id } = await createAccount(stores, alice)
  await stores.accounts.setFingerprint(id, A)
  await keys.put({ ...keyOf(id, A, 'one'), expiresAt: 1_000 })
  assert.deepEqual(await keys.expired(999), [])
  const [over = assert.fail('no key is over')] = await keys.expired(1_000)
  assert.deepEqual(over, { account: id, jid: alice, fingerprint: A })
  const epoch = async () => (await stores.accounts.find(alice))?.epoch ?? Number.NaN
  const before = await epoch()

  // It is good for longer by now, or the account has another one.
  assert.equal(await keys.endTokens(over, 999), false)
  assert.equal(await keys.endTokens({ ...over, fingerprint: B }, 1_000), false)
  assert.equal(await epoch(), before)
  const transfer = { account: id, tokenHash: new Uint8Array(32), ring: bytes('secret'), expiresAt: 9_000 }
  await stores.keyTransfers.put(transfer)
  assert.equal(await keys.endTokens(over, 1_000), true)
  assert.equal(await epoch(), before + 1)
  assert.equal(await stores.keyTransfers.take(transfer.tokenHash, 1_000), undefined)
  assert.equal((await keys.expired(1_000)).length, 1)
  await keys.ended(over, 1_000)
  assert.deepEqual(await keys.expired(1_000), [])

  // A device shows it with a longer life: it is over once more, later.
  await keys.put({ ...keyOf(id, A, 'two'), expiresAt: 2_000 })
  await keys.ended(over, 1_000)
  assert.deepEqual([await keys.expired(1_999), (await keys.expired(2_000)).length], [[], 1])
  await keys.put(keyOf(id, A, 'three'))
  assert.deepEqual(await keys.expired(Number.MAX_SAFE_INTEGER), [])
})

withStores('of a key that is not the account’s, or not any more, nothing is kept', async (stores) => {
  const keys = new SqlKeyStore(stores.database)
  const { id } = await createAccount(stores, 'alice@example.org')
  assert.equal(await keys.put(keyOf(id, A, 'one')), false)
  assert.equal(await keys.put(keyOf(id + 1, A, 'one')), false)
  await stores.accounts.setFingerprint(id, A)
  assert.equal(await keys.follow(keyOf(id, B, 'two'), B), false)
  // Two who have the key, each with one to follow it, while a device logs in by it: one of them, and what is kept is his.
  const other = new SqlKeyStore((await stores.second()).database)
  const both = [keyOf(id, B, 'two'), keyOf(id, C, 'three')] as const
  const done = await Promise.all([keys.follow(both[0], A), other.follow(both[1], A), keys.put(keyOf(id, A, 'late'))])
  assert.equal(done.slice(0, 2).filter(Boolean).length, 1)
  const isNow = done[0] ? both[0] : both[1]
  assert.equal((await keys.find(id))?.fingerprint, isNow.fingerprint)
  assert.equal((await stores.accounts.find(jid('alice@example.org')))?.fingerprint, isNow.fingerprint)
  assert.equal(await keys.put(keyOf(id, A, 'late')), false)
  assert.equal((await keys.find(id))?.fingerprint, isNow.fingerprint)
})

withStores('a bad fingerprint and a ring too large are refused, and the account has the key it had', async (stores) => {
  const keys = new SqlKeyStore(stores.database)
  const { id } = await createAccount(stores, 'alice@example.org')
  await stores.accounts.setFingerprint(id, A)
  const refused = (error: unknown): boolean => error instanceof StoreError && error.fault === 'refused'
  await assert.rejects(keys.follow(keyOf(id, 'A', 'one'), A), refused)
  await assert.rejects(keys.put(keyOf(id, A, new Uint8Array(65_537))), refused)
  await assert.rejects(keys.follow(keyOf(id, B, new Uint8Array(65_537)), A), refused)
  assert.equal((await stores.accounts.find(jid('alice@example.org')))?.fingerprint, A)
  assert.equal(await keys.put(keyOf(id, A, new Uint8Array(65_536))), true)
})

withStores('the first server key is the only current one, whoever adds at the same time', async (stores) => {
  const other = await stores.second()
  const [mine, theirs] = [new SqlKeyStore(stores.database), new SqlKeyStore(other.database)]
  assert.deepEqual(await mine.serverKeys(), [])
  await Promise.all([mine.addFirstServerKey(serverKey(A)), theirs.addFirstServerKey(serverKey(B))])
  await mine.addFirstServerKey(serverKey(A))
  const kept = await theirs.serverKeys()
  assert.equal(kept.length, 1)
  const [key] = kept
  assert.ok(key?.isCurrent)
  assert.deepEqual(
    { ...serverKey(key.fingerprint), isCurrent: true },
    {
      ...key,
      ring: new Uint8Array(key.ring),
      sealed: new Uint8Array(key.sealed),
    },
  )
})

withStores('another key becomes the current one, the former stays, and only a former one goes', async (stores) => {
  const keys = new SqlKeyStore(stores.database)
  const listed = async () => (await keys.serverKeys()).map((key) => `${key.fingerprint[0]}${key.isCurrent ? '!' : ''}`)
  await keys.makeCurrent({ ...serverKey(A), createdAt: 3 })
  assert.deepEqual(await listed(), ['A!'])
  await keys.makeCurrent({ ...serverKey(B), createdAt: 2 })
  assert.deepEqual(await listed(), ['A', 'B!'])
  await keys.addFirstServerKey(serverKey('C'.repeat(40)))
  assert.deepEqual(await listed(), ['A', 'B!'])
  await keys.makeCurrent({ ...serverKey(A), createdAt: 3 })
  assert.deepEqual(await listed(), ['A!', 'B'])
  assert.equal(await keys.removeServerKey(A), false, 'the current one')
  assert.equal(await keys.removeServerKey(B), true)
  assert.equal(await keys.removeServerKey(B), false)
  assert.deepEqual(await listed(), ['A!'])
})

withStores('of keys made current at the same time one is the last, and all are kept', async (stores) => {
  const others = await Promise.all([stores.second(), stores.second()])
  const [first, ...rest] = [stores, ...others].map(({ database }) => new SqlKeyStore(database))
  await first?.makeCurrent(serverKey(A))
  await Promise.all(rest.map((keys, i) => keys.makeCurrent(serverKey(i === 0 ? B : 'C'.repeat(40)))))
  const kept = (await first?.serverKeys()) ?? []
  assert.equal(kept.length, 3)
  assert.equal(kept.filter((key) => key.isCurrent).length, 1)
  assert.ok(!kept.some((key) => key.isCurrent && key.fingerprint === A))
})
