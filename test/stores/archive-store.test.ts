import assert from 'node:assert/strict'
import { type ArchiveFilter, deleteHistory, type PageBounds } from '../../src/inbox/archive.ts'
import { contactKey } from '../../src/inbox/contact-key.ts'
import { SqlArchiveStore } from '../../src/storage/archive-store.ts'
import { planBatch } from '../../src/storage/batch-plan.ts'
import { openStores, type Stores } from '../../src/storage/open.ts'
import { commitBatch } from '../../src/storage/postgres/commit-batch.ts'
import type { Jid } from '../../src/xmpp/jid.ts'
import { ALL, archive, archived, bodies, bury, commit } from '../helpers/archive-samples.ts'
import { batch, bytes, createAccount, entry, jid, openOf, takesOf, text } from '../helpers/store-samples.ts'
import { withPostgres, withStores } from '../helpers/test-database.ts'

const NOW = 1_800_000_000_000
const DAY = 86_400_000
const NOTHING = { before: 0, entries: 1_000_000, bytes: 2 ** 40 }
const address = (text: string): Jid => jid(text)
const page = (edge: PageBounds['edge'], entries: number): PageBounds => ({ ...ALL, edge, entries })
/** Steps until there is nothing left to do; what went. */
async function tidied({ archive: store }: Stores, account: number, bounds: typeof NOTHING): Promise<number> {
  for (let removed = 0; ; ) {
    const step = await store.tidy(account, bounds)
    removed += step.removed
    if (step.isDone) return removed
  }
}

withStores('an entry comes back as it was written, others’ do not', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const other = await createAccount(stores, 'bob@example.org')
  const payload = Uint8Array.from({ length: 256 }, (_, i) => i)
  const peer = `a"b\\c{d},e'@example.org/${'é'.repeat(100)}`
  const [first] = await commit(stores, [
    archived(id, '', { payload, peer, direction: 'sent', at: 12_345 }),
    entry(id, 'not archived'),
  ])
  await archive(stores, other.id, ['other'])
  assert.deepEqual(await stores.archive.page(id, {}, ALL), {
    entries: [{ id: first, at: 12_345, direction: 'sent', peer, payload }],
    isComplete: true,
  })
  assert.deepEqual(await stores.archive.page(id + 99, {}, ALL), { entries: [], isComplete: true })
})

withStores('pages from either end, and whether there is more', async (stores) => {
  const { archive: store } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const ids = await archive(stores, id, ['1', '2', '3', '4', '5'])
  const read = async (filter: ArchiveFilter, bounds: PageBounds) => {
    const found = await store.page(id, filter, bounds)
    return [bodies(found).join(''), found.isComplete]
  }
  assert.deepEqual(await read({}, page('first', 2)), ['12', false])
  assert.deepEqual(await read({ after: ids[1] }, page('first', 2)), ['34', false])
  assert.deepEqual(await read({ after: ids[3] }, page('first', 2)), ['5', true])
  assert.deepEqual(await read({ after: ids[4] }, page('first', 2)), ['', true])
  assert.deepEqual(await read({}, page('last', 2)), ['45', false])
  assert.deepEqual(await read({ before: ids[3] }, page('last', 2)), ['23', false])
  assert.deepEqual(await read({ before: ids[1] }, page('last', 2)), ['1', true])
  assert.deepEqual(await read({ after: ids[0], before: ids[4] }, page('first', 9)), ['234', true])
  assert.deepEqual(await read({}, page('first', 5)), ['12345', true])
  assert.deepEqual(await read({ ids: [ids[4] ?? 0, ids[1] ?? 0, 7] }, page('first', 9)), ['25', true])
  assert.deepEqual(await read({ ids: [] }, page('first', 9)), ['', true])
})

