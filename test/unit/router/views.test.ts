import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ARCHIVE_ALL } from '../../../src/account/archiving.ts'
import type { RosterItem, RosterStore } from '../../../src/roster/store.ts'
import { ViewCache } from '../../../src/router/views.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'
import { accountOf, JULIET, ROMEO } from './world.ts'

type Found = Awaited<ReturnType<RosterStore['load']>>
const item = (contact: BareJid, version: number): RosterItem => ({
  contact,
  name: undefined,
  groups: [],
  subscription: 'both',
  pendingOut: false,
  pendingIn: undefined,
  approved: false,
  listed: true,
  version,
})
const found = (version: number): Found => ({
  account: accountOf(JULIET),
  archiving: ARCHIVE_ALL,
  items: [item(ROMEO, version)],
  version,
  blocked: [],
})

const never = (): never => {
  throw new Error('not asked here')
}

/** A cache over a store whose answers the test gives, one by one. */
function world() {
  const asked: PromiseWithResolvers<Found>[] = []
  const told: BareJid[] = []
  const store: RosterStore = {
    load: () => {
      const answer = Promise.withResolvers<Found>()
      asked.push(answer)
      return answer.promise
    },
    change: never,
    since: never,
  }
  const cache = new ViewCache(store, (account) => told.push(account))
  return {
    cache,
    told,
    asked,
    answer: (index: number, value: Found) => asked[index]?.resolve(value),
    /** The version of the roster that a view shows. */
    version: async (view: ReturnType<ViewCache['load']>) => (await view).roster.get(ROMEO)?.version,
  }
}
/** All that waits for no answer has gone on. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('views', () => {
  test('one query serves all who ask meanwhile, and later ones ask nothing', async () => {
    const { cache, asked, answer } = world()
    assert.equal(cache.peek(JULIET), undefined)
    const first = cache.load(JULIET)
    const second = cache.load(JULIET)
    answer(0, found(1))
    const view = await first
    assert.equal(await second, view)
    assert.equal(cache.peek(JULIET), view)
    assert.equal(await cache.load(JULIET), view)
    assert.equal(asked.length, 1)
    assert.equal(view.account?.jid, JULIET)
    assert.deepEqual([...view.roster.keys()], [ROMEO])
  })

  test('no account is a view too', async () => {
    const { cache, answer } = world()
    const view = cache.load(JULIET)
    answer(0, undefined)
    assert.deepEqual(await view, {
      jid: JULIET,
      account: undefined,
      roster: new Map(),
      archiving: ARCHIVE_ALL,
      blocked: new Set(),
    })
  })

  test('a change drops it and is told; another node’s is not told on', async () => {
    const { cache, told, answer, asked } = world()
    const view = cache.load(JULIET)
    answer(0, found(1))
    await view
    cache.changed(JULIET)
    assert.equal(cache.peek(JULIET), undefined)
    assert.deepEqual(told, [JULIET])
    const again = cache.load(JULIET)
    answer(1, found(2))
    await again
    cache.drop(JULIET)
    assert.equal(cache.peek(JULIET), undefined)
    assert.deepEqual(told, [JULIET])
    assert.equal(asked.length, 2)
  })

  test('a failure is told to those who wait, and the next one asks again', async () => {
    const { cache, asked, answer, version } = world()
    const failing = cache.load(JULIET)
    asked[0]?.reject(new Error('away'))
    await assert.rejects(failing, /away/)
    const again = cache.load(JULIET)
    answer(1, found(1))
    assert.equal(await version(again), 1)
  })
})

describe('a change while it is being loaded', () => {
  test('has it loaded again before anybody sees it', async () => {
    const { cache, answer, asked, version } = world()
    const view = cache.load(JULIET)
    cache.changed(JULIET)
    answer(0, found(1))
    await turn()
    assert.equal(asked.length, 2)
    assert.equal(cache.peek(JULIET), undefined)
    answer(1, found(2))
    assert.equal(await version(view), 2)
    assert.equal(cache.peek(JULIET)?.roster.get(ROMEO)?.version, 2)
  })

  test('whoever asks after it gets a query of his own, in whichever order they are answered', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { cache, answer, asked, version } = world()
      const before = cache.load(JULIET)
      cache.changed(JULIET)
      const after = cache.load(JULIET)
      assert.equal(asked.length, 2)
      for (const index of order) {
        answer(index, found(index + 1))
        await turn()
        assert.notEqual(cache.peek(JULIET)?.roster.get(ROMEO)?.version, 1)
      }
      assert.equal(await version(after), 2)
      assert.equal(await version(before), 2)
      assert.equal(asked.length, 2)
    }
  })

  test('and another: the last query counts', async () => {
    const { cache, answer, version } = world()
    const first = cache.load(JULIET)
    cache.changed(JULIET)
    const second = cache.load(JULIET)
    answer(0, found(1))
    await turn()
    cache.changed(JULIET)
    answer(1, found(2))
    await turn()
    assert.equal(cache.peek(JULIET), undefined)
    answer(2, found(3))
    assert.equal(await version(second), 3)
    assert.equal(await version(first), 3)
  })

  test('a failure of the old query does not disturb the new one', async () => {
    const { cache, answer, asked, version } = world()
    const first = cache.load(JULIET)
    cache.changed(JULIET)
    const second = cache.load(JULIET)
    asked[0]?.reject(new Error('away'))
    await assert.rejects(first, /away/)
    const third = cache.load(JULIET)
    answer(1, found(2))
    assert.equal(await version(second), 2)
    assert.equal(await version(third), 2)
    assert.equal(asked.length, 2)
  })
})

describe('a view in use', () => {
  test('is known while a change of it is being read', async () => {
    const { cache, answer, asked } = world()
    cache.keepWhile((account) => account === JULIET)
    assert.equal(cache.latest(JULIET), undefined)
    const first = cache.load(JULIET)
    answer(0, found(1))
    await first
    cache.drop(JULIET)
    assert.equal(cache.peek(JULIET), undefined)
    assert.equal(cache.latest(JULIET)?.roster.get(ROMEO)?.version, 1)
    assert.equal(asked.length, 2, 'it is read again without being asked for')
    answer(1, found(2))
    await turn()
    assert.equal(cache.latest(JULIET)?.roster.get(ROMEO)?.version, 2)
    assert.equal(cache.peek(JULIET), cache.latest(JULIET))
  })

  test('is asked for again where the store did not answer', async () => {
    const { cache, answer, asked } = world()
    cache.keepWhile(() => true)
    const first = cache.load(JULIET)
    answer(0, found(1))
    await first
    cache.drop(JULIET)
    asked[1]?.reject(new Error('away'))
    await turn()
    assert.equal(cache.latest(JULIET)?.roster.get(ROMEO)?.version, 1)
    answer(2, found(3))
    await turn()
    assert.equal(cache.latest(JULIET)?.roster.get(ROMEO)?.version, 3)
  })

  test('of another account a change costs nothing until somebody wants it', async () => {
    const { cache, answer, asked } = world()
    const first = cache.load(JULIET)
    answer(0, found(1))
    await first
    cache.drop(JULIET)
    assert.equal(asked.length, 1)
  })

  test('stays, however many others come; those out of use go', async () => {
    const store: RosterStore = { load: () => Promise.resolve(found(1)), change: never, since: never }
    const cache = new ViewCache(store, () => undefined)
    const used = new Set([JULIET, ROMEO])
    cache.keepWhile((account) => used.has(account))
    await cache.load(JULIET)
    await cache.load(ROMEO)
    const others = (from: number, to: number) =>
      Promise.all(Array.from({ length: to - from }, (_, i) => cache.load(`a${from + i}@example.org` as BareJid)))
    await others(0, 21_000)
    assert.notEqual(cache.peek(JULIET), undefined)
    assert.equal(cache.peek('a0@example.org' as BareJid), undefined)
    // Many in use, then none but one: what is kept is looked through.
    for (let i = 0; i < 3_000; i++) used.add(`a${21_000 + i}@example.org` as BareJid)
    await others(21_000, 45_000)
    assert.notEqual(cache.peek('a21000@example.org' as BareJid), undefined)
    used.clear()
    used.add(JULIET)
    for (let i = 0; i < 10_000; i++) used.add(`b${i}@example.org` as BareJid)
    await Promise.all(Array.from({ length: 10_000 }, (_, i) => cache.load(`b${i}@example.org` as BareJid)))
    await others(45_000, 66_000)
    assert.equal(cache.peek('a21000@example.org' as BareJid), undefined)
    assert.notEqual(cache.peek(JULIET), undefined)
    assert.notEqual(cache.peek('b0@example.org' as BareJid), undefined)
  })
})
