import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Follower, type FollowPort, type FollowState, PAGE } from '../../../src/inbox/follow.ts'
import type { StoredEntry } from '../../../src/inbox/store.ts'
import { stored } from './fake-store.ts'

const range = (from: number, to: number): StoredEntry[] =>
  Array.from({ length: to - from + 1 }, (_, i) => stored(from + i))

/** A session that writes down what it is asked. */
class FakePort implements FollowPort {
  /** `read 5 since 3`, `6` for an entry given, `→ following`. */
  log: string[] = []
  reading = 0
  room = Infinity
  onGive: () => void = () => undefined
  read(after: number, since: number | undefined, reading: number): void {
    this.reading = reading
    this.log.push(since === undefined ? `read ${after}` : `read ${after} since ${since}`)
  }
  giveStored(entry: StoredEntry): boolean {
    if (this.room-- <= 0) return false
    this.log.push(`${entry.id}`)
    this.onGive()
    return true
  }
  moved(state: FollowState): void {
    this.log.push(`→ ${state}`)
  }
}
const STATES = ['idle', 'reading', 'stalled', 'following'] as const satisfies readonly FollowState[]

/** A follower in a state, at position 5, that was there since 3, with a new log. */
function at(state: FollowState): { readonly follower: Follower; readonly port: FakePort } {
  const port = new FakePort()
  const follower = new Follower(port)
  follower.start()
  follower.page(port.reading, range(1, 3), 3)
  assert.equal(follower.pushed(4, 3), true)
  assert.equal(follower.pushed(5, 4), true)
  if (state === 'idle' || state === 'reading') follower.pause()
  if (state === 'reading') follower.start()
  if (state === 'stalled') follower.full()
  assert.equal(follower.state, state)
  assert.equal(follower.position, 5)
  port.log = []
  return { follower, port }
}

describe('every event in every state', () => {
  type Event = (follower: Follower, port: FakePort) => unknown
  type Row = Readonly<Record<FollowState, string>>
  const [I, R, S, F] = ['idle 5', 'reading 5', 'stalled 5', 'following 5'] as const
  const nothing: Row = { idle: I, reading: R, stalled: S, following: F }
  const and = (what: string): Row => ({
    idle: `${I}, ${what}`,
    reading: `${R}, ${what}`,
    stalled: `${S}, ${what}`,
    following: `${F}, ${what}`,
  })
  const reads = 'read 5 since 3'
  /** What is left: state and position, then what was returned and asked of the session. */
  const table: readonly (readonly [string, Event, Row])[] = [
    ['start', (f) => f.start(), { ...nothing, idle: `${R}, → reading, ${reads}` }],
    [
      'pause',
      (f) => f.pause(),
      { idle: I, reading: `${I}, → idle`, stalled: `${I}, → idle`, following: `${I}, → idle` },
    ],
    [
      'stop',
      (f) => f.stop(),
      { idle: 'idle 0', reading: 'idle 0, → idle', stalled: 'idle 0, → idle', following: 'idle 0, → idle' },
    ],
    ['full', (f) => f.full(), { ...nothing, following: `${S}, → stalled` }],
    ['drained', (f) => f.drained(), { ...nothing, stalled: `${R}, → reading, ${reads}` }],
    [
      'rewind to an older position: what it passed concerns it only while it is open',
      (f) => f.rewind(2),
      {
        idle: 'idle 2',
        reading: 'reading 2, read 2 since 5',
        stalled: 'stalled 2',
        following: 'reading 2, → reading, read 2 since 5',
      },
    ],
    ['rewind to its position', (f) => f.rewind(5), nothing],
    ['rewind to a position not reached yet', (f) => f.rewind(9), nothing],
    ['the next entry is pushed', (f) => f.pushed(6, 5), { ...and('false'), following: 'following 6, true' }],
    [
      'an entry is pushed that comes after one it has not seen',
      (f) => f.pushed(8, 7),
      { ...and('false'), following: `${R}, false, → reading, ${reads}` },
    ],
    ['an older entry, which reading has dealt with, is pushed late', (f) => f.pushed(3, 2), and('false')],
    ['an entry it has is pushed', (f) => f.pushed(5, 4), and('false')],
    [
      'an entry that it has got its id',
      (f) => f.had(6, 5),
      { idle: 'idle 6', reading: 'reading 6', stalled: 'stalled 6', following: 'following 6' },
    ],
    [
      'an entry that it has got its id, after one it has not seen',
      (f) => f.had(8, 7),
      { ...nothing, following: `${R}, → reading, ${reads}` },
    ],
    ['an entry that it has got an older id', (f) => f.had(4, 3), nothing],
    ['the device confirmed an entry', (f) => f.took(5), nothing],
    ['the last entry is told, and it is the one it knows', (f) => f.told(5), nothing],
    ['another last entry is told', (f) => f.told(9), { ...nothing, following: `${R}, → reading, ${reads}` }],
    [
      'the page asked for last comes',
      (f, p) => f.page(p.reading, range(6, 7), 7),
      { ...nothing, reading: 'following 7, 6, 7, → following' },
    ],
    ['a page asked for before comes', (f, p) => f.page(p.reading - 1, range(6, 7), 7), nothing],
    ['the reading failed and is tried again', (f, p) => f.retry(p.reading), { ...nothing, reading: `${R}, ${reads}` }],
    ['an older reading is tried again', (f, p) => f.retry(p.reading - 1), nothing],
  ]
  for (const [name, event, expected] of table)
    test(name, () => {
      for (const state of STATES) {
        const { follower, port } = at(state)
        const returned = event(follower, port)
        const left = [
          `${follower.state} ${follower.position}`,
          ...(returned === undefined ? [] : [`${returned}`]),
          ...port.log,
        ]
        assert.equal(left.join(', '), expected[state], state)
      }
    })
})