withStores('a page ends with the entry that fills its bytes', async (stores) => {
  const { archive: store } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  await archive(stores, id, ['aaaa', 'bbbb', 'cccc', 'dddd'])
  for (const [limit, first, last] of [
    [1, 'aaaa', 'dddd'],
    [4, 'aaaa', 'dddd'],
    [5, 'aaaa,bbbb', 'cccc,dddd'],
    [13, 'aaaa,bbbb,cccc,dddd', 'aaaa,bbbb,cccc,dddd'],
  ] as const) {
    for (const [edge, expected] of [
      ['first', first],
      ['last', last],
    ] as const) {
      const found = await store.page(id, {}, { edge, entries: 10, bytes: limit })
      assert.equal(bodies(found).join(), expected)
      assert.equal(found.isComplete, limit === 13)
    }
  }
})

withStores('by the other side: a bare address with any resource, a full one as it is', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const peers = [
    'bob@example.org',
    'bob@example.org/a',
    'bob@example.org/b',
    'example.org',
    'example.org/a',
    'bob@example.organic/a',
    'b%b@x.org/1',
  ]
  await stores.inbox.commit(batch(peers.map((peer) => archived(id, peer, { peer }))))
  // Somebody else who has the same key: found by chance, as an attacker would.
  for (const peer of ['example.org', 'bob@example.organic/a'])
    await stores.database.query('update entry set contact = $1 where peer = $2', [
      contactKey(jid('bob@example.org')),
      peer,
    ])
  const found = async (peer: string) => bodies(await stores.archive.page(id, { with: address(peer) }, ALL)).join(' ')
  assert.equal(await found('bob@example.org'), 'bob@example.org bob@example.org/a bob@example.org/b')
  assert.equal(await found('bob@example.org/b'), 'bob@example.org/b')
  assert.equal(await found('bob@example.org/c'), '')
  assert.equal(await found('b_b@x.org'), '')
  assert.equal(await found('%@x.org'), '')
  assert.equal(await found('b%b@x.org'), 'b%b@x.org/1')
  assert.equal(await stores.archive.count(id, { with: address('bob@example.org') }, 10), 3)
})

withStores(
  'by time, to the millisecond, also what was committed late or with the clock set back',
  async (stores) => {
    const { inbox, archive: store } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const at = [NOW - 20 * 3_600_000, NOW - 1, NOW, NOW + 30_000]
    await inbox.commit(batch(at.map((time, i) => archived(id, String(i), { at: time }))))
    const found = async (start: number | undefined, end: number | undefined) =>
      bodies(await store.page(id, { start, end }, ALL)).join('')
    assert.equal(await found(undefined, undefined), '0123')
    assert.equal(await found(NOW, undefined), '23')
    assert.equal(await found(NOW + 1, undefined), '3')
    assert.equal(await found(undefined, NOW), '012')
    assert.equal(await found(undefined, NOW - 1), '01')
    assert.equal(await found(undefined, NOW - 2), '0')
    assert.equal(await found(NOW - 1, NOW), '12')
    assert.equal(await found(NOW, NOW - 1), '')
    const never = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59Z')] as const
    assert.equal(await found(never[0], never[1]), '0123')
    assert.equal(await found(never[1], undefined), '')
    assert.equal(await found(undefined, never[0]), '')
  },
  { now: () => NOW },
)

withStores('counts, up to a bound', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  await archive(stores, id, ['1', '2', '3'])
  assert.equal(await stores.archive.count(id, {}, 3), 3)
  assert.equal(await stores.archive.count(id, {}, 2), undefined)
  assert.equal(await stores.archive.count(id + 9, {}, 2), 0)
})

withStores('ids that are there, and the ends', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  assert.equal(await stores.archive.ends(id), undefined)
  const ids = await archive(stores, id, ['1', '2', '3'])
  const [open = 0] = await commit(stores, [entry(id, 'not archived')])
  const [first = 0, , last = 0] = ids
  assert.deepEqual(await stores.archive.ends(id), {
    first: { id: first, at: 1_700_000_000_000 },
    last: { id: last, at: 1_700_000_002_000 },
  })
  assert.equal(await stores.archive.hasAll(id, [first, last, first]), true)
  assert.equal(await stores.archive.hasAll(id, []), true)
  assert.equal(await stores.archive.hasAll(id, [first, last + 100]), false)
  assert.equal(await stores.archive.hasAll(id, [open]), false)
  assert.equal(await stores.archive.hasAll(id + 1, [first]), false)
})

