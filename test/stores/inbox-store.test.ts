import assert from 'node:assert/strict'
import { StoreError } from '../../src/storage/sql.ts'
import { batch, bytes, createAccount, entry, openOf, text } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const NOW = 1_800_000_000_000
const DAY = 86_400_000
const refused = (error: unknown) => error instanceof StoreError && error.fault === 'refused'
const at = () => NOW

withStores(
  'ids are per account, from the clock on and then one after the other',
  async (stores) => {
    const { inbox } = stores
    const alice = (await createAccount(stores, 'alice@example.org')).id
    const bob = (await createAccount(stores, 'bob@example.org')).id
    const first = await inbox.commit(batch([entry(bob, 'b1'), entry(alice, 'a1'), entry(bob, 'b2')]))
    assert.deepEqual(first, [NOW * 1000, NOW * 1000, NOW * 1000 + 1])
    assert.deepEqual(await inbox.commit(batch([entry(bob, 'b3')])), [NOW * 1000 + 2])
    assert.deepEqual([...(await inbox.heads([alice, bob, 99]))].toSorted(), [
      [alice, NOW * 1000],
      [bob, NOW * 1000 + 2],
    ])
    assert.deepEqual(await inbox.heads([]), new Map())
  },
  { now: at },
)

withStores('an entry comes back as it was written', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const payload = Uint8Array.from({ length: 256 }, (_, i) => i)
  const peer = `a"b\\c{d},e'@example.org/${'é'.repeat(100)}`
  const written = entry(id, '', { payload, peer, archived: true, at: 12_345 })
  const ids = await stores.inbox.commit(batch([entry(id, ''), written]))
  const { entries, head } = await stores.inbox.open(id, ids[0] ?? 0, 10)
  const { stream: _, number: __, floor: ___, ...kept } = written
  assert.deepEqual(entries, [{ ...kept, id: ids[1] }])
  assert.equal(head, ids[1])
})

withStores('what is open comes in order, a page at a time', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  assert.deepEqual(await inbox.open(id, 0, 10), { entries: [], head: 0 })
  const ids = await inbox.commit(batch(['1', '2', '3', '4', '5'].map((body) => entry(id, body))))
  const page = async (after: number) => (await inbox.open(id, after, 2)).entries.map(({ payload }) => text(payload))
  assert.deepEqual(await page(0), ['1', '2'])
  assert.deepEqual(await page(ids[1] ?? 0), ['3', '4'])
  await inbox.commit(batch([], [{ account: id, ids: [ids[1] ?? 0, ids[3] ?? 0] }]))
  assert.deepEqual(await page(0), ['1', '3'])
  assert.deepEqual(await page(ids[2] ?? 0), ['5'])
  assert.equal((await inbox.open(id, ids[4] ?? 0, 2)).head, ids[4])
})

withStores('a batch committed before gives the same ids and changes nothing', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const once = batch([entry(id, '1'), entry(id, 'not kept', { wanted: false }), entry(id, '2')])
  const ids = await inbox.commit(once)
  await inbox.commit(batch([entry(id, '3')]))
  assert.deepEqual(await inbox.commit(once), ids)
  assert.equal((await inbox.waiting(id)).entries, 3)
  const other = await stores.second()
  const twice = batch([entry(id, '4')])
  const [a, b] = await Promise.all([inbox.commit(twice), other.inbox.commit(twice)])
  assert.deepEqual(a, b)
  assert.equal((await inbox.waiting(id)).entries, 4)
})

withStores(
  'an archived entry stays when it is taken, another goes; nobody wants what is only archived',
  async (stores) => {
    const { inbox, database } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const ids = await inbox.commit(
      batch([
        entry(id, 'sent', { direction: 'sent', wanted: false, archived: true }),
        entry(id, 'gone', { archived: false }),
        entry(id, 'kept', { archived: true }),
        entry(id, 'never', { archived: false, wanted: false }),
      ]),
    )
    assert.deepEqual(await openOf(inbox, id), [
      [ids[1], 'gone'],
      [ids[2], 'kept'],
    ])
    await inbox.commit(batch([], [{ account: id, ids: ids.slice(1, 3) }]))
    assert.deepEqual(await openOf(inbox, id), [])
    const rows = await database.query<{ id: number }>('select id from entry order by id')
    assert.deepEqual(
      rows.map((row) => row.id),
      [ids[0], ids[2]],
    )
  },
)

withStores('the quota counts what is open', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const ids = await inbox.commit(batch(['1', '22', '333'].map((body) => entry(id, body, { archived: true }))))
  assert.deepEqual(await inbox.waiting(id), { entries: 3, bytes: 6 })
  await inbox.commit(batch([], [{ account: id, ids: [ids[1] ?? 0] }]))
  assert.deepEqual(await inbox.waiting(id), { entries: 2, bytes: 4 })
  assert.deepEqual(await inbox.waiting(id + 1), { entries: 0, bytes: 0 })
})

