import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allOf, whenKnown } from '../../../src/util/awaitable.ts'
import { KeyedQueue } from '../../../src/util/keyed-queue.ts'

test('an idle key is served at once, without a promise', () => {
  const queue = new KeyedQueue<string>()
  assert.equal(
    queue.run('a', () => 1),
    1,
  )
  assert.equal(queue.size, 0)
})

test('a busy key keeps order, other keys go on', async () => {
  const queue = new KeyedQueue<string>()
  const { promise, resolve } = Promise.withResolvers<void>()
  const done: string[] = []
  const first = queue.run('a', () => promise.then(() => done.push('first')))
  const second = queue.run('a', () => void done.push('second'))
  void queue.run('b', () => void done.push('other'))
  assert.deepEqual(done, ['other'])
  resolve()
  await Promise.all([first, second])
  assert.deepEqual(done, ['other', 'first', 'second'])
  await undefined
  assert.equal(queue.size, 0)
})

test('a failure is its own', async () => {
  const queue = new KeyedQueue<string>()
  const failing = queue.run('a', () => Promise.reject(new Error('no')))
  const next = queue.run('a', () => 2)
  await assert.rejects(Promise.resolve(failing), /no/)
  assert.equal(await next, 2)
  assert.throws(
    () =>
      void queue.run('b', () => {
        throw new Error('at once')
      }),
    /at once/,
  )
  assert.equal(queue.size, 0)
})

test('what is known needs no promise', async () => {
  const seen: number[] = []
  assert.equal(
    whenKnown(1, (n) => void seen.push(n)),
    undefined,
  )
  assert.equal(allOf([undefined, undefined]), undefined)
  await whenKnown(Promise.resolve(2), (n) => void seen.push(n))
  await allOf([undefined, Promise.resolve().then(() => void seen.push(3))])
  assert.deepEqual(seen, [1, 2, 3])
})
