import assert from 'node:assert/strict'
import type { InboxStore } from '../../src/inbox/store.ts'
import { StoreError } from '../../src/storage/sql.ts'
import { batch, bytes, createAccount, entry, idsOf, openOf, takesOf, text } from '../helpers/store-samples.ts'
import { type TestStores, withStores } from '../helpers/test-database.ts'

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
    assert.deepEqual(idsOf(first), [NOW * 1000, NOW * 1000, NOW * 1000 + 1])
    assert.deepEqual(idsOf(await inbox.commit(batch([entry(bob, 'b3')]))), [NOW * 1000 + 2])
    assert.deepEqual([...(await inbox.lasts([alice, bob, 99]))].toSorted(), [
      [alice, NOW * 1000],
      [bob, NOW * 1000 + 2],
    ])
    assert.deepEqual(await inbox.lasts([]), new Map())
  },
  { now: at },
)

withStores('an entry comes back as it was written', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const payload = Uint8Array.from({ length: 256 }, (_, i) => i)
  const peer = `a"b\\c{d},e'@example.org/${'é'.repeat(100)}`
  const written = entry(id, '', { payload, peer, archived: true, at: 12_345 })
  const ids = idsOf(await stores.inbox.commit(batch([entry(id, ''), written])))
  const { entries, last } = await stores.inbox.read(id, ids[0] ?? 0, undefined, 10)
  const { messageId: _, stream: __, number: ___, floor: ____, ...kept } = written
  assert.deepEqual(entries, [{ ...kept, id: ids[1] }])
  assert.equal(last, ids[1])
})

withStores('what is open comes in order, a page at a time', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  assert.deepEqual(await inbox.read(id, 0, undefined, 10), { entries: [], last: 0 })
  const ids = idsOf(await inbox.commit(batch(['1', '2', '3', '4', '5'].map((body) => entry(id, body)))))
  const page = async (after: number) =>
    (await inbox.read(id, after, undefined, 2)).entries.map(({ payload }) => text(payload))
  assert.deepEqual(await page(0), ['1', '2'])
  assert.deepEqual(await page(ids[1] ?? 0), ['3', '4'])
  await inbox.commit(batch([], [takesOf(id, [ids[1], ids[3]])]))
  assert.deepEqual(await page(0), ['1', '3'])
  assert.deepEqual(await page(ids[2] ?? 0), ['5'])
  assert.equal((await inbox.read(id, ids[4] ?? 0, undefined, 2)).last, ids[4])
})

withStores('a batch committed before gives the same places and changes nothing', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const once = batch([entry(id, '1'), entry(id, 'not kept', { wanted: false }), entry(id, '2')])
  const places = await inbox.commit(once)
  await inbox.commit(batch([entry(id, '3')]))
  assert.deepEqual(await inbox.commit(once), places)
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
    const ids = idsOf(
      await inbox.commit(
        batch([
          entry(id, 'sent', { direction: 'sent', wanted: false, archived: true }),
          entry(id, 'gone', { archived: false }),
          entry(id, 'kept', { archived: true }),
          entry(id, 'never', { archived: false, wanted: false }),
        ]),
      ),
    )
    assert.deepEqual(await openOf(inbox, id), [
      [ids[1], 'gone'],
      [ids[2], 'kept'],
    ])
    await inbox.commit(batch([], [takesOf(id, ids.slice(1, 3))]))
    assert.deepEqual(await openOf(inbox, id), [])
    const rows = await database.query<{ id: number }>('select id from entry order by id')
    assert.deepEqual(
      rows.map((row) => row.id),
      [ids[0], ids[2]],
    )
  },
)

withStores('the quota counts what is open', async (stores) => {
  const { inbox, overhead } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const ids = idsOf(await inbox.commit(batch(['1', '22', '333'].map((body) => entry(id, body, { archived: true })))))
  assert.deepEqual(await inbox.waiting(id), { entries: 3, bytes: 6 + 3 * overhead })
  await inbox.commit(batch([], [takesOf(id, [ids[1]])]))
  assert.deepEqual(await inbox.waiting(id), { entries: 2, bytes: 4 + 2 * overhead })
  assert.deepEqual(await inbox.waiting(id + 1), { entries: 0, bytes: 0 })
})