withStores('takes of what does not exist take nothing', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  await inbox.commit(batch([], [{ account: id, ids: [1, 2] }]))
  await inbox.commit(batch([], [{ account: id + 1, ids: [1] }]))
  assert.deepEqual(await inbox.heads([id]), new Map())
  const far = Number.MAX_SAFE_INTEGER - 1
  await inbox.commit(batch([entry(id, '1')], [{ account: id, ids: [far] }]))
  await inbox.commit(batch([entry(id, '2')], [{ account: id, ids: [far, 5] }]))
  await inbox.commit(batch([entry(id, '3')], [{ account: id, ids: [] }]))
  assert.deepEqual(
    (await openOf(inbox, id)).map(([, body]) => body),
    ['1', '2', '3'],
  )
})

withStores(
  'a batch for an account that is gone, or with a bad entry, is refused and leaves no trace',
  async (stores) => {
    const { inbox } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const gone = batch([entry(id, 'good'), entry(id + 1, 'nobody')])
    await assert.rejects(inbox.commit(gone), refused)
    await assert.rejects(inbox.commit(gone), refused)
    await assert.rejects(
      inbox.commit(batch([entry(id, 'good'), entry(id, 'bad', { peer: 'x'.repeat(3072) })])),
      refused,
    )
    assert.deepEqual(await inbox.open(id, 0, 10), { entries: [], head: 0 })
    const [rows] = await stores.database.query<{ rows: number }>('select count(*) as rows from batch')
    assert.equal(rows?.rows, 0)
  },
)

withStores('a stream is settled as far as its numbers follow each other', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const stream = Uint8Array.from({ length: 16 }, (_, i) => 255 - i)
  const sent = (number: number, floor: number) => entry(id, `${number}`, { stream, number, floor })
  assert.equal(await inbox.lastSettled(stream), undefined)
  await inbox.commit(batch([sent(2, 0)]))
  assert.equal(await inbox.lastSettled(stream), 0, '1 may be lost')
  await inbox.commit(batch([sent(1, 0), sent(1, 0)]))
  assert.equal(await inbox.lastSettled(stream), 2)
  await inbox.commit(batch([sent(3, 0), sent(5, 0)]))
  assert.equal(await inbox.lastSettled(stream), 3)
  await inbox.commit(batch([sent(9, 4)]))
  assert.equal(await inbox.lastSettled(stream), 5)
  const taken = (await openOf(inbox, id)).map(([one]) => one)
  await inbox.commit(batch([], [{ account: id, ids: taken }]))
  assert.equal(await inbox.lastSettled(stream), 5, 'also when all was taken')
  assert.equal(await inbox.lastSettled(bytes('another stream!!')), undefined)
})

withStores('a refused batch settles nothing', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const stream = new Uint8Array(16).fill(7)
  const sent = entry(id, '1', { stream, number: 1, floor: 0 })
  await assert.rejects(stores.inbox.commit(batch([sent, entry(id + 1, 'nobody')])), refused)
  assert.equal(await stores.inbox.lastSettled(stream), undefined)
})

withStores('what waited too long expires; the archive keeps it', async (stores) => {
  const { inbox } = stores
  const alice = (await createAccount(stores, 'alice@example.org')).id
  const bob = (await createAccount(stores, 'bob@example.org')).id
  const ids = await inbox.commit(
    batch([
      entry(alice, 'old', { at: 1 }),
      entry(alice, 'old, archived', { at: 2, archived: true }),
      entry(alice, 'old, taken', { at: 3, archived: true }),
      entry(alice, 'new', { at: 10 }),
      entry(bob, 'old', { at: 4 }),
    ]),
  )
  await inbox.commit(batch([], [{ account: alice, ids: [ids[2] ?? 0] }]))
  assert.equal(await inbox.expire(10), 3)
  assert.equal(await inbox.expire(10), 0)
  assert.deepEqual(await openOf(inbox, alice), [[ids[3], 'new']])
  assert.deepEqual(await openOf(inbox, bob), [])
  const [row] = await stores.database.query<{ rows: number }>('select count(*) as rows from entry')
  assert.equal(row?.rows, 3)
})

const clock = { now: NOW }
withStores(
  'batch ids and streams are forgotten after a day',
  async (stores) => {
    clock.now = NOW
    const { inbox, database } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const stream = new Uint8Array(16)
    await inbox.commit(batch([entry(id, '1', { stream, number: 1, floor: 0 })]))
    const count = () => database.query('select (select count(*) from batch) + (select count(*) from stream_mark) as n')
    clock.now = NOW + DAY
    await inbox.expire(0)
    assert.deepEqual(
      (await count()).map((row) => row.n),
      [2],
    )
    clock.now = NOW + DAY + 1
    await inbox.expire(0)
    assert.deepEqual(
      (await count()).map((row) => row.n),
      [0],
    )
    assert.equal(await inbox.lastSettled(stream), undefined)
  },
  { now: () => clock.now },
)
