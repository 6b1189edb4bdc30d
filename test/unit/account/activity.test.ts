import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Activity } from '../../../src/account/activity.ts'

const HOUR = 3_600_000

test('use is noted once an hour for each account', async () => {
  let now = 0
  const written: (readonly [number, number])[] = []
  const activity = new Activity(
    { put: async (times) => void written.push(...times) },
    () => undefined,
    () => now,
  )
  const notes = async (): Promise<unknown> => {
    await activity.close()
    return written.splice(0)
  }
  activity.seen(1)
  assert.deepEqual(await notes(), [[1, 0]])
  now = HOUR - 1
  activity.seen(1)
  activity.seen(2)
  assert.deepEqual(await notes(), [[2, now]])
  now = HOUR
  activity.seen(1)
  assert.deepEqual(await notes(), [[1, now]])
})
