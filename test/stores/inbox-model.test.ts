import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Batch, Placed } from '../../src/inbox/store.ts'
import type { Stores } from '../../src/storage/open.ts'
import { batch, createAccount, entry, openOf, takesOf } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const ACCOUNTS = 3
/** Enough to meet every kind of gap; the seed is told when a run fails. */
const RUNS = 25
const KEEP = 2

interface Kept {
  readonly id: number
  readonly body: string
  readonly archived: boolean
  readonly wanted: boolean
  open: boolean
  /** It is in the table. */
  there: boolean
}
interface Log {
  entries: Kept[]
  /** Cursors of the known devices, the one seen last at the end. */
  devices: [name: string, cursor: number][]
  /** Nothing was taken since it was swept. */
  isSwept: boolean
}
/** The log as its interface says it, without cursor or gaps. */
type Model = ReadonlyMap<number, Log>

/** Indices, not ids: `take` and `cursor` count back from the newest entry of the account; beyond the oldest they name an id never given. */
type Step =
  | {
      readonly do: 'commit'
      readonly entries: readonly { readonly who: number; readonly archived: boolean; readonly wanted: boolean }[]
      readonly takes: readonly {
        readonly who: number
        readonly take: readonly number[]
        readonly lingers: boolean
        readonly knowsFrom: boolean
      }[]
      readonly again: boolean
    }
  | { readonly do: 'sweep'; readonly who: number }
  | { readonly do: 'device'; readonly who: number; readonly device: string; readonly cursor: number }
const who = fc.nat(ACCOUNTS - 1)
const back = fc.nat(9)
const commit: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('commit' as const),
  entries: fc.array(fc.record({ who, archived: fc.boolean(), wanted: fc.boolean() }), { maxLength: 6 }),
  takes: fc.array(
    fc.record({ who, take: fc.array(back, { maxLength: 5 }), lingers: fc.boolean(), knowsFrom: fc.boolean() }),
    { maxLength: 3 },
  ),
  again: fc.boolean(),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: commit, weight: 4 },
  { arbitrary: fc.record({ do: fc.constant('sweep' as const), who }), weight: 2 },
  {
    arbitrary: fc.record({
      do: fc.constant('device' as const),
      who,
      device: fc.constantFrom('phone', 'laptop', 'tablet'),
      cursor: back,
    }),
    weight: 1,
  },
)

let now = 1_800_000_000_000
withStores(
  'takes, cursor and gaps, what lingers and what devices need do what the interface says',
  async (stores) => {
    let run = 0
    const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      run++
      const accounts: number[] = []
      for (let i = 0; i < ACCOUNTS; i++) accounts.push((await createAccount(stores, `a${i}.${run}@example.org`)).id)
      const model: Model = new Map(accounts.map((account) => [account, { entries: [], devices: [], isSwept: true }]))
      for (const [i, one] of steps.entries()) {
        now++
        await take(stores, model, accounts, one, `${i}`)
        for (const account of accounts) await compare(stores, model, account)
      }
    })
    await fc.assert(property, { numRuns: RUNS })
  },
  { now: () => now },
)

async function take(
  { inbox }: Stores,
  model: Model,
  accounts: readonly number[],
  one: Step,
  name: string,
): Promise<void> {
  if (one.do === 'commit') {
    const next = batchOf(model, accounts, one, name)
    const places = await inbox.commit(next)
    if (one.again) assert.deepEqual(await inbox.commit(next), next.entries.length === 0 ? [] : places)
    follow(model, next, places)
    return
  }
  const account = accounts[one.who] ?? 0
  const log = logOf(model, account)
  if (one.do === 'sweep') {
    await inbox.sweep(account)
    const needed = Math.min(...log.devices.map(([, cursor]) => cursor))
    for (const kept of log.entries) if (!kept.open && !kept.archived && kept.id <= needed) kept.there = false
    log.isSwept = true
    return
  }
  const cursor = log.entries.at(-1 - one.cursor)?.id ?? one.cursor
  await inbox.saveDevices([{ account, device: one.device, cursor }], KEEP)
  const before = log.devices.find(([device]) => device === one.device)?.[1] ?? 0
  log.devices = log.devices.filter(([device]) => device !== one.device)
  log.devices.push([one.device, Math.max(before, cursor)])
  log.devices = log.devices.slice(-KEEP)
}

