import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptKey } from 'openpgp'
import { KeyTransfers, TransferError } from '../../../src/keys/transfers.ts'
import { bareJid } from '../../../src/xmpp/jid.ts'
import { phoneKey } from '../../helpers/bridge-certificate.ts'
import { openMemory } from '../account/world.ts'

const IP = '192.0.2.1'
const JID = bareJid('romeo', 'example.org' as never)

async function world(lifetimeMs: number) {
  const stores = await openMemory()
  const clock = { now: 1_000_000 }
  const told: string[] = []
  const hearing = { value: true }
  const { key, ring, fingerprint } = await phoneKey(JID)
  const account = await stores.accounts.create({ jid: JID, isNumber: true, fingerprint, secrets: [] })
  assert.ok(account)
  const transfers = new KeyTransfers({
    store: stores.keyTransfers,
    accounts: stores.accounts,
    keys: { of: () => Promise.resolve({ account: account.id, fingerprint, ring }) },
    lifetimeMs,
    tries: { count: 10, perMs: 60_000 },
    tell: async (jid, news) => {
      told.push(`${jid} ${news}`)
      return hearing.value
    },
    now: () => clock.now,
  })
  const locked = (await encryptKey({ privateKey: key, passphrase: 'correct horse' })).write()
  return { stores, clock, transfers, locked, account, told, hearing }
}
const fails = (fault: string) => (error: unknown) => error instanceof TransferError && error.fault === fault

test('a token is good for its time, and not a moment longer', async () => {
  const { clock, transfers, locked } = await world(60_000)
  const first = await transfers.put(JID, locked)
  clock.now += 59_999
  assert.deepEqual(new Uint8Array((await transfers.take(first, IP)).secret), new Uint8Array(locked))
  const second = await transfers.put(JID, locked)
  clock.now += 60_000
  await assert.rejects(transfers.take(second, IP), fails('bad-token'))
  await transfers.put(JID, locked)
  assert.equal(await transfers.purge(), 0)
  clock.now += 60_000
  assert.equal(await transfers.purge(), 1)
})

test('an account without a key has none to leave', async () => {
  const { stores, transfers, locked, account } = await world(60_000)
  await stores.accounts.remove(account.id)
  await assert.rejects(transfers.put(JID, locked), fails('no-key'))
  await stores.accounts.create({ jid: JID, isNumber: true, fingerprint: undefined, secrets: [] })
  await assert.rejects(transfers.put(JID, locked), fails('no-key'))
})

test('the devices of an account are told when its key is left and when it is fetched, and not of guesses', async () => {
  const { transfers, locked, told } = await world(60_000)
  const token = await transfers.put(JID, locked)
  await assert.rejects(transfers.take('0'.repeat(40), IP), fails('bad-token'))
  assert.deepEqual(told, [`${JID} left`])
  await transfers.take(token, IP)
  assert.deepEqual(told, [`${JID} left`, `${JID} fetched`])
})

test('nothing is handed out whose devices could not be told', async () => {
  const { transfers, locked, hearing } = await world(60_000)
  const token = await transfers.put(JID, locked)
  hearing.value = false
  await assert.rejects(transfers.take(token, IP), fails('untold'))
  await assert.rejects(transfers.put(JID, locked), fails('untold'))
})
