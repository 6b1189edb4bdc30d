import assert from 'node:assert/strict'
import type { InboxStore } from '../../src/inbox/store.ts'
import type { Stores } from '../../src/storage/open.ts'
import { batch, createAccount, entry, idsOf, openOf, takesOf } from '../helpers/store-samples.ts'
import { type TestStores, withStores } from '../helpers/test-database.ts'

/** A small generator with a seed of its own (mulberry32): the same batches in each run. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

async function accountsOf(stores: Stores, count: number): Promise<readonly number[]> {
  const accounts: number[] = []
  for (let i = 0; i < count; i++) accounts.push((await createAccount(stores, `a${i}@example.org`)).id)
  return accounts
}

/** Two committers, each one batch after the other, on connections of their own. */
async function committers(stores: TestStores, work: (inbox: InboxStore, committer: number) => Promise<void>) {
  const other = await stores.second()
  await Promise.all([work(stores.inbox, 1), work(other.inbox, 2)])
}

withStores('batches that overlap neither lock each other out nor hide an entry from a reader', async (stores) => {
  const accounts = await accountsOf(stores, 6)
  const given = new Map<number, number[]>(accounts.map((account) => [account, []]))
  const seen = new Map<number, number[]>(accounts.map((account) => [account, []]))
  /** Of each entry the one before it, as its commit told. */
  const before = new Map<number, Map<number, number>>(accounts.map((account) => [account, new Map()]))
  let working = true

  const read = async (inbox: InboxStore, account: number) => {
    const ids = seen.get(account) ?? []
    for (let last = false; ; ) {
      const { entries, last: newest } = await inbox.read(account, ids.at(-1) ?? 0, undefined, 7)
      ids.push(...entries.map(({ id }) => id))
      assert.ok((ids.at(-1) ?? 0) <= newest)
      if (last && entries.length === 0) return
      last = !working
    }
  }
  const reader = await stores.second()
  const readers = accounts.map((account) => read(reader.inbox, account))
  await committers(stores, async (inbox, committer) => {
    const pick = random(committer)
    for (let i = 0; i < 60; i++) {
      const entries = Array.from({ length: 12 }, (_, n) => entry(accounts[pick(6)] ?? 0, `${committer}.${i}.${n}`))
      const places = await inbox.commit(batch(entries))
      for (const [n, { account }] of entries.entries()) given.get(account)?.push(places[n]?.id ?? 0)
      for (const [n, { account }] of entries.entries())
        before.get(account)?.set(places[n]?.id ?? 0, places[n]?.prev ?? -1)
    }
  })
  working = false
  await Promise.all(readers)

  for (const account of accounts) {
    const ids = given.get(account) ?? []
    assert.equal(new Set(ids).size, ids.length, 'no id twice')
    assert.deepEqual(
      seen.get(account),
      ids.toSorted((a, b) => a - b),
      'who reads on from the last id misses nothing',
    )
    const inOrder = ids.toSorted((a, b) => a - b)
    assert.deepEqual(
      inOrder.map((id) => before.get(account)?.get(id)),
      [0, ...inOrder.slice(0, -1)],
      'each tells the one before it, whoever committed that',
    )
  }
})

withStores(
  'takes from two sides at once, between new entries: what nobody took stays, nothing else',
  async (stores) => {
    const accounts = await accountsOf(stores, 3)
    const untaken = new Map<number, number[]>(accounts.map((account) => [account, []]))
    await committers(stores, async (inbox, committer) => {
      const pick = random(10 + committer)
      const mine = new Map<number, number[]>(accounts.map((account) => [account, []]))
      for (let i = 0; i < 80; i++) {
        const entries = Array.from({ length: pick(5) }, () =>
          entry(accounts[pick(3)] ?? 0, 'x', { archived: pick(2) === 0 }),
        )
        const takes = accounts.map((account) => {
          const known = mine.get(account) ?? []
          const ids = Array.from({ length: Math.min(known.length, pick(4)) }, () => known.splice(pick(known.length), 1))
          return takesOf(account, ids.flat())
        })
        const ids = idsOf(await inbox.commit(batch(entries, takes)))
        for (const [n, { account }] of entries.entries()) mine.get(account)?.push(ids[n] ?? 0)
      }
      for (const [account, ids] of mine) untaken.get(account)?.push(...ids)
    })
    for (const account of accounts) {
      const expected = untaken.get(account)?.toSorted((a, b) => a - b)
      assert.deepEqual(
        (await openOf(stores.inbox, account)).map(([id]) => id),
        expected,
      )
    }
  },
)

withStores('an account removed while batches for it are committed leaves nothing behind', async (stores) => {
  const [stays = 0, ...going] = await accountsOf(stores, 11)
  const other = await stores.second()
  const write = async () => {
    for (const account of going) {
      await other.inbox.commit(batch([entry(stays, 'kept')]))
      await other.inbox.commit(batch([entry(account, '1'), entry(account, '2')])).catch(() => {})
    }
  }
  const remove = async () => {
    for (const account of going) await stores.accounts.remove(account)
  }
  await Promise.all([write(), remove()])
  while (await stores.inbox.clear());
  const left = await stores.database.query<{ account_id: number }>('select distinct account_id from entry')
  assert.deepEqual(
    left.map((row) => row.account_id),
    [stays],
  )
})
