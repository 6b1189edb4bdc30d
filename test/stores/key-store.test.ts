import assert from 'node:assert/strict'
import { SqlKeyStore } from '../../src/storage/key-store.ts'
import { StoreError } from '../../src/storage/sql.ts'
import { bytes, createAccount } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const A = 'A'.repeat(40)
const B = 'B'.repeat(40)
const serverKey = (fingerprint: string) => ({
  fingerprint,
  ring: bytes(`ring of ${fingerprint}`),
  sealed: bytes('sealed'),
  createdAt: 1_800_000_000_000,
})

withStores('the key of an account, replaced, and gone with the account', async (stores) => {
  const keys = new SqlKeyStore(stores.database)
  const { id } = await createAccount(stores, 'alice@example.org')
  assert.equal(await keys.find(id), undefined)
  await keys.put({ account: id, fingerprint: A, ring: bytes('one') })
  await keys.put({ account: id, fingerprint: B, ring: bytes('two') })
  const found = await keys.find(id)
  assert.deepEqual(found && { ...found, ring: new Uint8Array(found.ring) }, {
    account: id,
    fingerprint: B,
    ring: bytes('two'),
  })
  await stores.accounts.remove(id)
  assert.equal(await keys.find(id), undefined)
})

withStores('a key of nobody, a bad fingerprint and a ring too large are refused', async (stores) => {
  const keys = new SqlKeyStore(stores.database)
  const { id } = await createAccount(stores, 'alice@example.org')
  const refused = (error: unknown): boolean => error instanceof StoreError && error.fault === 'refused'
  await assert.rejects(keys.put({ account: id + 1, fingerprint: A, ring: bytes('one') }), refused)
  await assert.rejects(keys.put({ account: id, fingerprint: 'A', ring: bytes('one') }), refused)
  await assert.rejects(keys.put({ account: id, fingerprint: A, ring: new Uint8Array(65_537) }), refused)
  await keys.put({ account: id, fingerprint: A, ring: new Uint8Array(65_536) })
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
