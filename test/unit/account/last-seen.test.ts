import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { LastSeen } from '../../../src/account/last-seen.ts'

/** A store whose answers the test gives, one by one. */
function world() {
  const written: {
    readonly ends: readonly (readonly [number, number])[]
    readonly answer: PromiseWithResolvers<void>
  }[] = []
  const failures: unknown[] = []
  const lastSeen = new LastSeen(
    {
      put: (ends) => {
        const answer = Promise.withResolvers<void>()
        written.push({ ends: [...ends], answer })
        return answer.promise
      },
      find: async () => undefined,
      ofContacts: async () => new Map(),
    },
    (error) => failures.push(error),
  )
  return { lastSeen, written, failures, ends: () => written.map((w) => w.ends) }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const turns = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await turn()
}

describe('ends of sessions', () => {
  test('of one turn, and those that come during a write, are written together', async () => {
    const { lastSeen, written, ends } = world()
    lastSeen.ended(1, 10)
    lastSeen.ended(2, 11)
    lastSeen.ended(1, 12)
    await turns()
    assert.deepEqual(ends(), [
      [
        [1, 12],
        [2, 11],
      ],
    ])
    lastSeen.ended(3, 13)
    lastSeen.ended(1, 14)
    await turns()
    assert.equal(written.length, 1, 'one write at a time')
    written[0]?.answer.resolve()
    await turns()
    assert.deepEqual(ends()[1], [
      [1, 14],
      [3, 13],
    ])
    written[1]?.answer.resolve()
    await turns()
    lastSeen.ended(4, 15)
    await turns()
    assert.deepEqual(ends()[2], [[4, 15]])
  })

  test('go in bounded statements', async () => {
    const { lastSeen, written } = world()
    for (let i = 0; i < 2_500; i++) lastSeen.ended(i, 1)
    for (let i = 0; i < 3; i++) {
      await turns()
      written[i]?.answer.resolve()
    }
    await turns()
    assert.deepEqual(
      written.map((w) => w.ends.length),
      [1000, 1000, 500],
    )
  })

  test('are written when the server stops', async () => {
    const { lastSeen, written, ends } = world()
    lastSeen.ended(1, 10)
    const closed = lastSeen.close()
    await turns()
    lastSeen.ended(2, 11)
    written[0]?.answer.resolve()
    await turns()
    written[1]?.answer.resolve()
    await closed
    assert.deepEqual(ends(), [[[1, 10]], [[2, 11]]])
  })

  test('wait for a store that does not answer, and are bounded meanwhile', async (t: TestContext) => {
    const { lastSeen, written, failures, ends } = world()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    lastSeen.ended(1, 10)
    await turns()
    written[0]?.answer.reject(new Error('away'))
    await turns()
    assert.equal(failures.length, 1)
    for (let i = 2; i < 100_010; i++) lastSeen.ended(i, 11)
    await turns()
    assert.equal(written.length, 1, 'not asked again at once')
    t.mock.timers.tick(5_000)
    for (let i = 1; i < 102; i++) {
      await turns()
      written[i]?.answer.resolve()
    }
    await turns()
    const all = ends().slice(1).flat()
    assert.equal(all.length, 100_000)
    assert.deepEqual(all[0], [1, 10])
  })
})
