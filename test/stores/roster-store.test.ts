import assert from 'node:assert/strict'
import { RosterError } from '../../src/roster/roster-error.ts'
import type { RosterItem } from '../../src/roster/store.ts'
import { bytes, createAccount, jid } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const item = (contact: string, other: Partial<RosterItem> = {}): RosterItem => ({
  contact: jid(contact),
  name: undefined,
  groups: [],
  subscription: 'none',
  pendingOut: false,
  pendingIn: undefined,
  approved: false,
  listed: true,
  version: 0,
  ...other,
})
const contacts = (items: readonly Pick<RosterItem, 'contact'>[] | undefined) =>
  items?.map(({ contact }) => contact).toSorted()

withStores('an item comes back as it was written, with its version', async (stores) => {
  const { rosters } = stores
  const { id, jid: owner } = await createAccount(stores, 'alice@example.org')
  const bob = item('bob@example.org', {
    name: 'Bób "the" \\ builder',
    groups: ['Freunde', 'a,b', '{}'],
    subscription: 'from',
    pendingOut: true,
    pendingIn: bytes('<status>é</status>'),
    approved: true,
    listed: false,
  })
  const written = await rosters.change(id, bob.contact, () => bob, 10)
  assert.deepEqual(written, { before: undefined, after: { ...bob, version: 1 }, version: 1 })
  const loaded = await rosters.load(owner)
  assert.equal(loaded?.account.id, id)
  assert.equal(loaded.version, 1)
  assert.deepEqual(loaded.items, [{ ...bob, version: 1 }])
})

withStores('an empty roster is version 0, no account is undefined', async (stores) => {
  const { id, jid: owner } = await createAccount(stores, 'alice@example.org')
  const loaded = await stores.rosters.load(owner)
  assert.deepEqual([loaded?.items, loaded?.version], [[], 0])
  assert.equal(await stores.rosters.load(jid('nobody@example.org')), undefined)
  assert.deepEqual(await stores.rosters.since(id, 0), { changes: [], version: 0 })
  assert.equal(await stores.rosters.since(id, 1), undefined)
  assert.equal(await stores.rosters.since(id + 1, 0), undefined)
})

withStores('the same object leaves the item, and the version', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const bob = jid('bob@example.org')
  assert.deepEqual(await stores.rosters.change(id, bob, (same) => same, 10), {
    before: undefined,
    after: undefined,
    version: 0,
  })
  await stores.rosters.change(id, bob, () => item(bob), 10)
  const { before, after, version } = await stores.rosters.change(id, bob, (same) => same, 10)
  assert.equal(before, after)
  assert.equal(version, 1)
})

withStores('what changed since a version, removals too', async (stores) => {
  const { rosters } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  for (const name of ['bob', 'carol', 'dave']) {
    await rosters.change(id, jid(`${name}@example.org`), () => item(`${name}@example.org`), 10)
  }
  await rosters.change(id, jid('bob@example.org'), () => undefined, 10)
  await rosters.change(id, jid('carol@example.org'), (was) => was && { ...was, name: 'Carol' }, 10)
  const delta = await rosters.since(id, 2)
  assert.deepEqual(
    delta?.changes.map(({ contact, item, version }) => [contact, item?.name, version]),
    [
      ['dave@example.org', undefined, 3],
      ['bob@example.org', undefined, 4],
      ['carol@example.org', 'Carol', 5],
    ],
  )
  assert.deepEqual(
    delta?.changes.map(({ item }) => item?.version),
    [3, undefined, 5],
  )
  assert.equal(delta?.version, 5)
  const again = await rosters.change(id, jid('bob@example.org'), (was) => was ?? item('bob@example.org'), 10)
  assert.equal(again.before, undefined, 'a tombstone is no item')
  assert.deepEqual(contacts((await rosters.since(id, 4))?.changes), ['bob@example.org', 'carol@example.org'])
  assert.deepEqual(
    (await rosters.since(id, 5))?.changes.map((c) => c.item?.contact),
    ['bob@example.org'],
  )
})

withStores('a version older than the tombstones kept is not known', async (stores) => {
  const { rosters } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  for (let i = 0; i < 102; i++) {
    await rosters.change(id, jid(`c${i}@example.org`), () => item(`c${i}@example.org`), 10)
    await rosters.change(id, jid(`c${i}@example.org`), () => undefined, 10)
  }
  assert.equal(await rosters.since(id, 3), undefined)
  assert.equal((await rosters.since(id, 4))?.changes.length, 100)
  const [row] = await stores.database.query<{ rows: number }>('select count(*) as rows from roster_item')
  assert.equal(row?.rows, 100)
})

withStores('a full roster takes no other contact, but changes', async (stores) => {
  const { rosters } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const bob = jid('bob@example.org')
  await rosters.change(id, bob, () => item(bob), 1)
  const carol = rosters.change(id, jid('carol@example.org'), () => item('carol@example.org'), 1)
  await assert.rejects(carol, (error) => error instanceof RosterError && error.fault === 'full')
  await rosters.change(id, bob, () => item(bob, { name: 'Bob' }), 1)
  await rosters.change(id, bob, () => undefined, 1)
  await rosters.change(id, jid('carol@example.org'), () => item('carol@example.org'), 1)
})

withStores('nobody has no roster', async (stores) => {
  const change = stores.rosters.change(4711, jid('bob@example.org'), () => item('bob@example.org'), 10)
  await assert.rejects(change, (error) => error instanceof RosterError && error.fault === 'no-account')
})

withStores('changes at the same time see each other, and none is lost', async (stores) => {
  const { id, jid: owner } = await createAccount(stores, 'alice@example.org')
  const other = await stores.second()
  const bob = jid('bob@example.org')
  const add = (group: string) => (was: RosterItem | undefined) => item(bob, { groups: [...(was?.groups ?? []), group] })
  const groups = Array.from({ length: 20 }, (_, i) => `g${i}`)
  await Promise.all(groups.map((g, i) => (i % 2 === 0 ? stores : other).rosters.change(id, bob, add(g), 10)))
  const loaded = await stores.rosters.load(owner)
  assert.deepEqual(loaded?.items[0]?.groups.toSorted(), groups.toSorted())
  assert.equal(loaded?.version, 20)
})
