import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turnstile } from '../../../src/util/turnstile.ts'

const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

test('one is let through in each turn of the event loop, in the order they came', async () => {
  const turnstile = new Turnstile()
  const through: string[] = []
  const enter = (name: string): void => void turnstile.enter().then(() => through.push(name))
  for (const name of ['a', 'b', 'c']) enter(name)
  assert.deepEqual(through, [])
  await turn()
  assert.deepEqual(through, ['a'])
  enter('d')
  await turn()
  assert.deepEqual(through, ['a', 'b'])
  await turn()
  await turn()
  assert.deepEqual(through, ['a', 'b', 'c', 'd'])
})

test('whoever comes later, to an empty one, is let through in the next turn', async () => {
  const turnstile = new Turnstile()
  await turnstile.enter()
  await turn()
  let isThrough = false
  void turnstile.enter().then(() => {
    isThrough = true
  })
  await turn()
  assert.equal(isThrough, true)
})