function batchOf(
  model: Model,
  accounts: readonly number[],
  { entries, takes }: Step & { readonly do: 'commit' },
  name: string,
): Batch {
  const account = (index: number) => accounts[index] ?? 0
  return batch(
    entries.map(({ who, archived, wanted }, i) => entry(account(who), `${name}.${i}`, { archived, wanted })),
    takes.map(({ who, take, lingers, knowsFrom }) => {
      const known = logOf(model, account(who)).entries
      const ids = take.map((back) => known.at(-1 - back)?.id ?? back)
      return takesOf(account(who), ids, lingers, knowsFrom ? fromOf(known, ids) : undefined)
    }),
  )
}
/** See `Takes.from`: the wanted entry before those that are taken in one row up to the last. */
function fromOf(known: readonly Kept[], ids: readonly number[]): number | undefined {
  const wanted = known.filter((kept) => kept.wanted)
  const end = wanted.findLastIndex(({ id }) => id <= Math.max(...ids))
  let start = end
  while (start >= 0 && ids.includes(wanted[start]?.id ?? 0)) start--
  return ids.every((id) => id > (wanted[start]?.id ?? 0)) ? (wanted[start]?.id ?? 0) : undefined
}
const logOf = (model: Model, account: number): Log => {
  const log = model.get(account)
  assert.ok(log)
  return log
}

function follow(model: Model, { entries, takes }: Batch, places: readonly Placed[]): void {
  // All takes of one account in one batch linger when one of them does.
  const lingering = new Set(takes.filter(({ lingers }) => lingers).map(({ account }) => account))
  for (const { account, ids: taken } of takes) {
    logOf(model, account).isSwept = false
    for (const kept of logOf(model, account).entries) {
      if (!taken.includes(kept.id)) continue
      kept.open = false
      if (!lingering.has(account) && !kept.archived) kept.there = false
    }
  }
  for (const [i, { account, archived, wanted, payload }] of entries.entries()) {
    const log = logOf(model, account)
    const { id, prev } = places[i] ?? { id: 0, prev: -1 }
    assert.ok(id > (log.entries.at(-1)?.id ?? 0), 'ids rise')
    assert.equal(prev, lastOf(log), 'each tells the wanted one before it')
    const body = new TextDecoder().decode(payload)
    log.entries.push({ id, body, archived, wanted, open: wanted, there: archived || wanted })
  }
}
const lastOf = (log: Log): number => log.entries.findLast(({ wanted }) => wanted)?.id ?? 0

async function compare({ inbox, database }: Stores, model: Model, account: number): Promise<void> {
  const log = logOf(model, account)
  const open = log.entries.filter((kept) => kept.open)
  assert.deepEqual(
    await openOf(inbox, account),
    open.map(({ id, body }) => [id, body]),
  )
  assert.equal((await inbox.waiting(account)).entries, open.length)
  assert.equal((await inbox.lasts([account])).get(account) ?? 0, lastOf(log))
  const rows = await database.query<{ id: number }>('select id from entry where account_id = $1 order by id', [account])
  assert.deepEqual(
    rows.map((row) => row.id),
    log.entries.filter((kept) => kept.there).map(({ id }) => id),
  )
  for (const [device, cursor] of log.devices) assert.equal(await inbox.deviceCursor(account, device), cursor)
  const devices = await database.query('select device from device_cursor where account_id = $1', [account])
  assert.equal(devices.length, log.devices.length)
  const isLingering = log.entries.some((kept) => kept.there && kept.wanted && !kept.open && !kept.archived)
  const listed = await inbox.lingering(account - 1, 1)
  if (isLingering) assert.equal(listed[0]?.account, account, 'what lingers is found')
  else if (log.isSwept) assert.notEqual(listed[0]?.account, account, 'who was swept clean is not looked at again')
  // Everywhere, for a few: whoever reads gets what is open up to `since`, and all that is there above it.
  const places = [0, ...log.entries.map(({ id }) => id)]
  for (const after of places.slice(-3))
    for (const since of places.slice(-4))
      for (const limit of [2, 100]) {
        const expected = log.entries.filter(
          ({ id, open, wanted, there }) => id > after && wanted && there && (open || id > since),
        )
        const read = await inbox.read(account, after, since, limit)
        assert.deepEqual(
          read.entries.map(({ id }) => id),
          expected.slice(0, limit).map(({ id }) => id),
          `after ${after} since ${since}`,
        )
        assert.equal(read.last, lastOf(log))
      }
}