withStores('takes that tell how far back they reach take the same as those that do not', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  // Archived: what is removed is open no more, however wrong the log is.
  const letters = ['a', 'b', 'c', 'd'].map((body) => entry(id, body, { archived: true }))
  const [a = 0, b = 0, c = 0, d = 0] = idsOf(await inbox.commit(batch(letters)))
  const open = async () => (await openOf(inbox, id)).map(([, body]) => body).join('')
  const take = (ids: readonly number[], from: number) => inbox.commit(batch([], [takesOf(id, ids, false, from)]))
  await take([c], b)
  assert.equal(await open(), 'abd', 'the cursor was not there yet')
  await take([b], a)
  assert.equal(await open(), 'ad', 'in a gap')
  await take([a], 0)
  assert.equal(await open(), 'd')
  const places = await inbox.commit(batch([entry(id, 'e')], [takesOf(id, [d], false, c)]))
  assert.equal(await open(), 'e', 'beside a new one')
  await take(idsOf(places), d)
  assert.equal(await open(), '')
})

withStores('takes of what does not exist take nothing', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  await inbox.commit(batch([], [takesOf(id, [1, 2])]))
  await inbox.commit(batch([], [takesOf(id + 1, [1], true)]))
  assert.deepEqual(await inbox.lasts([id]), new Map())
  const far = Number.MAX_SAFE_INTEGER - 1
  await inbox.commit(batch([entry(id, '1')], [takesOf(id, [far])]))
  await inbox.commit(batch([entry(id, '2')], [takesOf(id, [far, 5], true)]))
  await inbox.commit(batch([entry(id, '3')], [takesOf(id, [])]))
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
    assert.deepEqual(await inbox.read(id, 0, undefined, 10), { entries: [], last: 0 })
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
  await inbox.commit(batch([], [takesOf(id, taken)]))
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

const waited = { now: NOW }
const expires = async (stores: TestStores): Promise<void> => {
  waited.now = NOW
  const { inbox } = stores
  const alice = (await createAccount(stores, 'alice@example.org')).id
  const bob = (await createAccount(stores, 'bob@example.org')).id
  const ids = idsOf(
    await inbox.commit(
      batch([
        entry(alice, 'old'),
        entry(alice, 'old, archived', { archived: true }),
        entry(alice, 'old, taken', { archived: true }),
        entry(bob, 'old'),
      ]),
    ),
  )
  waited.now = NOW + 10
  // Said long ago, and imported now.
  const [kept] = idsOf(await inbox.commit(batch([entry(alice, 'new', { at: 1 })])))
  await inbox.commit(batch([], [takesOf(alice, [ids[2]])]))
  assert.equal(await inbox.expire(NOW), 0)
  assert.equal(await inbox.expire(NOW + 10), 3)
  assert.equal(await inbox.expire(NOW + 10), 0)
  assert.deepEqual(await openOf(inbox, alice), [[kept, 'new']])
  assert.deepEqual(await openOf(inbox, bob), [])
  const [row] = await stores.database.query<{ rows: number }>('select count(*) as rows from entry')
  assert.equal(row?.rows, 3)
}
withStores('what waited too long expires; the archive keeps it', expires, { now: () => waited.now })

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

const wanted = { archived: true }
const unwanted = { direction: 'sent', wanted: false, archived: true } as const

withStores(
  'each entry tells the wanted one before it: within a batch, over batches, past those nobody wants',
  async (stores) => {
    const { inbox } = stores
    const alice = (await createAccount(stores, 'alice@example.org')).id
    const bob = (await createAccount(stores, 'bob@example.org')).id
    const base = NOW * 1000
    const at = (id: number, prev: number) => ({ id: base + id, prev: prev < 0 ? 0 : base + prev })
    // A new log that begins with what nobody wants: there is nothing before its first wanted entry.
    const first = batch([entry(alice, '0', unwanted), entry(bob, '0'), entry(alice, '1', wanted), entry(alice, '2')])
    assert.deepEqual(await inbox.commit(first), [at(0, -1), at(0, -1), at(1, -1), at(2, 1)])
    const second = batch([entry(alice, '3', unwanted), entry(alice, '4', unwanted), entry(bob, '1')])
    assert.deepEqual(await inbox.commit(second), [at(3, 2), at(4, 2), at(1, 0)])
    assert.equal((await inbox.lasts([alice])).get(alice), base + 2, 'the last is the last wanted one')
    assert.equal((await inbox.read(alice, base + 2, undefined, 10)).last, base + 2)
    const third = batch(
      [entry(alice, '5'), entry(alice, '6', unwanted), entry(alice, '7')],
      [takesOf(alice, [base + 2])],
    )
    assert.deepEqual(await inbox.commit(third), [at(5, 2), at(6, 5), at(7, 5)])
    // Again, later and in any order: what came after changes nothing.
    await inbox.commit(batch([entry(alice, '8')]))
    await inbox.commit(batch([], [takesOf(alice, [base + 5, base + 7], true)]))
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await inbox.commit(third), [at(5, 2), at(6, 5), at(7, 5)])
      assert.deepEqual(await inbox.commit(first), [at(0, -1), at(0, -1), at(1, -1), at(2, 1)])
      assert.deepEqual(await inbox.commit(second), [at(3, 2), at(4, 2), at(1, 0)])
    }
    assert.deepEqual(await inbox.commit(batch([entry(alice, '9')])), [at(9, 8)], 'what is taken was there all the same')
  },
  { now: at },
)

