import assert from 'node:assert/strict'
import { test } from 'node:test'
import { removeUnused } from '../../../src/account/unused.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'

const NOW = 1_800_000_000_000
const DAY = 86_400_000
const name = (n: number): BareJid => `${n}@example.org` as BareJid

/** `count` accounts that nobody has used. */
function world(count: number, hasLease = true) {
  const there = new Map(Array.from({ length: count }, (_, i) => [i, name(i)] as const))
  const pages: number[] = []
  const stop = new AbortController()
  const removal = {
    store: {
      lease: async () => hasLease,
      unused: async (before: number, limit: number, skip: number) => {
        assert.equal(before, NOW - DAY)
        pages.push(limit)
        return [...there].slice(skip, skip + limit).map(([id, jid]) => ({ id, jid }))
      },
    },
    accounts: {
      removeUnused: async (jid: BareJid) => there.delete(Number(jid.split('@')[0])),
    },
    after: DAY,
    except: new Set<BareJid>(),
    isConnected: () => false,
    signal: stop.signal,
    now: () => NOW,
  }
  return { there, pages, removal, stop }
}

test('all that nobody has used go, page by page', async () => {
  const { there, pages, removal } = world(1_250)
  assert.equal(await removeUnused(removal), 1_250)
  assert.equal(there.size, 0)
  assert.deepEqual(pages, [500, 500, 500])
})
test('but for those that are excepted or connected, however many, and those that somebody uses meanwhile', async () => {
  const { there, removal } = world(1_220)
  const except = new Set(Array.from({ length: 650 }, (_, i) => name(i)))
  const isConnected = (jid: BareJid) => jid === name(700)
  const removed = (jid: BareJid) => (jid === name(701) ? Promise.resolve(false) : removal.accounts.removeUnused(jid))
  assert.equal(await removeUnused({ ...removal, except, isConnected, accounts: { removeUnused: removed } }), 568)
  assert.deepEqual([...there.values()].slice(650), [name(700), name(701)])
})
test('at most so many in one run', async () => {
  const { there, removal } = world(2_150)
  assert.equal(await removeUnused(removal), 2_000)
  assert.equal(there.size, 150)
})
test('by one node at a time, and not while it stops', async () => {
  const other = world(5, false)
  assert.equal(await removeUnused(other.removal), 0)
  assert.deepEqual(other.pages, [])
  const stopping = world(5)
  const remove = async (jid: BareJid) => {
    stopping.stop.abort()
    return stopping.removal.accounts.removeUnused(jid)
  }
  assert.equal(await removeUnused({ ...stopping.removal, accounts: { removeUnused: remove } }), 1)
})
