import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ArchiveStore } from '../../../src/inbox/archive.ts'
import { deleteHistory } from '../../../src/inbox/archive.ts'
import { tidyArchives } from '../../../src/inbox/tidy.ts'

const BOUNDS = { before: 5, entries: 6, bytes: 7 }

/** A store with so many accounts, each of which needs its number of steps. */
function world(accounts: number, stepsOf: (account: number) => number) {
  const asked: string[] = []
  const left = new Map(Array.from({ length: accounts }, (_, i) => [i + 1, stepsOf(i + 1)]))
  const store: Pick<ArchiveStore, 'untidy' | 'tidy'> = {
    untidy: (after, limit, bounds) => {
      assert.equal(bounds, BOUNDS)
      asked.push(`after ${after}`)
      const page = [...left.keys()].filter((id) => id > after).slice(0, limit)
      return Promise.resolve({ accounts: page.filter((id) => (left.get(id) ?? 0) > 0), last: page.at(-1) })
    },
    tidy: (account) => {
      const steps = (left.get(account) ?? 0) - 1
      left.set(account, steps)
      return Promise.resolve({ removed: 10, isDone: steps <= 0 })
    },
  }
  return { store, asked, left }
}

test('every account that needs it is tidied to its end', async () => {
  const { store, asked, left } = world(450, (account) => account % 3)
  const removed = await tidyArchives(store, BOUNDS, new AbortController().signal)
  assert.equal(removed, 450 * 10)
  assert.ok([...left.values()].every((steps) => steps === 0))
  assert.deepEqual(asked, ['after 0', 'after 200', 'after 400', 'after 450'])
})

test('it stops between two steps when the server does', async () => {
  const { store, left } = world(10, () => 5)
  const stop = new AbortController()
  const stopping: typeof store = {
    ...store,
    tidy: (account, bounds) => {
      if (account === 2) stop.abort()
      return store.tidy(account, bounds)
    },
  }
  assert.equal(await tidyArchives(stopping, BOUNDS, stop.signal), 60)
  assert.deepEqual([...left.values()].slice(0, 3), [0, 4, 5])
})

test('a history is deleted until nothing of it is left', async () => {
  let left = 1_234
  const late = new Set([3, 700, 1_100])
  const removed = await deleteHistory(
    {
      remove: (account, { ids, ...filter }, limit) => {
        if (ids !== undefined) return Promise.resolve(ids.filter((id) => late.delete(id)).length)
        assert.deepEqual([account, filter], [7, { with: undefined, end: 9 }])
        const step = Math.min(limit, left)
        left -= step
        return Promise.resolve(step)
      },
      late: (account, filter, after, limit) => {
        assert.deepEqual([account, filter], [7, { with: undefined, end: 9 }])
        const ids = [...late].filter((id) => id > after && id <= after + limit)
        return Promise.resolve({ ids, last: after + limit < 1_200 ? after + limit : undefined })
      },
    },
    7,
    { end: 9 },
  )
  assert.deepEqual([removed, left, late.size], [1_237, 0, 0])
})
