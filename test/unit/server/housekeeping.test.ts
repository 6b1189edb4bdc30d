import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { type Chore, Housekeeping } from '../../../src/server/housekeeping.ts'

let logged: unknown[]
const log = { warn: (data: unknown) => void logged.push(data) }
beforeEach(() => {
  logged = []
  mock.timers.enable({ apis: ['setInterval'] })
})
afterEach(() => mock.timers.reset())
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A chore that the test ends. */
function choreOf(what: string, isDoneAtStart = false) {
  const begun: PromiseWithResolvers<void>[] = []
  const work = (): Promise<void> => {
    const done = Promise.withResolvers<void>()
    begun.push(done)
    return done.promise
  }
  const chore: Chore = { what, everyMs: 1_000, isDoneAtStart, work }
  return { chore, begun }
}

test('a chore is done each time, but never twice at a time', async () => {
  const { chore, begun } = choreOf('a')
  const house = new Housekeeping(log, [chore])
  assert.equal(begun.length, 0)
  mock.timers.tick(3_000)
  assert.equal(begun.length, 1)
  begun[0]?.resolve()
  await turn()
  mock.timers.tick(1_000)
  assert.equal(begun.length, 2)
  begun[1]?.resolve()
  await house.close()
  mock.timers.tick(5_000)
  assert.equal(begun.length, 2, 'and not after the end')
})

test('what fails is told by its name and done again, and stops no other', async () => {
  const a = choreOf('a', true)
  const b = choreOf('b')
  const house = new Housekeeping(log, [a.chore, b.chore])
  assert.deepEqual([a.begun.length, b.begun.length], [1, 0])
  const fault = new Error('away')
  a.begun[0]?.reject(fault)
  await turn()
  assert.deepEqual(logged, [{ err: fault, chore: 'a' }])
  mock.timers.tick(1_000)
  assert.deepEqual([a.begun.length, b.begun.length], [2, 1])
  let isClosed = false
  const closing = house.close().then(() => {
    isClosed = true
  })
  a.begun[1]?.resolve()
  await turn()
  assert.equal(isClosed, false, 'what is under way is waited for')
  b.begun[0]?.resolve()
  await closing
})
