import assert from 'node:assert/strict'
import { StoreError } from '../../src/storage/sql.ts'
import { bytes, createAccount } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const hash = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const SOON = 2_000

withStores('a key on its way: taken once, in its time, by its last token', async (stores) => {
  const { keyTransfers } = stores
  const { id: account, jid } = await createAccount(stores, 'alice@example.org')
  const put = (tokenHash: Uint8Array, text: string) =>
    keyTransfers.put({ account, tokenHash, ring: bytes(text), expiresAt: SOON })
  await put(hash(1), 'one')
  await put(hash(2), 'two')
  assert.equal(await keyTransfers.take(hash(1), 1_000), undefined)
  const taken = await keyTransfers.take(hash(2), 1_000)
  assert.deepEqual(taken && { ...taken, ring: new Uint8Array(taken.ring) }, { jid, ring: bytes('two') })
  assert.equal(await keyTransfers.take(hash(2), 1_000), undefined)

  await put(hash(3), 'three')
  assert.equal(await keyTransfers.take(hash(3), SOON), undefined)
  await put(hash(4), 'four')
  assert.equal(await keyTransfers.expire(SOON - 1), 0)
  assert.equal(await keyTransfers.expire(SOON), 1)
  assert.equal(await keyTransfers.take(hash(4), 1_000), undefined)

  await put(hash(5), 'five')
  await stores.accounts.remove(account)
  assert.equal(await keyTransfers.take(hash(5), 1_000), undefined)
})

withStores('of two that take it at the same time one gets it', async (stores) => {
  const other = await stores.second()
  const { id: account } = await createAccount(stores, 'alice@example.org')
  await stores.keyTransfers.put({ account, tokenHash: hash(1), ring: bytes('one'), expiresAt: SOON })
  const taken = await Promise.all([stores, other].map(({ keyTransfers }) => keyTransfers.take(hash(1), 1_000)))
  assert.equal(taken.filter((one) => one !== undefined).length, 1)
})

withStores('what is too large, has no hash or belongs to nobody is refused', async ({ keyTransfers, ...stores }) => {
  const { id: account } = await createAccount({ keyTransfers, ...stores }, 'alice@example.org')
  const refused = (error: unknown): boolean => error instanceof StoreError && error.fault === 'refused'
  const good = { account, tokenHash: hash(1), ring: bytes('one'), expiresAt: SOON }
  await assert.rejects(keyTransfers.put({ ...good, account: account + 1 }), refused)
  await assert.rejects(keyTransfers.put({ ...good, tokenHash: new Uint8Array(31) }), refused)
  await assert.rejects(keyTransfers.put({ ...good, ring: new Uint8Array(65_537) }), refused)
})
