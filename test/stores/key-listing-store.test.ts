import assert from 'node:assert/strict'
import type { Domain } from '../../src/xmpp/jid.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const DOMAIN = 'example.org' as Domain
const FINGERPRINT = '0123456789ABCDEF0123456789ABCDEF01234567'
const KEY_ID = FINGERPRINT.slice(-16)

withStores('accounts are found by hash and key ID while they are listed', async (stores) => {
  const { keyListing, accounts } = stores
  const romeo = await createAccount(stores, 'romeo@example.org')
  const juliet = await createAccount(stores, 'juliet@example.org')
  await accounts.setFingerprint(romeo.id, FINGERPRINT)
  await accounts.setFingerprint(juliet.id, FINGERPRINT)
  assert.equal(await keyListing.has(romeo.id), false)
  await keyListing.add(romeo.id, DOMAIN, 'a')
  await keyListing.add(romeo.id, DOMAIN, 'a')
  assert.equal(await keyListing.has(romeo.id), true)
  assert.deepEqual(await keyListing.byHash(DOMAIN, 'a'), await accounts.find(romeo.jid))
  assert.equal(await keyListing.byHash(DOMAIN, 'b'), undefined)
  assert.equal(await keyListing.byHash('example.net' as Domain, 'a'), undefined)
  const found = async () => (await keyListing.byKeyId(KEY_ID)).map((account) => account.jid)
  assert.deepEqual(await found(), [jid('romeo@example.org')], 'who is not listed is not found')
  await keyListing.add(juliet.id, DOMAIN, 'b')
  assert.equal((await found()).length, 2)
  assert.deepEqual(await keyListing.byKeyId('F'.repeat(16)), [])
  await accounts.setDisabled(romeo.id, 5)
  assert.equal(await keyListing.byHash(DOMAIN, 'a'), undefined)
  assert.deepEqual(await found(), [jid('juliet@example.org')])
  await accounts.setDisabled(romeo.id, undefined)
  await keyListing.remove(romeo.id)
  await keyListing.remove(romeo.id)
  assert.equal(await keyListing.byHash(DOMAIN, 'a'), undefined)
  await accounts.remove(juliet.id)
  assert.deepEqual(await found(), [])
  await keyListing.add(juliet.id, DOMAIN, 'b')
  assert.equal(await keyListing.has(juliet.id), false, 'no such account')
})
