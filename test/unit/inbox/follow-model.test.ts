import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Follower, type FollowPort, type FollowState, PAGE } from '../../../src/inbox/follow.ts'
import type { StoredEntry } from '../../../src/inbox/store.ts'
import { stored } from './fake-store.ts'

const RUNS = process.env.FERNRUF_TEST_QUICK === '1' ? 500 : 1_500
const NODES = 2
/** Of which node each device is. */
const DEVICES = [0, 0, 1] as const

/** One entry of the log. Taken ones stay in it, as archived and lingering ones do. */
interface Logged {
  readonly id: number
  readonly prev: number
  /** The device that it is for alone, while that is there. */
  readonly only: number | undefined
  isTaken: boolean
}
/** Given to devices ahead of its commit. */
interface Held {
  readonly takers: Device[]
}
interface Push {
  readonly entry: Logged
  readonly held: Held | undefined
}
interface Rewind {
  readonly rewind: number
}
interface Reading {
  readonly after: number
  readonly since: number | undefined
  readonly reading: number
  page?: { readonly entries: readonly StoredEntry[]; readonly last: number; readonly open: ReadonlySet<number> }
}
/** What a device got and has not confirmed; its id is known once it is committed. */
interface Sent {
  entry: Logged | undefined
  readonly held: Held | undefined
}

/** A session with its out-queue: given what its follower says, confirming when the test says. */
class Device implements FollowPort {
  readonly follower = new Follower(this)
  readonly world: World
  readonly index: number
  readonly node: number
  isThere = false
  isConnected = false
  isFull = false
  /** In the log's order but for what was given ahead of its commit. */
  given: number[] = []
  sent: Sent[] = []
  readings: Reading[] = []
  /** The last entry when it first read the log, or the one before the first that it heard of before; undefined before. */
  first: number | undefined
  #floor = Number.POSITIVE_INFINITY
  #opened: ReadonlySet<number> = new Set()

