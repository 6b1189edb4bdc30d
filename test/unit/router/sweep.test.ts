import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InboxStore } from '../../../src/inbox/store.ts'
import type { RegisteredSession, Registry } from '../../../src/presence/registry.ts'
import { sweepLingering } from '../../../src/router/sweep.ts'
import { type BareJid, fullJid } from '../../../src/xmpp/jid.ts'

const jidOf = (account: number): BareJid => `a${account}@example.org` as BareJid
const session = (account: number, priority: number | undefined, isFollowing: boolean): RegisteredSession => ({
  jid: fullJid(jidOf(account), 'phone'),
  node: 'n1',
  priority,
  flags: new Set(isFollowing ? ['following'] : []),
  queuedAt: undefined,
  presence: undefined,
})

test('what lingers goes, but not as long as a session has still to read it', async () => {
  const swept: number[] = []
  const store = {
    lingering: (after: number, limit: number) =>
      Promise.resolve(
        Array.from({ length: 250 }, (_, i) => ({ account: i + 1, jid: jidOf(i + 1) }))
          .filter(({ account }) => account > after)
          .slice(0, limit),
      ),
    sweep: (account: number) => {
      swept.push(account)
      return Promise.resolve()
    },
  } as unknown as InboxStore
  const sessions = new Map([
    [3, [session(3, 0, true), session(3, 5, false)]],
    [101, [session(101, 0, true)]],
    [102, [session(102, -1, false), session(102, undefined, false)]],
    [250, [session(250, 0, false)]],
  ])
  for (const isLater of [false, true]) {
    swept.length = 0
    const registry = {
      of: (jid: BareJid) => {
        const found = sessions.get(Number(/\d+/.exec(jid)?.[0])) ?? []
        return isLater ? Promise.resolve(found) : found
      },
    } as unknown as Registry
    await sweepLingering(store, registry)
    assert.deepEqual(
      swept,
      Array.from({ length: 250 }, (_, i) => i + 1).filter((account) => account !== 3 && account !== 250),
    )
  }
})