withStores('a message is found by its own id in its conversation and direction, the newest first', async (stores) => {
  const { archive: store } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const write = async (messageId: string | undefined, other: Parameters<typeof archived>[2]) => {
    const [written = 0] = await commit(stores, [archived(id, messageId ?? '', { messageId, ...other })])
    return written
  }
  const bob = 'bob@example.org/a'
  const old = await write('m1', { peer: bob })
  await write('m2', { peer: bob })
  const young = await write('m1', { peer: 'bob@example.org/b' })
  await write('m1', { peer: bob, direction: 'sent' })
  await write('m1', { peer: 'carol@example.org/a' })
  const unknown = await write(undefined, { peer: bob })
  const found = async (message: string, contact = 'bob@example.org') =>
    (await store.candidates(id, jid(contact), 'received', message, Number.MAX_SAFE_INTEGER)).map((e) => e.id)
  assert.deepEqual(await found('m1'), [young, old])
  const older = await store.candidates(id, jid('bob@example.org'), 'received', 'm1', young)
  assert.deepEqual(
    older.map((e) => e.id),
    [old],
  )
  assert.deepEqual(await found('m3'), [unknown], 'those whose id was not noted come instead')
  assert.deepEqual(await found('m1', 'dave@example.org'), [])
})

withStores('a tombstone leaves all else as it was', async (stores) => {
  const { archive: store } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const ids = await archive(stores, id, ['one', 'two'])
  assert.equal(await tidied(stores, id, NOTHING), 0)
  await bury(stores, id, ids[0] ?? 0, bytes('x'))
  assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['x', 'two'])
  assert.deepEqual(await store.usage(id), { entries: 2, bytes: 4 })
  const [open = 0] = await commit(stores, [entry(id, 'not archived')])
  for (const other of [5, open]) await bury(stores, id, other, bytes('x'))
  assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['x', 'two'])
  assert.deepEqual(await openOf(stores.inbox, id), [[open, 'not archived']])
  assert.deepEqual(await store.usage(id), { entries: 2, bytes: 4 })
})

withStores('a retraction is noted by the commit that keeps it, and goes with its tombstone', async (stores) => {
  const { archive: store, inbox } = stores
  const alice = await createAccount(stores, 'alice@example.org')
  const bob = await createAccount(stores, 'bob@example.org')
  const [first = 0] = await archive(stores, alice.id, ['said in haste'])
  assert.equal(await tidied(stores, alice.id, NOTHING), 0)
  const retraction = { of: `m"1\\{}`, id: 'r1', from: address('bob@example.org/a'), isInRoom: false }
  const wishes = batch([
    archived(alice.id, 'wish', { peer: 'bob@example.org/a', retracts: retraction }),
    archived(alice.id, 'more'),
    entry(bob.id, '', { peer: 'alice@example.org', direction: 'sent', wanted: false, retracts: retraction }),
  ])
  const places = await inbox.commit(wishes)
  assert.deepEqual(await inbox.commit(wishes), places, 'sent again, it is noted once')
  const [wish, , notStored] = places.map(({ id }) => id)
  assert.deepEqual(await store.retracting(0, 9), [alice.id, bob.id])
  assert.deepEqual(await store.retracting(0, 1), [alice.id])
  assert.deepEqual(await store.retracting(alice.id, 9), [bob.id])
  assert.deepEqual(await store.retractions(alice.id, 9), [
    { id: wish, contact: 'bob@example.org', direction: 'received', retraction },
  ])
  assert.deepEqual(await store.retractions(bob.id, 9), [
    { id: notStored, contact: 'alice@example.org', direction: 'sent', retraction },
  ])
  assert.deepEqual(bodies(await store.page(bob.id, {}, ALL)), [])

  const buried = [{ id: first, payload: bytes('x') }]
  assert.equal(await store.retract(alice.id, wish ?? 0, buried), true)
  assert.deepEqual(bodies(await store.page(alice.id, {}, ALL)), ['x', 'wish', 'more'])
  assert.equal((await store.usage(alice.id)).bytes, 1)
  // Whoever else has seen the note finds the tombstone, and might take an older message for what was meant.
  assert.equal(await store.retract(alice.id, wish ?? 0, [{ id: first, payload: bytes('another') }]), false)
  assert.deepEqual(bodies(await store.page(alice.id, {}, ALL)), ['x', 'wish', 'more'])
  assert.equal(await store.retract(bob.id, notStored ?? 0, []), true)
  assert.deepEqual(await store.retracting(0, 9), [])
})

