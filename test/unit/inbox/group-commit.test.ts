import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { type Committing, GroupCommit } from '../../../src/inbox/group-commit.ts'
import type { Batch } from '../../../src/inbox/store.ts'
import { bodies, FakeStore, isUnavailable, newEntry, refused, turn, unavailable } from './fake-store.ts'

const TAKES_MS = 200

let store: FakeStore
let group: GroupCommit
/** What the members were told, in order. */
let told: string[]
/** Lines of the log. */
let lines: string[]
const errors = (): string[] => lines.map((line) => (JSON.parse(line) as { readonly msg: string }).msg)
function begin(): void {
  store = new FakeStore()
  told = []
  lines = []
  group = new GroupCommit(store, isUnavailable, pino({ level: 'error' }, { write: (line) => void lines.push(line) }))
}
beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] })
  begin()
})
afterEach(() => mock.timers.reset())

function member(body: string, floor: () => number = () => 0, entries = [newEntry(1, body)]): Committing {
  return {
    entries,
    bytes: entries.reduce((sum, { payload }) => sum + payload.length, 0),
    floor,
    kept: (places) => void told.push(`${body} kept ${places.map(({ id }) => id).join(' and ')}`),
    refused: () => void told.push(`${body} refused`),
  }
}
/** A message in the logs of its recipient and its sender. */
const pair = (body: string, floor?: () => number): Committing =>
  member(body, floor, [
    { ...newEntry(1, body), stream: new Uint8Array(16) },
    { ...newEntry(2, `${body}'`), direction: 'sent', wanted: false, archived: true },
  ])
const addAll = (...names: string[]): void => {
  for (const name of names) assert.equal(group.add(member(name)), true)
}

describe('batches', () => {
  test('what comes in one turn of the event loop travels together', async () => {
    addAll('a', 'b', 'c')
    const call = await store.next()
    assert.deepEqual(bodies(call.batch), ['a', 'b', 'c'])
    assert.deepEqual(told, [])
    call.done()
    await group.flushed()
    assert.deepEqual(told, ['a kept 1', 'b kept 2', 'c kept 3'])
    assert.equal(store.unseen, 0)
  })

  test('one batch collects while another is under way', async () => {
    addAll('a')
    const first = await store.next()
    addAll('b')
    await turn()
    addAll('c')
    await turn()
    assert.equal(store.unseen, 0)
    assert.equal(group.waiting, 2)
    first.done()
    const second = await store.next()
    assert.deepEqual(bodies(second.batch), ['b', 'c'])
    assert.notDeepEqual(second.batch.id, first.batch.id)
    assert.deepEqual(told, ['a kept 1'])
    second.done()
    await group.flushed()
    assert.deepEqual(told, ['a kept 1', 'b kept 2', 'c kept 3'])
  })

  test('a batch has at most 128 messages', async () => {
    addAll(...Array.from({ length: 300 }, (_, i) => `${i}`))
    for (const [from, to] of [
      [0, 128],
      [128, 256],
      [256, 300],
    ] as const) {
      const call = await store.next()
      assert.deepEqual(
        bodies(call.batch),
        Array.from({ length: to - from }, (_, i) => `${from + i}`),
      )
      call.done()
    }
    await group.flushed()
    assert.equal(told.length, 300)
  })

  test('a batch has an id of 16 octets, and floors as they are when it is made up', async () => {
    let floor = 1
    group.add(pair('a', () => floor))
    floor = 7
    const call = await store.next()
    assert.equal(call.batch.id.length, 16)
    assert.deepEqual(
      call.batch.entries.map((e) => e.floor),
      [7, 0],
      'of the entry alone that bears the name of the stream',
    )
    call.done()
    await group.flushed()
  })

  test('the two entries of one message travel together, and it is told where both are', async () => {
    addAll('a')
    assert.equal(group.add(pair('b')), true)
    addAll('c')
    const call = await store.next()
    assert.deepEqual(bodies(call.batch), ['a', 'b', "b'", 'c'])
    call.done()
    await group.flushed()
    assert.deepEqual(told, ['a kept 1', 'b kept 2 and 3', 'c kept 4'])
  })

  test('a batch has at most 128 messages, however many entries these are', async () => {
    for (let i = 0; i < 130; i++) group.add(pair(`${i}`))
    const first = await store.next()
    assert.equal(first.batch.entries.length, 256)
    first.done()
    const second = await store.next()
    assert.deepEqual(bodies(second.batch), ['128', "128'", '129', "129'"])
    second.done()
    await group.flushed()
  })

  test('20 000 may wait, one more is not taken', async () => {
    for (let i = 0; i < 20_000; i++) assert.equal(group.add(member('x')), true)
    assert.equal(group.add(member('too many')), false)
    assert.equal(group.waiting, 20_000)
    const first = await store.next()
    assert.equal(group.add(member('y')), true)
    first.done()
    for (let i = 1; i < 157; i++) (await store.next()).done()
    await group.flushed()
    assert.equal(told.length, 20_001)
    assert.equal(told.at(-1), 'y kept 20001')
    assert.equal(group.waiting, 0)
  })

  test('bytes that wait are bounded too: 64 MiB, one entry over', async () => {
    const big = (): Committing => member('big', undefined, [{ ...newEntry(1, ''), payload: new Uint8Array(2 ** 25) }])
    assert.equal(group.add(big()), true)
    assert.equal(group.add(big()), true)
    assert.equal(group.add(member('too many')), false)
    assert.equal(group.add(member('held before'), true), true)
    const call = await store.next()
    assert.equal(call.batch.entries.length, 3)
    assert.equal(group.add(big()), true)
    call.done()
    ;(await store.next()).done()
    await group.flushed()
  })

  test('a flush waits for what was there when it was asked for, not for what came later', async () => {
    addAll('a')
    const first = await store.next()
    addAll('b')
    const flushed = group.flushed()
    first.done()
    const second = await store.next()
    addAll('c')
    assert.deepEqual(told, ['a kept 1'])
    second.done()
    await flushed
    assert.deepEqual(told, ['a kept 1', 'b kept 2'])
    ;(await store.next()).done()
    await group.flushed()
  })

  test('whoever throws at the news does not stop the commits', async () => {
    const throws = (): never => {
      throw new Error('a mistake')
    }
    group.add({ ...member('a'), kept: throws })
    addAll('b')
    ;(await store.next()).done()
    await group.flushed()
    group.add({ ...member('c'), refused: throws })
    ;(await store.next()).fail(refused())
    await group.flushed()
    addAll('d')
    ;(await store.next()).done()
    await group.flushed()
    assert.deepEqual(told, ['b kept 2', 'd kept 3'])
  })

  test('there is nothing to wait for when nothing was added', () => {
    assert.equal(group.flushed(), undefined)
  })
})

