import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StrangerBudget } from '../../../src/account/stranger-budget.ts'
import type { BareJid, Domain } from '../../../src/xmpp/jid.ts'

const ROMEO = 'romeo@example.org' as BareJid
const TYBALT = 'tybalt@example.org' as BareJid
const REMOTE = 'iago@example.net' as BareJid
const HOUR = 3_600_000
const target = (i: number): BareJid => `t${i}@example.org` as BareJid

function world(remembered?: number) {
  const clock = { now: 5 }
  const budget = new StrangerBudget({
    domains: new Set(['example.org' as Domain]),
    local: 3,
    remote: 1,
    now: () => clock.now,
    ...(remembered === undefined ? {} : { remembered }),
  })
  return { clock, budget }
}

describe('the budget of strangers', () => {
  test('is so many addresses a day; those asked about already cost nothing', () => {
    const { budget, clock } = world()
    for (const i of [0, 1, 2, 1, 0]) assert.ok(budget.spend(ROMEO, target(i)))
    assert.ok(!budget.spend(ROMEO, target(3)))
    assert.ok(budget.spend(ROMEO, target(2)))
    clock.now += 23 * HOUR
    assert.ok(!budget.spend(ROMEO, target(3)))
    clock.now += 2 * HOUR
    for (const i of [3, 4, 5]) assert.ok(budget.spend(ROMEO, target(i)))
    assert.ok(!budget.spend(ROMEO, target(0)))
  })
  test('is each asker’s own, and smaller for other servers', () => {
    const { budget } = world()
    for (const i of [0, 1, 2]) budget.spend(ROMEO, target(i))
    assert.ok(budget.spend(TYBALT, target(3)))
    assert.ok(budget.spend(REMOTE, target(0)))
    assert.ok(!budget.spend(REMOTE, target(1)))
  })
  test('is remembered of so many addresses only; who has not asked for longest is forgotten', () => {
    const { budget } = world(4)
    for (const i of [0, 1, 2]) budget.spend(ROMEO, target(i))
    assert.ok(budget.spend(TYBALT, target(0)))
    assert.ok(!budget.spend(ROMEO, target(3)))
    assert.ok(budget.spend(TYBALT, target(1)))
    assert.ok(budget.spend(TYBALT, target(2)))
    assert.ok(budget.spend(ROMEO, target(3)))
  })
})