withStores('what is removed is gone; what waits for a device goes when it is taken', async (stores) => {
  const { archive: store, inbox, database } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const other = await createAccount(stores, 'bob@example.org')
  await archive(stores, other.id, ['other'])
  const ids = await commit(stores, [
    archived(id, 'sent'),
    archived(id, 'waits', { wanted: true }),
    archived(id, 'taken', { wanted: true }),
    archived(id, 'waits too', { wanted: true }),
  ])
  await inbox.commit(batch([], [takesOf(id, [ids[2] ?? 0])]))
  assert.equal(await store.remove(id, {}, 3), 3)
  assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['waits too'])
  assert.equal(await store.remove(id, {}, 3), 1)
  assert.equal(await store.remove(id, {}, 3), 0)
  assert.deepEqual(
    (await openOf(inbox, id)).map(([, body]) => body),
    ['waits', 'waits too'],
  )
  await inbox.commit(batch([], [takesOf(id, ids)]))
  const rows = await database.query<{ payload: Uint8Array }>('select payload from entry')
  assert.deepEqual(
    rows.map(({ payload }) => text(payload)),
    ['other'],
  )
})

withStores(
  'one conversation is removed, or what is older than a time',
  async (stores) => {
    const { archive: store } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    await archive(stores, id, ['b1', 'b2'], { peer: 'bob@example.org/a', at: NOW - 5_000 })
    await archive(stores, id, ['c1', 'c2'], { peer: 'carol@example.org/a', at: NOW - 5_000 })
    assert.equal(await store.remove(id, { with: address('bob@example.org'), end: NOW - 4_001 }, 10), 1)
    assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['b2', 'c1', 'c2'])
    assert.equal(await store.remove(id, { with: address('carol@example.org') }, 10), 2)
    assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['b2'])
  },
  { now: () => NOW },
)

withStores(
  'what was kept here long after its time, as by an import, is deleted by its time too',
  async (stores) => {
    const { archive: store } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const year = 365 * 86_400_000
    const ids = [
      ...(await archive(stores, id, ['old 1', 'old 2', 'old 3'], { at: NOW - 2 * year })),
      ...(await archive(stores, id, ['old 4'], { at: NOW - 2 * year, peer: 'carol@example.org/a' })),
    ]
    await archive(stores, id, ['waits'], { at: NOW - 2 * year, wanted: true })
    await archive(stores, id, ['new 1'], { at: NOW })
    const carol = { end: NOW - year, with: address('carol@example.org') }
    assert.deepEqual(await store.late(id, carol, 0, 3), { ids: [], last: ids[2] })
    assert.deepEqual(await store.late(id, carol, ids[2] ?? 0, 9), { ids: [ids[3]], last: undefined })
    assert.equal(await deleteHistory(store, id, carol), 1)
    assert.equal(await deleteHistory(store, id, { end: NOW - year }), 4)
    assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['new 1'])
    assert.deepEqual(
      (await openOf(stores.inbox, id)).map(([, body]) => body),
      ['waits'],
    )
  },
  { now: () => NOW },
)

withPostgres(
  'a commit under way is waited for, so that what it takes is removed and not left behind',
  async (url, t) => {
    const stores = await openStores({ databaseUrl: url, dataDir: '' })
    t.after(() => stores.close())
    const { archive: store, database } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const ids = await commit(stores, [archived(id, 'waits', { wanted: true })])
    const takes = planBatch(batch([], [takesOf(id, ids)]), Date.now())
    let removing: Promise<number> | undefined
    await database.transaction(async (sql) => {
      await commitBatch(sql, takes)
      let isOver = false
      removing = store.remove(id, {}, 10).finally(() => {
        isOver = true
      })
      const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
      while (!isOver && (await database.query(waits)).length === 0);
    })
    assert.equal(await removing, 1)
    assert.deepEqual(await database.query('select id, archived from entry'), [], 'nobody would ever remove it')
  },
)