/** Ids that a reader finds, as their distance from the log's first. */
const found = async (inbox: InboxStore, account: number, ids: readonly number[], after: number, since: number) => {
  const { entries } = await inbox.read(account, after < 0 ? 0 : (ids[after] ?? 0), since < 0 ? 0 : ids[since], 100)
  return entries.map(({ id }) => ids.indexOf(id))
}

withStores(
  'a reader gets what is open up to `since`, and above it also what others took, while it is there',
  async (stores) => {
    const { inbox } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    const ids = idsOf(
      await inbox.commit(
        batch([
          entry(id, '0'),
          entry(id, '1', wanted),
          entry(id, '2'),
          entry(id, '3', unwanted),
          entry(id, '4'),
          entry(id, '5', wanted),
          entry(id, '6'),
        ]),
      ),
    )
    await inbox.commit(batch([], [takesOf(id, [ids[1], ids[2]], true)]))
    await inbox.commit(batch([], [takesOf(id, [ids[4], ids[5]])]))
    assert.deepEqual(await found(inbox, id, ids, -1, -1), [0, 1, 2, 5, 6], 'the archived one and the lingering one')
    assert.deepEqual(await found(inbox, id, ids, -1, 1), [0, 2, 5, 6])
    assert.deepEqual(await found(inbox, id, ids, -1, 2), [0, 5, 6])
    assert.deepEqual(await found(inbox, id, ids, -1, 6), [0, 6])
    assert.deepEqual(await found(inbox, id, ids, 1, -1), [2, 5, 6])
    assert.deepEqual(await found(inbox, id, ids, 5, 0), [6])
    assert.deepEqual((await inbox.read(id, 0, undefined, 100)).entries.length, 2, 'without since: what is open')
    assert.deepEqual(
      (await inbox.read(id, 0, 0, 3)).entries.map((e) => ids.indexOf(e.id)),
      [0, 1, 2],
      'a page takes the oldest, wherever they come from',
    )
    assert.deepEqual(await inbox.read(id, Number.MAX_SAFE_INTEGER, undefined, 100), { entries: [], last: ids[6] })
    await inbox.sweep(id)
    assert.deepEqual(await found(inbox, id, ids, -1, -1), [0, 1, 5, 6])
  },
)

