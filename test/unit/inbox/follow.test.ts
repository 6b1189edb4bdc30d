import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Follower, type FollowPort, PAGE } from '../../../src/inbox/follow.ts'
import type { StoredEntry } from '../../../src/inbox/store.ts'

const stored = (id: number): StoredEntry => ({
  id,
  account: 1,
  direction: 'received',
  archived: false,
  wanted: true,
  peer: 'romeo@example.org/phone',
  payload: Buffer.from(`${id}`),
  at: 0,
})
const range = (from: number, to: number): StoredEntry[] =>
  Array.from({ length: to - from + 1 }, (_, i) => stored(from + i))

/** A session that writes down what it is asked. */
class FakePort implements FollowPort {
  /** `read 5`, `6` for an entry given, `caught up`. */
  log: string[] = []
  reading = 0
  room = Infinity
  readonly given = new Set<number>()
  read(after: number, reading: number): void {
    this.reading = reading
    this.log.push(`read ${after}`)
  }
  giveStored(entry: StoredEntry): boolean {
    if (this.room-- <= 0) return false
    this.log.push(`${entry.id}`)
    this.given.add(entry.id)
    return true
  }
  caughtUp(): void {
    this.log.push('caught up')
  }
}
const STATES = ['idle', 'reading', 'stalled', 'following'] as const
type State = (typeof STATES)[number]

/** A follower in a state, at position 5, with a new log. */
function at(state: State): { readonly follower: Follower; readonly port: FakePort } {
  const port = new FakePort()
  const follower = new Follower(port)
  follower.start()
  follower.page(port.reading, range(1, 5), 5)
  if (state === 'idle' || state === 'reading') follower.stop()
  if (state === 'reading') follower.start()
  if (state === 'stalled') follower.full()
  assert.equal(follower.state, state)
  port.log = []
  return { follower, port }
}