describe('a store that does not answer', () => {
  test('gets the same batch again, later each time, and nothing else', async () => {
    addAll('a', 'b')
    const first = await store.next()
    assert.equal(group.isAway, false)
    let call = first
    for (const ms of [50, 100, 250, 500, 1_000, 2_000, 2_000]) {
      call.fail(unavailable())
      await turn()
      assert.equal(group.isAway, true)
      addAll(`meanwhile ${ms}`)
      mock.timers.tick(ms - 1)
      await turn()
      assert.equal(store.unseen, 0, `before ${ms} ms`)
      mock.timers.tick(1)
      call = await store.next()
      assert.equal(call.batch, first.batch)
    }
    assert.deepEqual(told, [])
    call.done()
    const second = await store.next()
    assert.equal(group.isAway, false)
    assert.deepEqual(told, ['a kept 1', 'b kept 2'])
    assert.equal(bodies(second.batch).length, 7)
    second.done()
    await group.flushed()
  })

  test('it may say no in the end', async () => {
    addAll('a')
    const first = await store.next()
    first.fail(unavailable())
    await turn()
    mock.timers.tick(50)
    const again = await store.next()
    again.fail(refused())
    await group.flushed()
    assert.deepEqual(told, ['a refused'])
  })
})

describe('a batch that is refused', () => {
  /** Answers until all is done; says no to whatever holds a guilty entry. */
  async function serve(guilty: ReadonlySet<string>): Promise<Batch[]> {
    const done: Batch[] = []
    const flushed = group.flushed()
    assert.ok(flushed)
    let isOver = false
    const over = flushed.then(() => {
      isOver = true
      return undefined
    })
    for (;;) {
      const call = await Promise.race([store.next(), over])
      if (call === undefined) break
      if (bodies(call.batch).some((body) => guilty.has(body))) {
        call.fail(refused())
      } else {
        done.push(call.batch)
        call.done()
      }
    }
    assert.ok(isOver)
    return done
  }

  test('is halved until the guilty entry alone is refused', async () => {
    addAll('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
    const done = await serve(new Set(['e']))
    assert.deepEqual(done.map(bodies), [['a', 'b', 'c', 'd'], ['f'], ['g', 'h']])
    assert.deepEqual(
      told.map((t) => t.replace(/ \d+$/, '')),
      ['a kept', 'b kept', 'c kept', 'd kept', 'e refused', 'f kept', 'g kept', 'h kept'],
    )
  })

  test('with two entries of one message: they are refused together, whichever is bad', async () => {
    for (const guilty of ['b', "b'"]) {
      begin()
      addAll('a')
      group.add(pair('b'))
      group.add(pair('c'))
      addAll('d')
      const done = await serve(new Set([guilty]))
      assert.deepEqual(done.map(bodies), [['a'], ['c', "c'", 'd']], guilty)
      assert.deepEqual(told, ['a kept 1', 'b refused', 'c kept 2 and 3', 'd kept 4'], guilty)
    }
  })

  test('takes in it are saved once, whoever is guilty', async () => {
    for (const guilty of ['a', 'b', 'c', 'nobody']) {
      begin()
      addAll('a', 'b', 'c')
      group.take(5, 11, false)
      const done = await serve(new Set([guilty]))
      assert.deepEqual(
        done.flatMap((batch) => batch.takes),
        [{ account: 5, ids: [11], from: 10, lingers: false }],
        guilty,
      )
    }
  })

  test('takes go alone when the only entry beside them is refused', async () => {
    addAll('a')
    group.take(5, 11, false)
    const done = await serve(new Set(['a']))
    assert.deepEqual(
      done.map((b) => [bodies(b), b.takes]),
      [[[], [{ account: 5, ids: [11], from: 10, lingers: false }]]],
    )
    assert.deepEqual(told, ['a refused'])
    assert.equal(group.hasTakes(5), false)
  })

  const kind = fc.record({ isGuilty: fc.boolean(), isPair: fc.boolean() })
  test('whichever are guilty: they are refused, the others kept once, and everybody hears in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(kind, { minLength: 1, maxLength: 40 }), async (kinds) => {
        begin()
        for (const [i, { isPair }] of kinds.entries()) group.add(isPair ? pair(`${i}`) : member(`${i}`))
        const guilty = kinds.flatMap(({ isPair, isGuilty }, i) => (isGuilty ? [isPair ? `${i}'` : `${i}`] : []))
        const done = await serve(new Set(guilty))
        assert.deepEqual(
          done.flatMap(bodies),
          kinds.flatMap(({ isPair, isGuilty }, i) => (isGuilty ? [] : isPair ? [`${i}`, `${i}'`] : [`${i}`])),
        )
        // Ids are given one after the other: each hears those of its own entries.
        let id = 0
        assert.deepEqual(
          told,
          kinds.map(({ isPair, isGuilty }, i) => {
            if (isGuilty) return `${i} refused`
            return isPair ? `${i} kept ${++id} and ${++id}` : `${i} kept ${++id}`
          }),
        )
      }),
      { numRuns: 50 },
    )
  })
})