withStores('what lingers goes with a sweep, and only that', async (stores) => {
  const { inbox, database } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const other = (await createAccount(stores, 'bob@example.org')).id
  const names = new Map<string, string>()
  const rows = async (account: number) =>
    (await database.query<{ id: number }>('select id from entry where account_id = $1 order by id', [account]))
      .map((row) => names.get(`${account}.${row.id}`))
      .join('')
  const ids = idsOf(
    await inbox.commit(
      batch(['a', 'B', 'c', 'D', 'e', 'f'].map((b) => entry(id, b, { archived: b === b.toUpperCase() }))),
    ),
  )
  const others = idsOf(await inbox.commit(batch([entry(other, 'x'), entry(other, 'y')])))
  for (const [i, one] of ids.entries()) names.set(`${id}.${one}`, 'aBcDef'[i] ?? '')
  for (const [i, one] of others.entries()) names.set(`${other}.${one}`, 'xy'[i] ?? '')
  await inbox.commit(batch([], [takesOf(id, [ids[0], ids[1], ids[4]], true), takesOf(other, [others[0]], true)]))
  assert.equal(await rows(id), 'aBcDef')
  await inbox.sweep(id)
  assert.equal(await rows(id), 'BcDf', 'what is open or archived stays')
  assert.equal(await rows(other), 'xy', 'an account for itself')
  assert.deepEqual(
    (await inbox.lingering(0, 10)).map(({ account }) => account),
    [other],
    'an open entry is none that lingers',
  )
  await inbox.sweep(id)
  await inbox.sweep(id + 100)
  assert.equal(await rows(id), 'BcDf')
  await inbox.commit(batch([], [takesOf(id, [ids[2]], true)]))
  await inbox.commit(batch([], [takesOf(id, [ids[5]])]))
  assert.equal(await rows(id), 'BcD', 'who takes without lingering takes its own only')
  await inbox.sweep(id)
  assert.equal(await rows(id), 'BD')
  assert.deepEqual(await openOf(inbox, id), [[ids[3], 'D']])
})

withStores('what a known device has still to take is not swept', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  const ids = idsOf(await inbox.commit(batch(['0', '1', '2'].map((body) => entry(id, body)))))
  await inbox.saveDevices(
    [
      { account: id, device: 'phone', cursor: ids[1] ?? 0 },
      { account: id, device: 'laptop', cursor: ids[0] ?? 0 },
    ],
    16,
  )
  await inbox.commit(batch([], [takesOf(id, ids, true)]))
  await inbox.sweep(id)
  assert.deepEqual(await found(inbox, id, ids, -1, -1), [1, 2], 'the slowest device counts')
  assert.equal((await inbox.lingering(0, 10)).length, 1)
  await inbox.saveDevices([{ account: id, device: 'laptop', cursor: ids[2] ?? 0 }], 16)
  await inbox.sweep(id)
  assert.deepEqual(await found(inbox, id, ids, -1, -1), [2])
  await inbox.saveDevices([{ account: id, device: 'phone', cursor: ids[2] ?? 0 }], 16)
  await inbox.sweep(id)
  assert.deepEqual(await found(inbox, id, ids, -1, -1), [])
  assert.deepEqual(await inbox.lingering(0, 10), [])
})

withStores('accounts with what lingers come in pages', async (stores) => {
  const { inbox } = stores
  const accounts: { readonly account: number; readonly jid: string }[] = []
  for (let i = 0; i < 5; i++) {
    const { id, jid } = await createAccount(stores, `a${i}@example.org`)
    accounts.push({ account: id, jid })
    const [one] = idsOf(await inbox.commit(batch([entry(id, 'x')])))
    await inbox.commit(batch([], [takesOf(id, [one], i !== 2)]))
  }
  const expected = accounts.filter((_, i) => i !== 2)
  const pages: unknown[] = []
  for (let after = 0; ; ) {
    const page = await inbox.lingering(after, 3)
    if (page.length === 0) break
    pages.push(page)
    after = page.at(-1)?.account ?? 0
  }
  assert.deepEqual(pages, [expected.slice(0, 3), expected.slice(3)])
})