withPostgres('what is taken in the very moment in which it leaves the archive is not left behind', async (url, t) => {
  const stores = await openStores({ databaseUrl: url, dataDir: '' })
  t.after(() => stores.close())
  const { inbox, database } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const ids = await commit(stores, [
    archived(id, 'waits', { wanted: true }),
    archived(id, 'waits on', { wanted: true }),
  ])
  const taken = ids.slice(0, 1)
  let taking: Promise<unknown> | undefined
  const store = new SqlArchiveStore({
    dialect: database.dialect,
    query: (sql, params) => database.query(sql, params),
    close: () => database.close(),
    transaction: (work) =>
      database.transaction(async (sql) => {
        const done = await work(sql)
        // The take sees what was there before this ends, and waits for its log.
        taking ??= inbox.commit(batch([], [takesOf(id, taken)]))
        await isBlocked()
        return done
      }),
  })
  /** Of the removal's first step; the second one has nobody wait for it. */
  let hasWaited = false
  async function isBlocked(): Promise<void> {
    const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    while (!hasWaited && (await database.query(waits)).length === 0);
    hasWaited = true
  }
  assert.equal(await store.remove(id, {}, 10), 2)
  await taking
  const left = await database.query<{ id: number }>('select id from entry')
  assert.deepEqual(
    left.map((row) => row.id),
    ids.slice(1),
  )
  await inbox.commit(batch([], [takesOf(id, ids.slice(1))]))
  assert.deepEqual(await database.query('select id from entry'), [])
})

withStores('nothing that is open is lost when it is removed while it is taken', async (stores) => {
  const { archive: store, inbox, database } = stores
  const other = await stores.second()
  const { id } = await createAccount(stores, 'alice@example.org')
  for (let round = 0; round < 10; round++) {
    const ids = await commit(
      stores,
      Array.from({ length: 20 }, (_, i) => archived(id, String(i), { wanted: true })),
    )
    await Promise.all([
      store.remove(id, {}, 10),
      other.inbox.commit(batch([], [takesOf(id, ids.slice(0, 15))])),
      store.remove(id, {}, 10),
    ])
    await inbox.commit(batch([], [takesOf(id, ids)]))
    await store.remove(id, {}, 100)
    assert.deepEqual(await database.query('select id from entry'), [], 'an entry is neither archived nor open')
  }
})

withStores(
  'what is older than the retention goes, but for what waits; the newer stays',
  async (stores) => {
    const { archive: store } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const ids = await commit(stores, [
      archived(id, '1'),
      archived(id, '2', { wanted: true }),
      archived(id, '3'),
      archived(id, '4'),
    ])
    const before = (index: number) => ({ ...NOTHING, before: ((ids[index] ?? 0) + 999) / 1000 })
    assert.equal(await tidied(stores, id, { ...NOTHING, before: NOW }), 0)
    assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['1', '2', '3', '4'])
    assert.equal(await tidied(stores, id, before(0)), 3)
    assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['2'])
    assert.deepEqual(await store.usage(id), { entries: 1, bytes: 1 })
    assert.equal(await tidied(stores, id + 1, before(0)), 0)
  },
  { now: () => NOW },
)

