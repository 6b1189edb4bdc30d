import assert from 'node:assert/strict'
import type { Report } from '../../src/roster/report-store.ts'
import { RosterError } from '../../src/roster/roster-error.ts'
import type { Jid } from '../../src/xmpp/jid.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const fault = (expected: string) => (error: unknown) => error instanceof RosterError && error.fault === expected
const jids = (...names: string[]) => names as unknown as Jid[]

withStores('a list comes with the roster, whatever is on either', async (stores) => {
  const { blocks, rosters } = stores
  const alice = await createAccount(stores, 'alice@example.org')
  const bob = await createAccount(stores, 'bob@example.org')
  const listOf = async (name: string) => (await rosters.load(jid(name)))?.blocked.toSorted()
  assert.deepEqual(await listOf('alice@example.org'), [])
  const all = jids(
    'evil.example',
    "o'ne@example.org/'; drop table block; --",
    'ärger@example.org/日本 %_',
    'x@example.org',
  )
  await blocks.add(alice.id, all, 10)
  await blocks.add(alice.id, jids('x@example.org'), 10)
  assert.deepEqual(await listOf('alice@example.org'), all.toSorted())
  assert.deepEqual(await listOf('bob@example.org'), [])
  for (const name of ['c', 'd'])
    await rosters.change(
      alice.id,
      jid(`${name}@example.org`),
      () => ({
        contact: jid(`${name}@example.org`),
        name,
        groups: [],
        subscription: 'both',
        pendingOut: false,
        pendingIn: undefined,
        approved: false,
        listed: true,
        version: 0,
      }),
      10,
    )
  const loaded = await rosters.load(alice.jid)
  assert.deepEqual(loaded?.items.map((i) => i.contact).toSorted(), ['c@example.org', 'd@example.org'])
  assert.deepEqual([loaded.version, loaded.blocked.length, loaded.account.id], [2, all.length, alice.id])

  await blocks.remove(bob.id, 'all')
  await blocks.remove(alice.id, jids('x@example.org', 'nobody@example.org'))
  assert.equal((await listOf('alice@example.org'))?.length, all.length - 1)
  await blocks.remove(alice.id, 'all')
  assert.deepEqual(await listOf('alice@example.org'), [])
})

withStores('a list is bounded, all of a command or nothing', async (stores) => {
  const { id, jid: owner } = await createAccount(stores, 'alice@example.org')
  await stores.blocks.add(id, jids('a.example', 'b.example'), 3)
  await assert.rejects(stores.blocks.add(id, jids('c.example', 'd.example'), 3), fault('full'))
  assert.deepEqual((await stores.rosters.load(owner))?.blocked.toSorted(), ['a.example', 'b.example'])
  await stores.blocks.add(id, jids('a.example', 'b.example', 'c.example'), 3)
  await assert.rejects(stores.blocks.add(id + 1, jids('a.example'), 3), fault('no-account'))
})

withStores('a list stays within its bound whoever adds at the same time', async (stores) => {
  const { id, jid: owner } = await createAccount(stores, 'alice@example.org')
  const other = await stores.second()
  const added = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? stores : other).blocks.add(id, jids(`d${i}.example`), 5)),
  )
  assert.equal(added.filter((a) => a.status === 'fulfilled').length, 5)
  assert.equal((await stores.rosters.load(owner))?.blocked.length, 5)
})

const NOW = 1_800_000_000_000
const report = (account: number, reported: string, other: Partial<Report> = {}): Report => ({
  account,
  reported: reported as Jid,
  reason: 'spam',
  text: '',
  messages: [],
  toOrigin: false,
  toThirdParty: false,
  ...other,
})
const wide = { perAccount: 100, total: 100 }

withStores(
  'a report comes back as it was written',
  async (stores) => {
    const { id } = await createAccount(stores, 'alice@example.org')
    const full = report(id, 'spam@evil.example/x', {
      reason: 'abuse',
      text: "Never came trouble; drop table report; -- 'é\n🌹",
      messages: [{ by: 'evil.example' as Jid, id: '"1"' }],
      toOrigin: true,
      toThirdParty: true,
    })
    const number = await stores.reports.add(full, wide)
    assert.deepEqual(await stores.reports.list(5), [{ ...full, id: number, at: NOW }])
    assert.equal(await stores.reports.add(report(id + 1, 'evil.example'), wide), undefined)
  },
  { now: () => NOW },
)

withStores('of one account and of all together the newest stay', async (stores) => {
  const alice = (await createAccount(stores, 'alice@example.org')).id
  const bob = (await createAccount(stores, 'bob@example.org')).id
  const kept = async () => (await stores.reports.list(50)).map((r) => r.reported)
  const bounds = { perAccount: 2, total: 3 }
  for (const name of ['a1', 'a2', 'a3']) await stores.reports.add(report(alice, name), bounds)
  assert.deepEqual(await kept(), ['a3', 'a2'])
  for (const name of ['b1', 'b2']) await stores.reports.add(report(bob, name), bounds)
  assert.deepEqual(await kept(), ['b2', 'b1', 'a3'])
  assert.deepEqual(
    (await stores.reports.list(1)).map((r) => r.reported),
    ['b2'],
  )
})

let time = NOW
withStores(
  'old reports are forgotten',
  async (stores) => {
    const { id } = await createAccount(stores, 'alice@example.org')
    time = NOW
    await stores.reports.add(report(id, 'old.example'), wide)
    time = NOW + 1
    await stores.reports.add(report(id, 'new.example'), wide)
    assert.equal(await stores.reports.purge(NOW + 1), 1)
    assert.deepEqual(
      (await stores.reports.list(5)).map((r) => r.reported),
      ['new.example'],
    )
  },
  { now: () => time },
)

withStores('list and reports go with the account', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  await stores.blocks.add(id, jids('a.example'), 3)
  await stores.reports.add(report(id, 'a.example'), wide)
  await stores.accounts.remove(id)
  for (const table of ['block', 'report']) {
    const [row] = await stores.database.query<{ rows: number }>(`select count(*) as rows from ${table}`)
    assert.equal(row?.rows, 0, table)
  }
})