const ticking = { now: NOW }
withStores(
  "cursors of devices never go back; an account's oldest devices are forgotten, and whoever was long not seen",
  async (stores) => {
    ticking.now = NOW
    const { inbox } = stores
    const alice = (await createAccount(stores, 'alice@example.org')).id
    const bob = (await createAccount(stores, 'bob@example.org')).id
    const save = async (account: number, device: string, cursor: number, keep = 3) => {
      ticking.now++
      await inbox.saveDevices([{ account, device, cursor }], keep)
    }
    const known = async (account: number) => {
      const names = ['a', 'b', 'c', 'd', `"quoted'`]
      const cursors = await Promise.all(names.map(async (n) => [n, await inbox.deviceCursor(account, n)] as const))
      return Object.fromEntries(cursors.filter(([, cursor]) => cursor !== undefined))
    }
    await save(bob, 'a', 7)
    await save(alice, 'a', 5)
    await save(alice, 'b', 9)
    await save(alice, 'b', 8)
    await save(alice, `"quoted'`, 1)
    assert.deepEqual(await known(alice), { a: 5, b: 9, '"quoted\'': 1 })
    await save(alice, 'a', 6)
    await save(alice, 'c', 2)
    assert.deepEqual(await known(alice), { a: 6, c: 2, '"quoted\'': 1 }, 'b was seen longest ago')
    await save(alice, 'b', 3)
    assert.deepEqual(await known(alice), { a: 6, b: 3, c: 2 }, 'and comes again as a new one')
    const before = ticking.now
    await save(alice, 'c', 2)
    await inbox.expire(before)
    assert.deepEqual(await known(alice), { b: 3, c: 2 })
    assert.deepEqual(await known(bob), {})
    await inbox.saveDevices([], 3)
  },
  { now: () => ticking.now },
)

withStores('devices go with their account', async (stores) => {
  const { inbox } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  await inbox.saveDevices([{ account: id, device: 'phone', cursor: 1 }], 16)
  await stores.accounts.remove(id)
  assert.equal(await inbox.deviceCursor(id, 'phone'), undefined)
})

withStores(
  'what an account leaves in the log goes after it, some at a time, and nothing of anybody else',
  async (stores) => {
    const { inbox, accounts, database } = stores
    const gone = await Promise.all(['alice@example.org', 'carol@example.org'].map((a) => createAccount(stores, a)))
    const bob = (await createAccount(stores, 'bob@example.org')).id
    const ids = gone.map(({ id }) => id)
    for (const id of [bob, ...ids])
      await inbox.commit(batch(Array.from({ length: 2_500 }, (_, i) => entry(id, `${i}`, { archived: i % 2 === 0 }))))
    const left = async () => {
      const rows = await database.query<{ n: number }>(
        'select count(*) as n from entry where account_id <> $1 group by account_id order by account_id',
        [bob],
      )
      return rows.map(({ n }) => n)
    }
    assert.equal(await inbox.clear(), false, 'there is nothing to do')
    for (const id of ids) await accounts.remove(id)
    assert.deepEqual(await left(), [2_500, 2_500])
    assert.equal(await inbox.clear(), true)
    assert.deepEqual(await left(), [500, 2_500])
    // Another node is at the first one: what it has locked is not looked at.
    const { dialect } = stores
    if (dialect === 'postgres')
      await (await stores.second()).database.transaction(async (sql) => {
        await sql.query('select account_id from removed_log where account_id = $1 for update', [Math.min(...ids)])
        assert.equal(await inbox.clear(), true)
        assert.deepEqual(await left(), [500, 500])
      })
    while (await inbox.clear());
    assert.deepEqual(await left(), [])
    assert.deepEqual(await database.query('select * from removed_log'), [])
    assert.equal((await openOf(inbox, bob)).length, 2_500)
  },
)