describe('takes', () => {
  test('travel with the next entry of their account', async () => {
    group.take(5, 11, false)
    group.take(6, 3, false)
    group.take(5, 12, false)
    group.add(member('a', undefined, [newEntry(5, 'a')]))
    const call = await store.next()
    assert.deepEqual(bodies(call.batch), ['a'])
    assert.deepEqual(call.batch.takes, [{ account: 5, ids: [11, 12], from: undefined, lingers: false }])
    call.done()
    await turn()
    assert.equal(group.hasTakes(5), false)
    assert.equal(group.hasTakes(6), true)
    mock.timers.tick(TAKES_MS)
    const rest = await store.next()
    assert.deepEqual(rest.batch.takes, [{ account: 6, ids: [3], from: 2, lingers: false }])
    rest.done()
    await group.flushed()
    mock.timers.tick(1_000)
    await turn()
    assert.equal(store.unseen, 0)
  })

  test('that have all gone with entries are not looked for again', async () => {
    group.take(5, 11, false)
    group.add(member('a', undefined, [newEntry(5, 'a')]))
    const call = await store.next()
    assert.equal(call.batch.takes.length, 1)
    call.done()
    await turn()
    mock.timers.tick(1_000)
    await turn()
    assert.equal(store.unseen, 0)
  })

  test('tell the stretch of which all is taken, as far as it is known', async () => {
    group.take(5, 11, false, 4)
    group.take(5, 15, false, 11)
    group.take(5, 16, false, 15)
    group.take(6, 11, false, 4)
    group.take(6, 17, false, 15)
    group.take(7, 17, false, 15)
    group.take(7, 15, false, 11)
    const flushed = group.flushed()
    const call = await store.next()
    assert.deepEqual(
      call.batch.takes.map(({ account, from }) => [account, from]),
      [
        [5, 4],
        [6, undefined],
        [7, undefined],
      ],
    )
    call.done()
    await flushed
  })

  test('of one account linger together when one of them does', async () => {
    group.take(5, 11, false)
    group.take(6, 3, false)
    group.take(5, 12, true)
    group.take(5, 13, false)
    const flushed = group.flushed()
    const call = await store.next()
    assert.deepEqual(call.batch.takes, [
      { account: 5, ids: [11, 12, 13], from: undefined, lingers: true },
      { account: 6, ids: [3], from: 2, lingers: false },
    ])
    group.take(5, 14, false)
    call.done()
    await flushed
    const later = group.flushed()
    const second = await store.next()
    assert.deepEqual(second.batch.takes, [{ account: 5, ids: [14], from: 13, lingers: false }], 'and no longer')
    second.done()
    await later
  })

  test('go alone when none come in time', async () => {
    group.take(5, 11, false)
    mock.timers.tick(TAKES_MS - 1)
    await turn()
    assert.equal(store.unseen, 0)
    mock.timers.tick(1)
    const call = await store.next()
    assert.deepEqual(call.batch.entries, [])
    assert.deepEqual(call.batch.takes, [{ account: 5, ids: [11], from: 10, lingers: false }])
    call.done()
    await group.flushed()
    assert.equal(group.hasTakes(5), false)
  })

  test('noted while a batch is under way wait for another', async () => {
    addAll('a')
    const first = await store.next()
    group.take(5, 11, false)
    first.done()
    await turn()
    assert.equal(store.unseen, 0)
    mock.timers.tick(TAKES_MS)
    const second = await store.next()
    assert.deepEqual(second.batch.takes, [{ account: 5, ids: [11], from: 10, lingers: false }])
    second.done()
    await group.flushed()
  })

  test('are known as unsaved until the store has them, and flushed on demand', async () => {
    assert.equal(group.hasTakes(5), false)
    group.take(5, 11, false)
    assert.equal(group.hasTakes(5), true)
    assert.equal(group.hasTakes(6), false)
    const asked = group.flushed()
    const call = await store.next()
    assert.equal(group.hasTakes(5), true)
    group.take(6, 1, false)
    assert.equal(group.hasTakes(6), true)
    const flushed = group.flushed()
    call.done()
    await asked
    const second = await store.next()
    assert.equal(group.hasTakes(5), false)
    assert.equal(group.hasTakes(6), true)
    second.fail(unavailable())
    await turn()
    assert.equal(group.hasTakes(6), true)
    mock.timers.tick(50)
    ;(await store.next()).done()
    await flushed
    assert.equal(group.hasTakes(6), false)
    assert.equal(group.flushed(), undefined)
  })

  test('that the store refuses are given up, and nothing stops', async () => {
    group.take(5, 11, false)
    const flushed = group.flushed()
    ;(await store.next()).fail(refused())
    await flushed
    assert.equal(group.hasTakes(5), false)
    assert.deepEqual(errors(), ['takes refused'])
    addAll('a')
    const next = await store.next()
    next.done()
    await group.flushed()
    assert.deepEqual(told, ['a kept 1'])
  })

  test('that the store refuses beside entries that it keeps are in the log', async () => {
    group.take(1, 11, false)
    addAll('a')
    const call = await store.next()
    assert.equal(call.batch.takes.length, 1)
    call.batch.takesRefused?.(refused())
    call.done()
    await group.flushed()
    assert.deepEqual(told, ['a kept 1'])
    assert.deepEqual(errors(), ['takes refused'])
  })
})
