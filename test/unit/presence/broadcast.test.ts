import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  available,
  covers,
  maySee,
  parsePriority,
  requests,
  watched,
  watchers,
} from '../../../src/presence/broadcast.ts'
import type { RegisteredSession } from '../../../src/presence/registry.ts'
import type { RosterItem, Subscription } from '../../../src/roster/store.ts'
import type { BareJid, FullJid, Jid } from '../../../src/xmpp/jid.ts'

const ME = 'romeo@example.org' as BareJid
const jid = (name: string) => `${name}@example.org` as BareJid
function rosterOf(states: Readonly<Record<string, Subscription>>): Map<BareJid, RosterItem> {
  return new Map(
    Object.entries(states).map(([name, subscription]) => [
      jid(name),
      {
        contact: jid(name),
        name: undefined,
        groups: [],
        subscription,
        pendingOut: false,
        pendingIn: subscription === 'none' ? Buffer.from(name) : undefined,
        approved: false,
        listed: true,
        version: 1,
      },
    ]),
  )
}
const blocking = (...blocked: Jid[]) => ({ jid: ME, roster: ROSTER, blocked: new Set(blocked) })
const ROSTER = rosterOf({ none: 'none', to: 'to', from: 'from', both: 'both', romeo: 'both' })

test('told are from and both, asked are to and both, the account itself is neither', () => {
  const owner = blocking()
  assert.deepEqual(watchers(owner), [jid('from'), jid('both')])
  assert.deepEqual(watched(owner), [jid('to'), jid('both')])
  assert.deepEqual(requests(owner), [{ contact: jid('none'), kept: Buffer.from('none') }])
})

test('only subscribers and the account itself may see', () => {
  const all = ['none', 'to', 'from', 'both', 'romeo', 'stranger']
  const seen = (owner: ReturnType<typeof blocking>) => all.filter((n) => maySee(`${jid(n)}/x` as Jid, owner))
  assert.deepEqual(seen(blocking()), ['from', 'both', 'romeo'])
  assert.deepEqual(seen(blocking(jid('both'))), ['from', 'romeo'])
  assert.deepEqual(seen(blocking(`${jid('from')}/x` as Jid)), ['both', 'romeo'])
})

test('who is blocked is told nothing, is not asked, and its request does not show', () => {
  const owner = blocking(jid('both'), jid('none'), ME)
  assert.deepEqual(watchers(owner), [jid('from')])
  assert.deepEqual(watched(owner), [jid('to')])
  assert.deepEqual(requests(owner), [])
})

test('available is who has a priority and a presence', () => {
  const session = (resource: string, priority: number | undefined, sent: boolean): RegisteredSession => ({
    jid: `${ME}/${resource}` as FullJid,
    node: 'n1',
    priority,
    flags: new Set(),
    queuedAt: undefined,
    presence: sent ? { content: Buffer.alloc(0), lang: undefined, id: undefined } : undefined,
  })
  const sessions = [
    session('a', 0, true),
    session('b', undefined, false),
    session('c', -1, true),
    session('d', 1, false),
  ]
  assert.deepEqual(
    available(sessions).map((s) => s.jid),
    [`${ME}/a`, `${ME}/c`],
  )
  assert.deepEqual(
    available(sessions, ME).map((s) => s.jid),
    [`${ME}/a`, `${ME}/c`],
  )
  assert.deepEqual(
    available(sessions, `${ME}/c` as Jid).map((s) => s.jid),
    [`${ME}/c`],
  )
  assert.equal(covers(`${ME}/c` as Jid, `${ME}/cc` as FullJid), false)
})

test('a priority is a whole number of one byte', () => {
  const good: [string, number][] = [
    ['0', 0],
    ['-128', -128],
    ['127', 127],
    ['+5', 5],
    [' 7\n', 7],
    ['', 0],
    ['007', 7],
  ]
  for (const [text, value] of good) assert.equal(parsePriority(text), value, text)
  for (const text of ['128', '-129', '1.0', 'x', '1e1', '0x1', '9'.repeat(1000), '--1', '1 2']) {
    assert.equal(parsePriority(text), undefined, text.slice(0, 10))
  }
})