describe('a beginning', () => {
  test('asks for what is open; what is committed from then on concerns it also when it is taken', () => {
    const port = new FakePort()
    const follower = new Follower(port)
    follower.start()
    follower.page(port.reading, range(6, 5 + PAGE), 500)
    follower.page(port.reading, [], 500)
    assert.deepEqual([port.log[1], port.log.at(-2)], ['read 0', `read ${5 + PAGE} since 500`])
    assert.equal(port.log.at(-1), '→ following')
  })
  test('from a place its device had: what came since then concerns it', () => {
    const port = new FakePort()
    const follower = new Follower(port)
    follower.start()
    follower.page(port.reading, [stored(8), ...range(20, 18 + PAGE)], 500, 7)
    assert.equal(port.log.at(-1), `read ${18 + PAGE} since 7`)
    follower.page(port.reading, [], 500)
    follower.rewind(7)
    assert.equal(port.log.at(-1), 'read 7 since 500', 'only what is open comes again')
  })
  test('after a stop is a new one, whatever was known before', () => {
    const { follower, port } = at('reading')
    follower.pushed(9, 8)
    follower.had(12, 11)
    follower.stop()
    follower.start()
    follower.page(port.reading, [stored(12)], 12)
    assert.deepEqual(port.log, ['→ idle', '→ reading', 'read 0', '12', '→ following'])
  })
})

describe('pages', () => {
  test('a full one is followed by the next', () => {
    const { follower, port } = at('reading')
    follower.page(port.reading, range(6, 5 + PAGE), 500)
    assert.equal(follower.position, 5 + PAGE)
    assert.equal(port.log.at(-1), `read ${5 + PAGE} since 3`)
    assert.equal(follower.state, 'reading')
  })
  test('one that was read before a push is not the last', () => {
    const { follower, port } = at('reading')
    assert.equal(follower.pushed(8, 7), false)
    follower.page(port.reading, [stored(6)], 7)
    assert.deepEqual(port.log, ['6', 'read 7 since 3'])
    follower.page(port.reading, [stored(8)], 8)
    assert.deepEqual(port.log, ['6', 'read 7 since 3', '8', '→ following'])
    assert.equal(follower.state, 'following')
  })
  test('what is gone leaves a gap, and the last entry is the position', () => {
    const { follower, port } = at('reading')
    follower.page(port.reading, [stored(7)], 12)
    assert.equal(follower.position, 12)
    assert.equal(follower.pushed(13, 12), true)
  })
  test('a full out-queue stops in the middle, and goes on there', () => {
    const { follower, port } = at('reading')
    port.room = 2
    follower.page(port.reading, range(6, 9), 9)
    assert.equal(follower.state, 'stalled')
    assert.equal(follower.position, 7)
    port.room = Infinity
    follower.drained()
    assert.deepEqual(port.log, ['6', '7', '→ stalled', '→ reading', 'read 7 since 3'])
    follower.page(port.reading, range(8, 9), 9)
    assert.deepEqual(port.log.slice(5), ['8', '9', '→ following'])
  })
  test('one that was asked for before a rewind is thrown away', () => {
    const { follower, port } = at('reading')
    const old = port.reading
    follower.rewind(3)
    follower.page(old, range(6, 7), 7)
    assert.deepEqual(port.log, ['read 3 since 5'])
    follower.page(port.reading, range(4, 7), 7)
    assert.deepEqual(port.log, ['read 3 since 5', '4', '5', '6', '7', '→ following'])
  })
  test('one is left when giving leads to its session going away', () => {
    const { follower, port } = at('reading')
    port.onGive = () => follower.stop()
    follower.page(port.reading, range(6, 9), 9)
    assert.deepEqual(port.log, ['6', '→ idle'])
    assert.equal(follower.position, 0)
  })
})

describe('what the session got ahead of its commit', () => {
  test('does not come again from a page that was on its way', () => {
    const { follower, port } = at('reading')
    follower.had(6, 5)
    follower.page(port.reading, range(6, 7), 7)
    assert.deepEqual(port.log, ['7', '→ following'])
  })
  test('nor what the device had before a rewind and confirmed while the page was on its way', () => {
    const { follower, port } = at('following')
    follower.rewind(3)
    follower.took(4)
    follower.page(port.reading, range(4, 6), 6)
    assert.deepEqual(port.log, ['→ reading', 'read 3 since 5', '5', '6', '→ following'])
  })
  test('does not come again from the log, when older ones are read after it', () => {
    for (const state of ['reading', 'stalled', 'following', 'idle'] as const) {
      const { follower, port } = at(state)
      follower.had(8, 7)
      follower.had(9, 8)
      if (state === 'stalled') follower.drained()
      follower.start()
      follower.page(port.reading, range(6, 10), 10)
      assert.deepEqual(
        port.log.filter((l) => /^\d/.test(l)),
        ['6', '7', '10'],
        state,
      )
      assert.equal(follower.state, 'following', state)
    }
  })
})
