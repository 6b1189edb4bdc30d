import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LookupBudget, LookupStore, Spender } from '../../../src/account/lookup-store.ts'
import { type Asker, Lookups } from '../../../src/account/lookups.ts'
import type { BareJid, Domain, Jid } from '../../../src/xmpp/jid.ts'

const DAY = 86_400_000
const ROMEO: Asker = { account: 'romeo@example.org' as BareJid }
const target = (i: number): BareJid => `t${i}@example.org` as BareJid

/** A store that allows what was asked before, and of the rest as much as is left. Says what it was asked. */
function world(remembered?: number) {
  const clock = { now: 1_000_000 }
  const calls: { readonly spender: string; readonly marks: number; readonly count: number }[] = []
  const known = new Map<string, Set<string>>()
  const held: (() => void)[] = []
  const flags = { holds: false, fails: false }
  const store: LookupStore = {
    look: () => Promise.reject(new Error('not asked')),
    purge: () => Promise.resolve(0),
    spend: async (spender: Spender, marks: readonly string[], { count }: LookupBudget) => {
      const name = 'account' in spender ? spender.account : spender.mark
      calls.push({ spender: name, marks: marks.length, count })
      if (flags.holds) await new Promise<void>((go) => held.push(go))
      if (flags.fails) throw new Error('away')
      const mine = known.get(name) ?? new Set()
      known.set(name, mine)
      for (const mark of marks) if (mine.size < count) mine.add(mark)
      return new Set(marks.filter((mark) => mine.has(mark)))
    },
  }
  const lookups = new Lookups({
    store,
    key: Buffer.alloc(32, 1),
    domains: new Set(['example.org' as Domain]),
    newPerDay: 3,
    remoteNewPerDay: 1,
    webNewPerDay: 2,
    keptMs: DAY,
    now: () => clock.now,
    ...(remembered === undefined ? {} : { remembered }),
  })
  return { lookups, calls, clock, flags, release: () => held.splice(0).map((go) => go()) }
}

describe('the budget of askers', () => {
  test('is larger for accounts of ours than for a server elsewhere, or an address', async () => {
    const { lookups, calls } = world()
    const told = async (asker: Asker) => {
      const answers: boolean[] = []
      for (let i = 0; i < 4; i++) answers.push(await lookups.spend(asker, target(i)))
      return answers.filter(Boolean).length
    }
    assert.deepEqual(lookups.askerOf('romeo@example.org/orchard' as Jid), ROMEO)
    assert.equal(await told(ROMEO), 3)
    assert.equal(await told(lookups.askerOf('iago@example.net/x' as Jid)), 1)
    assert.equal(await told({ address: '192.0.2.7' }), 2)
    assert.deepEqual(new Set(calls.map(({ count }) => count)), new Set([3, 1, 2]))
  })
  test('is one for all of a domain elsewhere, and for all of a /64', async () => {
    for (const [one, other, stranger] of [
      ['iago@example.net/x', 'emilia@example.net', 'iago@example.com'],
      ['2001:db8:0:1::1', '2001:db8:0:1:ffff::', '2001:db8:0:2::1'],
    ] as const) {
      const { lookups } = world()
      const asker = (name: string): Asker => (name.includes('@') ? lookups.askerOf(name as Jid) : { address: name })
      assert.ok(await lookups.spend(asker(one), target(1)))
      if (!one.includes('@')) assert.ok(await lookups.spend(asker(one), target(3)))
      assert.ok(!(await lookups.spend(asker(other), target(2))), 'nothing is left')
      assert.ok(await lookups.spend(asker(other), target(1)), 'and it knows what was paid for')
      assert.ok(await lookups.spend(asker(stranger), target(2)))
    }
  })
  test('names of different kinds are never one asker', async () => {
    const { lookups, calls } = world()
    const name = 'example.net' as Domain
    for (const asker of [{ domain: name }, { address: name }] as const) await lookups.spend(asker, target(0))
    assert.equal(new Set(calls.map(({ spender }) => spender)).size, 2)
  })
})

describe('what it costs', () => {
  test('what was paid for costs no query for a day, what was refused does', async () => {
    const { lookups, calls, clock } = world()
    for (const i of [0, 1, 2, 0, 1, 2]) assert.ok(await lookups.spend(ROMEO, target(i)))
    assert.equal(calls.length, 3)
    for (const _ of [0, 1]) assert.ok(!(await lookups.spend(ROMEO, target(3))))
    assert.equal(calls.length, 5)
    clock.now += DAY
    assert.ok(await lookups.spend(ROMEO, target(0)))
    assert.equal(calls.length, 6)
  })
  test('only so much is remembered, and what is not is asked of the store', async () => {
    const { lookups, calls } = world(2)
    for (const i of [0, 1, 2, 0]) assert.ok(await lookups.spend(ROMEO, target(i)))
    assert.equal(calls.length, 4)
  })
  test('many at once are one query, and those that come meanwhile the next; another asker does not wait', async () => {
    const { lookups, calls, flags, release } = world()
    flags.holds = true
    const first = [0, 1].map((i) => lookups.spend(ROMEO, target(i)))
    await new Promise((resolve) => setImmediate(resolve))
    const more = [1, 2, 3, 4].map((i) => lookups.spend(ROMEO, target(i)))
    const other = lookups.spend({ account: 'juliet@example.org' as BareJid }, target(0))
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(
      calls.map(({ marks }) => marks),
      [2, 1],
    )
    flags.holds = false
    release()
    assert.deepEqual(await Promise.all(first), [true, true])
    assert.deepEqual(await Promise.all(more), [true, true, false, false])
    assert.ok(await other)
    assert.deepEqual(
      calls.map(({ marks }) => marks),
      [2, 1, 4],
    )
  })
  test('a store that fails is told to all who wait, and asked again by the next', async () => {
    const { lookups, flags } = world()
    flags.fails = true
    const told = await Promise.allSettled([0, 1].map((i) => lookups.spend(ROMEO, target(i))))
    assert.deepEqual(
      told.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    flags.fails = false
    assert.ok(await lookups.spend(ROMEO, target(0)))
  })
})
