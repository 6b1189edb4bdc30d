import assert from 'node:assert/strict'
import type { Subscription } from '../../src/roster/store.ts'
import type { FullJid, Jid } from '../../src/xmpp/jid.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { type TestStores, withStores } from '../helpers/test-database.ts'

const ASKER = 'romeo@example.org/phone' as FullJid

async function contact(stores: TestStores, name: string, subscription: Subscription | undefined, at = 5) {
  const account = await createAccount(stores, `${name}@example.org`)
  await stores.lastSeen.put(new Map([[account.id, at]]))
  if (subscription === undefined) return account
  const item = {
    contact: jid('romeo@example.org'),
    name: undefined,
    groups: [],
    subscription,
    pendingOut: false,
    pendingIn: undefined,
    approved: false,
    listed: true,
    version: 0,
  }
  await stores.rosters.change(account.id, item.contact, () => item, 10)
  return account
}

withStores('the latest end stays, and those of accounts that are gone are passed over', async (stores) => {
  const alice = (await createAccount(stores, 'alice@example.org')).id
  const bob = (await createAccount(stores, 'bob@example.org')).id
  assert.equal(await stores.lastSeen.find(alice), undefined)
  await stores.lastSeen.put(new Map([[alice, 1_800_000_000_000]]))
  await stores.lastSeen.put(
    new Map([
      [alice, 1_700_000_000_000],
      [bob, 7],
      [bob + 1, 8],
    ]),
  )
  assert.equal(await stores.lastSeen.find(alice), 1_800_000_000_000)
  assert.equal(await stores.lastSeen.find(bob), 7)
  assert.equal(await stores.lastSeen.find(bob + 1), undefined)
  await stores.lastSeen.put(new Map())
  await stores.accounts.remove(alice)
  const [row] = await stores.database.query<{ rows: number }>('select count(*) as rows from last_seen')
  assert.equal(row?.rows, 1, 'it goes with the account')
})

withStores('contacts tell whom they let see their presence, and nobody else', async (stores) => {
  for (const subscription of ['none', 'to', 'from', 'both'] as const) await contact(stores, subscription, subscription)
  await contact(stores, 'stranger', undefined)
  for (const [name, blocked] of [
    ['all', 'romeo@example.org'],
    ['device', ASKER],
    ['domain', 'example.org'],
    ['other', 'romeo@example.org/laptop'],
  ] as const)
    await stores.blocks.add((await contact(stores, name, 'both')).id, [blocked as Jid], 5)
  const gone = await contact(stores, 'gone', 'both')
  await stores.rosters.change(gone.id, jid('romeo@example.org'), () => undefined, 10)
  await stores.accounts.setDisabled((await contact(stores, 'disabled', 'both')).id, 1)
  await createAccount(stores, 'never@example.org')
  const names = [
    'none',
    'to',
    'from',
    'both',
    'stranger',
    'all',
    'device',
    'domain',
    'other',
    'gone',
    'disabled',
    'never',
  ]
  const asked = [...names.map((name) => jid(`${name}@example.org`)), jid(`'; drop table last_seen; --`), jid('%')]
  const told = await stores.lastSeen.ofContacts(ASKER, asked)
  assert.deepEqual([...told].toSorted(), [
    ['both@example.org', 5],
    ['from@example.org', 5],
    ['other@example.org', 5],
  ])
  assert.deepEqual([...(await stores.lastSeen.ofContacts(ASKER, [jid('both@example.org')]))], [['both@example.org', 5]])
  assert.equal((await stores.lastSeen.ofContacts(ASKER, [])).size, 0)
})