describe('every event in every state', () => {
  type Event = (follower: Follower, port: FakePort) => unknown
  /** What is left: state and position, then what was returned and asked of the session. */
  const table: readonly (readonly [string, Event, Readonly<Record<State, string>>])[] = [
    [
      'start',
      (f) => f.start(),
      { idle: 'reading 5, read 5', reading: 'reading 5', stalled: 'stalled 5', following: 'following 5' },
    ],
    ['stop', (f) => f.stop(), { idle: 'idle 5', reading: 'idle 5', stalled: 'idle 5', following: 'idle 5' }],
    ['full', (f) => f.full(), { idle: 'idle 5', reading: 'reading 5', stalled: 'stalled 5', following: 'stalled 5' }],
    [
      'drained',
      (f) => f.drained(),
      { idle: 'idle 5', reading: 'reading 5', stalled: 'reading 5, read 5', following: 'following 5' },
    ],
    [
      'rewind to an older position',
      (f) => f.rewind(2),
      { idle: 'idle 2', reading: 'reading 2, read 2', stalled: 'stalled 2', following: 'reading 2, read 2' },
    ],
    [
      'rewind to a position not reached yet',
      (f) => f.rewind(9),
      { idle: 'idle 5', reading: 'reading 5, read 5', stalled: 'stalled 5', following: 'reading 5, read 5' },
    ],
    [
      'a new entry is pushed',
      (f) => f.pushed(6),
      {
        idle: 'idle 5, false',
        reading: 'reading 5, false',
        stalled: 'stalled 5, false',
        following: 'following 6, true',
      },
    ],
    [
      'an older entry, which reading has dealt with, is pushed late',
      (f) => f.pushed(3),
      {
        idle: 'idle 5, false',
        reading: 'reading 5, false',
        stalled: 'stalled 5, false',
        following: 'following 5, false',
      },
    ],
    [
      'an entry it has is pushed',
      (f) => f.pushed(5),
      {
        idle: 'idle 5, false',
        reading: 'reading 5, false',
        stalled: 'stalled 5, false',
        following: 'following 5, false',
      },
    ],
    [
      'an entry that it has got its id',
      (f) => f.passed(6),
      { idle: 'idle 5', reading: 'reading 5', stalled: 'stalled 5', following: 'following 6' },
    ],
    [
      'an entry that it has got an older id',
      (f) => f.passed(4),
      { idle: 'idle 5', reading: 'reading 5', stalled: 'stalled 5', following: 'following 5' },
    ],
    [
      'the page asked for last comes',
      (f, p) => f.page(p.reading, range(6, 7), 7),
      { idle: 'idle 5', reading: 'following 7, 6, 7, caught up', stalled: 'stalled 5', following: 'following 5' },
    ],
    [
      'a page asked for before comes',
      (f, p) => f.page(p.reading - 1, range(6, 7), 7),
      { idle: 'idle 5', reading: 'reading 5', stalled: 'stalled 5', following: 'following 5' },
    ],
    [
      'the reading failed',
      (f, p) => f.failed(p.reading),
      {
        idle: 'idle 5, false',
        reading: 'reading 5, true',
        stalled: 'stalled 5, false',
        following: 'following 5, false',
      },
    ],
    [
      'it is tried again',
      (f, p) => f.retry(p.reading),
      { idle: 'idle 5', reading: 'reading 5, read 5', stalled: 'stalled 5', following: 'following 5' },
    ],
    [
      'an older reading is tried again',
      (f, p) => f.retry(p.reading - 1),
      { idle: 'idle 5', reading: 'reading 5', stalled: 'stalled 5', following: 'following 5' },
    ],
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

describe('pages', () => {
  test('a full one is followed by the next', () => {
    const { follower, port } = at('reading')
    follower.page(port.reading, range(6, 5 + PAGE), 500)
    assert.equal(follower.position, 5 + PAGE)
    assert.equal(port.log.at(-1), `read ${5 + PAGE}`)
    assert.equal(follower.state, 'reading')
  })
  test('one that was read before a push is not the last', () => {
    const { follower, port } = at('reading')
    assert.equal(follower.pushed(8), false)
    follower.page(port.reading, [stored(6)], 7)
    assert.deepEqual(port.log, ['6', 'read 7'])
    follower.page(port.reading, [stored(8)], 8)
    assert.deepEqual(port.log, ['6', 'read 7', '8', 'caught up'])
    assert.equal(follower.state, 'following')
  })
  test('what is taken already leaves a gap, and the head is the position', () => {
    const { follower, port } = at('reading')
    follower.page(port.reading, [stored(7)], 12)
    assert.equal(follower.position, 12)
    assert.equal(follower.pushed(13), true)
  })
  test('a full out-queue stops in the middle, and goes on there', () => {
    const { follower, port } = at('reading')
    port.room = 2
    follower.page(port.reading, range(6, 9), 9)
    assert.equal(follower.state, 'stalled')
    assert.equal(follower.position, 7)
    port.room = Infinity
    follower.drained()
    assert.deepEqual(port.log, ['6', '7', 'read 7'])
    follower.page(port.reading, range(8, 9), 9)
    assert.deepEqual(port.log.slice(3), ['8', '9', 'caught up'])
  })
  test('one that was asked for before a rewind is thrown away', () => {
    const { follower, port } = at('reading')
    const old = port.reading
    follower.rewind(3)
    follower.page(old, range(6, 7), 7)
    assert.deepEqual(port.log, ['read 3'])
    follower.page(port.reading, range(4, 7), 7)
    assert.deepEqual(port.log, ['read 3', '4', '5', '6', '7', 'caught up'])
  })
})

/** A log, its pushes, and one device; what happens when is up to the test. */
class World implements FollowPort {
  readonly follower = new Follower(this)
  readonly #isInOrder: boolean
  #head = 0
  /** Given ahead of their commit: known to the session by themselves, not by id. */
  #held = 0
  /** Committed, the session not told yet. */
  readonly #pushes: { readonly id: number; readonly isHeld: boolean }[] = []
  readonly #given = new Set<number>()
  readonly #reads: {
    readonly after: number
    readonly reading: number
    page?: { readonly entries: StoredEntry[]; readonly head: number }
  }[] = []
  #isFull = false

  /** Pushes of one node come in order, those of several in any. */
  constructor(isInOrder: boolean) {
    this.#isInOrder = isInOrder
  }
  has(id: number): boolean {
    return this.#given.has(id)
  }
  read(after: number, reading: number): void {
    this.#reads.push({ after, reading })
  }
  giveStored(entry: StoredEntry): boolean {
    if (this.#isFull) return false
    if (!this.has(entry.id)) this.#give(entry.id)
    return true
  }
  caughtUp(): void {
    assert.equal(this.follower.state, 'following')
  }
  #give(id: number): void {
    assert.ok(!this.has(id), 'given twice')
    if (this.#isInOrder) assert.ok(id === 1 || this.has(id - 1), 'given before an older one')
    this.#given.add(id)
  }

  hold(): void {
    if (this.follower.state === 'following' && !this.#isFull && this.#pushes.length === 0) this.#held++
  }
  commit(count: number): void {
    for (; this.#held > 0; this.#held--) this.#pushes.push({ id: ++this.#head, isHeld: true })
    for (let i = 0; i < count; i++) this.#pushes.push({ id: ++this.#head, isHeld: false })
  }
  push(which: number): void {
    const index = this.#isInOrder ? 0 : which % Math.max(1, this.#pushes.length)
    const [pushed] = this.#pushes.splice(index, 1)
    if (pushed === undefined) return
    if (pushed.isHeld) {
      this.#given.add(pushed.id)
      this.follower.passed(pushed.id)
      return
    }
    if (this.#isFull) this.follower.full()
    if (this.follower.pushed(pushed.id)) this.#give(pushed.id)
  }
  /** What is only in memory is committed and told before anybody reads (`Inbox.page`). */
  #flush(): void {
    this.commit(0)
    for (let i = this.#pushes.findIndex((p) => p.isHeld); i >= 0; i = this.#pushes.findIndex((p) => p.isHeld))
      this.push(this.#isInOrder ? 0 : i)
  }
  execute(which: number): void {
    const read = this.#reads[which % Math.max(1, this.#reads.length)]
    if (read === undefined || read.page !== undefined) return
    this.#flush()
    const end = Math.min(this.#head, read.after + PAGE)
    read.page = { entries: range(read.after + 1, end), head: this.#head }
  }
  /** A reading that has not been executed has failed. */
  answer(which: number): void {
    const [read] = this.#reads.splice(which % Math.max(1, this.#reads.length), 1)
    if (read === undefined) return
    if (read.page === undefined) this.follower.retry(read.reading)
    else this.follower.page(read.reading, read.page.entries, read.page.head)
  }
  setFull(isFull: boolean): void {
    this.#isFull = isFull
    if (isFull) this.follower.full()
    else this.follower.drained()
  }
  /** Everything above is open again, whether the device was given it or not. */
  rewind(position: number): void {
    this.#flush()
    for (const id of this.#given) if (id > position) this.#given.delete(id)
    this.follower.rewind(position)
  }
  /** Lets all come to rest, and sees that the device has everything. */
  rest(): void {
    this.setFull(false)
    this.follower.start()
    this.commit(1)
    while (this.#pushes.length > 0 || this.#reads.length > 0) {
      this.execute(0)
      this.answer(0)
      this.push(0)
    }
    assert.equal(this.follower.state, 'following')
    assert.equal(this.follower.position, this.#head)
    assert.equal(this.#given.size, this.#head, 'one was left out')
  }
}

for (const isInOrder of [true, false]) {
  const whose = isInOrder ? 'this node commits' : 'several nodes commit'
  test(`${whose}, however all interleaves: nothing is left out or comes twice${isInOrder ? ', and in order' : ''}`, () => {
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('start', 'stop', 'full', 'drain', 'hold'), n: fc.constant(0) }),
      fc.record({ do: fc.constantFrom('execute', 'answer', 'push'), n: fc.nat(3) }),
      fc.record({ do: fc.constant('commit'), n: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constant(PAGE + 50)) }),
      fc.record({ do: fc.constant('rewind'), n: fc.nat(400) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const world = new World(isInOrder)
        world.follower.start()
        for (const { do: what, n } of steps) {
          if (what === 'start') world.follower.start()
          else if (what === 'stop') world.follower.stop()
          else if (what === 'full') world.setFull(true)
          else if (what === 'drain') world.setFull(false)
          else if (what === 'push') world.push(n)
          else if (what === 'hold') world.hold()
          else if (what === 'execute') world.execute(n)
          else if (what === 'answer') world.answer(n)
          else if (what === 'commit') world.commit(n)
          else world.rewind(n)
        }
        world.rest()
      }),
      { numRuns: 300 },
    )
  })
}