  constructor(world: World, index: number) {
    this.world = world
    this.index = index
    this.node = DEVICES[index] ?? 0
  }
  read(after: number, since: number | undefined, reading: number): void {
    this.readings.push({ after, since, reading })
  }
  moved(): void {}
  giveStored({ id }: StoredEntry): boolean {
    if (this.isFull) return false
    const entry = this.world.entry(id)
    if (this.sent.some((s) => s.entry === entry) || this.world.isForAnother(entry, this)) return true
    const isNew = id > (this.first ?? Number.POSITIVE_INFINITY)
    assert.ok(isNew || this.#opened.has(id), `${this.index} got ${id}, which others had taken before it came`)
    this.#give(entry)
    return true
  }
  push({ entry, held }: Push): void {
    const isMine = held?.takers.includes(this) === true
    if (!this.isThere) return
    if (this.first === undefined && entry.prev < this.#floor) this.#floor = entry.prev
    if (isMine) {
      this.follower.had(entry.id, entry.prev)
      return
    }
    if (this.isFull) this.follower.full()
    if (this.follower.pushed(entry.id, entry.prev) && !this.world.isForAnother(entry, this)) this.#give(entry)
  }
  #give(entry: Logged): void {
    assert.ok(!this.given.includes(entry.id), `${this.index} got ${entry.id} twice`)
    this.given.push(entry.id)
    this.sent.push({ entry, held: undefined })
  }
  get accepts(): boolean {
    if (this.isFull) this.follower.full()
    return this.isConnected && this.follower.state === 'following'
  }
  answers(which: number): void {
    const [read] = this.readings.splice(which % Math.max(1, this.readings.length), 1)
    if (read === undefined) return
    if (read.page === undefined) {
      this.follower.retry(read.reading)
      return
    }
    const isCurrent = read.reading === this.readings.reduce((max, r) => Math.max(max, r.reading), read.reading)
    if (isCurrent && this.isConnected && this.follower.state === 'reading')
      this.first ??= Math.min(read.page.last, this.#floor)
    this.#opened = read.page.open
    this.follower.page(read.reading, read.page.entries, read.page.last)
  }
  /** It is over: what it got and did not confirm is for the others. */
  ends(): void {
    if (!this.isThere) return
    this.isThere = false
    this.isConnected = false
    this.world.commit(this.node, 0)
    const unread = this.follower.unread ?? Number.POSITIVE_INFINITY
    this.follower.stop()
    const untaken = this.sent.flatMap(({ entry }) => (entry === undefined || entry.isTaken ? [] : [entry.id]))
    this.sent = []
    this.given = []
    this.readings = []
    this.first = undefined
    this.#floor = Number.POSITIVE_INFINITY
    this.isFull = false
    const position = Math.min(unread, ...untaken.map((id) => id - 1))
    if (position !== Number.POSITIVE_INFINITY) this.world.rewind(this.node, position)
  }
}

class World {
  readonly log: Logged[] = []
  readonly devices = DEVICES.map((_, index) => new Device(this, index))
  /** What each node has not yet told each other one, in order. */
  readonly #told = new Map<string, (Push | Rewind)[]>()
  readonly #wasHeld = new Set<number>()
  readonly #held: Held[][] = Array.from({ length: NODES }, () => [])

  entry(id: number): Logged {
    const entry = this.log[id - 1]
    assert.ok(entry)
    return entry
  }
  get last(): number {
    return this.log.length
  }
  /** What was given ahead of its commit, or is for one device as long as that is there, keeps no order. */
  isExempt(id: number): boolean {
    return this.entry(id).only !== undefined || this.#wasHeld.has(id)
  }
  isForAnother({ only }: Logged, device: Device): boolean {
    return only !== undefined && only !== device.index && this.devices[only]?.isThere === true
  }
  #queue(from: number, to: number): (Push | Rewind)[] {
    const key = `${from} ${to}`
    const queue = this.#told.get(key) ?? []
    this.#told.set(key, queue)
    return queue
  }

  hold(node: number): void {
    const takers = this.devices.filter((d) => d.node === node && d.isThere)
    if (takers.length === 0 || !takers.every((d) => d.accepts)) return
    const held = { takers }
    this.#held[node]?.push(held)
    for (const device of takers) device.sent.push({ entry: undefined, held })
  }
  commit(node: number, count: number, only?: number): void {
    const held = this.#held[node] ?? []
    this.#held[node] = []
    for (const one of held) this.#commit(node, one, undefined)
    for (let i = 0; i < count; i++) this.#commit(node, undefined, only)
  }
  #commit(node: number, held: Held | undefined, only: number | undefined): void {
    const entry: Logged = { id: this.last + 1, prev: this.last, only, isTaken: false }
    this.log.push(entry)
    if (held !== undefined) this.#wasHeld.add(entry.id)
    for (const device of held?.takers ?? [])
      for (const sent of device.sent)
        if (sent.held === held) {
          sent.entry = entry
          device.given.push(entry.id)
        }
    for (let to = 0; to < NODES; to++) this.#queue(node, to).push({ entry, held })
    // What a node committed itself its sessions know at once.
    while (this.#queue(node, node).length > 0) this.hears(node, node)
  }
  /** A node hears of the next thing that another one has to tell. */
  hears(from: number, to: number): void {
    const told = this.#queue(from, to).shift()
    for (const device of this.devices) {
      if (told === undefined || device.node !== to) continue
      if ('rewind' in told) device.follower.rewind(told.rewind)
      else device.push(told)
    }
  }
  /** A doorbell is lost; what else is told is not. */
  loses(from: number, to: number): void {
    const queue = this.#queue(from, to)
    const at = queue.findIndex((told) => !('rewind' in told))
    if (at >= 0) queue.splice(at, 1)
  }
  rewind(node: number, position: number): void {
    for (const device of this.devices) if (device.node === node) device.follower.rewind(position)
    for (let to = 0; to < NODES; to++) if (to !== node) this.#queue(node, to).push({ rewind: position })
  }
  /** The device confirms its oldest ones. */
  takes(device: Device, count: number): void {
    if (!device.isConnected) return
    for (const { entry, held } of device.sent.splice(0, count)) {
      if (entry !== undefined) {
        device.follower.took(entry.id)
        entry.isTaken = true
      } else if (held !== undefined)
        // It never reaches the store.
        for (const queue of this.#held) if (queue.includes(held)) queue.splice(queue.indexOf(held), 1)
    }
    // Others that got it too know by themselves that it was taken.
    for (const other of this.devices)
      other.sent = other.sent.filter(
        ({ entry, held }) =>
          entry !== undefined || this.#held.some((queue) => held !== undefined && queue.includes(held)),
      )
  }
  /** The store reads; before, all nodes write down what only they know. */
  executes(device: Device, which: number): void {
    const read = device.readings[which % Math.max(1, device.readings.length)]
    if (read === undefined || read.page !== undefined) return
    for (let node = 0; node < NODES; node++) this.commit(node, 0)
    const since = read.since ?? this.last
    const found = this.log.filter((e) => e.id > read.after && (!e.isTaken || e.id > since)).slice(0, PAGE)
    read.page = {
      entries: found.map(({ id }) => stored(id)),
      last: this.last,
      open: new Set(found.filter((e) => !e.isTaken).map(({ id }) => id)),
    }
  }

  /** Lets all come to rest, and sees that everybody has what he is due. */
  rests(): void {
    for (let node = 0; node < NODES; node++) this.commit(node, 1)
    for (let i = 0; ; i++) {
      assert.ok(i < 10_000, 'it never comes to rest')
      for (const device of this.devices) {
        if (!device.isThere) continue
        device.isConnected = true
        device.isFull = false
        device.follower.start()
        device.follower.drained()
        this.executes(device, 0)
        device.answers(0)
      }
      for (let from = 0; from < NODES; from++) for (let to = 0; to < NODES; to++) this.hears(from, to)
      // Whoever lost the last doorbell is told in the end.
      if (i % 10 === 9) for (const device of this.devices) if (device.isThere) device.follower.told(this.last)
      const isQuiet = [...this.#told.values()].every((queue) => queue.length === 0)
      const isRead = this.devices.every((d) => d.readings.length === 0)
      const hasHeard = this.devices.every((d) => !d.isThere || d.follower.position === this.last)
      if (isQuiet && isRead && hasHeard) break
    }
    for (const device of this.devices) this.#isServed(device)
  }
  #isServed(device: Device): void {
    if (!device.isThere) return
    const { first, follower, index } = device
    assert.equal(follower.state satisfies FollowState, 'following')
    assert.ok(first !== undefined)
    for (const entry of this.log) {
      if (this.isForAnother(entry, device)) continue
      // What another took is due to whoever was there when it was committed, unless it was for that other alone.
      const isDue = !entry.isTaken || (entry.id > first && (entry.only === undefined || entry.only === index))
      if (isDue) assert.ok(device.given.includes(entry.id), `${index} never got ${entry.id}`)
    }
  }
}

const device = fc.nat(DEVICES.length - 1)
const node = fc.nat(NODES - 1)
class Command implements fc.Command<object, World> {
  readonly #name: string
  readonly #run: (world: World) => void
  constructor(name: string, run: (world: World) => void) {
    this.#name = name
    this.#run = run
  }
  check(): boolean {
    return true
  }
  run(_: object, world: World): void {
    this.#run(world)
    isInOrder(world)
  }
  toString(): string {
    return this.#name
  }
}
function on<T extends unknown[]>(
  name: string,
  args: { [I in keyof T]: fc.Arbitrary<T[I]> },
  run: (world: World, ...args: T) => void,
): fc.Arbitrary<Command> {
  return fc.tuple<T>(...args).map((given) => new Command(`${name} ${given.join(' ')}`, (world) => run(world, ...given)))
}
const of = (world: World, index: number): Device => {
  const found = world.devices[index]
  assert.ok(found)
  return found
}
/** Each device gets the entries in the order of the log, but for what was given ahead, and what is given anew after a rewind. */
function isInOrder(world: World): void {
  for (const one of world.devices) {
    const rest = one.given.filter((id) => !world.isExempt(id))
    assert.deepEqual(
      rest,
      rest.toSorted((a, b) => a - b),
      `${one.index} got them out of order`,
    )
  }
}

const starts = (world: World, d: number): void => {
  const one = of(world, d)
  one.isThere = true
  one.isConnected = true
  one.follower.start()
}
const reads = (world: World, d: number): void => {
  for (let i = 0; i < 3; i++) {
    world.executes(of(world, d), 0)
    of(world, d).answers(0)
  }
}
const hears = (world: World, from: number, to: number, n: number): void => {
  for (let i = 0; i < n; i++) world.hears(from, to)
}

test('several devices on two nodes: each gets once and in order what it is due, however all interleaves', () => {
  const few = fc.integer({ min: 1, max: 3 })
  const usual = [
    on('commits', [node, few], (world, n, count) => world.commit(n, count)),
    on('holds', [node], (world, n) => world.hold(n)),
    on('takes', [device, few], (world, d, n) => world.takes(of(world, d), n)),
    on('takes all', [device], (world, d) => world.takes(of(world, d), Number.POSITIVE_INFINITY)),
    on('reads', [device], reads),
    on('hears', [node, node, few], hears),
    on('is full', [device], (world, d) => {
      of(world, d).isFull = true
    }),
    on('drains', [device], (world, d) => {
      of(world, d).isFull = false
      of(world, d).follower.drained()
    }),
    on('starts', [device], starts),
  ]
  const seldom = [
    on('is lost', [device], (world, d) => {
      const one = of(world, d)
      if (!one.isConnected) return
      one.isConnected = false
      one.follower.pause()
      world.commit(one.node, 0)
    }),
    on('ends', [device], (world, d) => of(world, d).ends()),
    on('executes', [device, fc.nat(2)], (world, d, n) => world.executes(of(world, d), n)),
    on('answers', [device, fc.nat(2)], (world, d, n) => of(world, d).answers(n)),
    on('commits many', [node], (world, n) => world.commit(n, PAGE + 50)),
    on('commits for', [node, device], (world, n, d) => world.commit(n, 1, d)),
    on('loses', [node, node], (world, from, to) => world.loses(from, to)),
    on('is told', [device], (world, d) => {
      if (of(world, d).isThere) of(world, d).follower.told(world.last)
    }),
    on('rewinds', [node, fc.nat(60)], (world, n, back) => world.rewind(n, Math.max(0, world.last - back))),
  ]
  const commands = [...usual, ...usual, ...seldom]
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3 }),
      fc.commands(commands, { maxCommands: 120, size: 'max' }),
      (there, run) => {
        const world = new World()
        for (let d = 0; d < there; d++) {
          starts(world, d)
          reads(world, d)
        }
        fc.modelRun(() => ({ model: {}, real: world }), run)
        world.rests()
      },
    ),
    { numRuns: RUNS, seed: 20_261_125 },
  )
})