withStores('an archive over its quota loses its oldest taken entries, in bounded steps', async (stores) => {
  const { archive: store, inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const written = Array.from({ length: 1_200 }, (_, i) => String(1_000 + i))
  await archive(stores, id, written)
  await inbox.commit(batch([archived(id, 'wait', { wanted: true })]))
  assert.equal(await tidied(stores, id, NOTHING), 0)
  assert.deepEqual(await store.usage(id), { entries: 1_201, bytes: 4_804 })
  const first = await store.tidy(id, { ...NOTHING, entries: 100 })
  assert.deepEqual(first, { removed: 500, isDone: false })
  assert.equal(await tidied(stores, id, { ...NOTHING, entries: 100 }), 601)
  assert.deepEqual(await store.usage(id), { entries: 100, bytes: 400 })
  assert.equal(bodies(await store.page(id, {}, ALL))[0], '2101')
  assert.equal(await tidied(stores, id, { ...NOTHING, bytes: 11 }), 98)
  assert.deepEqual(bodies(await store.page(id, {}, ALL)), ['2199', 'wait'])
  assert.equal(await tidied(stores, id, { ...NOTHING, bytes: 0 }), 1, 'what waits does not count among what goes')
  await archive(stores, id, ['new'])
  assert.equal(await tidied(stores, id, NOTHING), 0)
  assert.deepEqual(await store.usage(id), { entries: 2, bytes: 7 })
})

withStores('a long archive is counted in steps', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  for (let i = 0; i < 5; i++)
    await archive(
      stores,
      id,
      Array.from({ length: 1_000 }, () => 'x'),
    )
  let steps = 1
  for (; !(await stores.archive.tidy(id, NOTHING)).isDone; steps++);
  assert.equal(steps, 3)
  assert.deepEqual(await stores.archive.usage(id), { entries: 5_000, bytes: 5_000 })
})

withStores(
  'archives that need a look are found, a page of accounts at a time',
  async (stores) => {
    const ids: number[] = []
    for (const name of ['a', 'b', 'c']) ids.push((await createAccount(stores, `${name}@example.org`)).id)
    const [a = 0, b = 0, c = 0] = ids
    for (const id of ids) await archive(stores, id, ['1', '2'])
    assert.deepEqual(await stores.archive.untidy(0, 2, NOTHING), { accounts: [a, b], last: b })
    assert.deepEqual(await stores.archive.untidy(b, 2, NOTHING), { accounts: [c], last: c })
    assert.deepEqual(await stores.archive.untidy(c, 2, NOTHING), { accounts: [], last: undefined })
    for (const id of ids) await tidied(stores, id, NOTHING)
    assert.deepEqual(await stores.archive.untidy(0, 9, NOTHING), { accounts: [], last: c })
    await archive(stores, b, ['3'])
    assert.deepEqual((await stores.archive.untidy(0, 9, NOTHING)).accounts, [b])
    await tidied(stores, b, NOTHING)
    assert.deepEqual((await stores.archive.untidy(0, 9, { ...NOTHING, entries: 2 })).accounts, [b])
    assert.deepEqual((await stores.archive.untidy(0, 9, { ...NOTHING, bytes: 2 })).accounts, [b])
    assert.deepEqual((await stores.archive.untidy(0, 9, { ...NOTHING, before: NOW + DAY })).accounts, ids)
  },
  { now: () => NOW },
)

withStores('preferences come with the account and its roster, and go with it', async (stores) => {
  const { archive: store, rosters, accounts, database } = stores
  const { id, jid: owner } = await createAccount(stores, 'alice@example.org')
  assert.deepEqual((await rosters.load(owner))?.archiving, { rule: 'always', always: new Set(), never: new Set() })
  for (const contact of ['bob@example.org', 'carol@example.org'])
    await rosters.change(
      id,
      jid(contact),
      () => ({
        contact: jid(contact),
        name: undefined,
        groups: [],
        subscription: 'none',
        pendingOut: false,
        pendingIn: undefined,
        approved: false,
        listed: true,
        version: 0,
      }),
      9,
    )
  const preferences = {
    rule: 'roster',
    always: new Set([address('bob@example.org'), address(`a"b\\'@x.org/é`)]),
    never: new Set([address('eve@example.org')]),
  } as const
  await store.setPreferences(id, { ...preferences, rule: 'never' })
  await store.setPreferences(id, preferences)
  const loaded = await rosters.load(owner)
  assert.deepEqual(loaded?.archiving, preferences)
  assert.equal(loaded.items.length, 2)
  await store.setPreferences(id + 7, preferences)
  await archive(stores, id, ['1'])
  await tidied(stores, id, NOTHING)
  await accounts.remove(id)
  while (await stores.inbox.clear());
  for (const table of ['archive_preference', 'archive_usage', 'entry'])
    assert.deepEqual(await database.query(`select 1 from ${table}`), [], table)
})
