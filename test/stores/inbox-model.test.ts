import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Batch, NewEntry } from '../../src/inbox/store.ts'
import type { Stores } from '../../src/storage/open.ts'
import { batch, createAccount, entry, openOf } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const ACCOUNTS = 3
/** Enough to meet every kind of gap; the seed is told when a run fails. */
const RUNS = 25

interface Kept {
  readonly id: number
  readonly body: string
  readonly archived: boolean
  open: boolean
}
/** The log as its interface says it, without cursor or gaps. */
type Model = ReadonlyMap<number, { head: number; entries: Kept[] }>

/** Indices, not ids: `take` counts back from the newest entry of the account; beyond the oldest it names an id never given. */
interface Step {
  readonly entries: readonly { readonly who: number; readonly archived: boolean; readonly wanted: boolean }[]
  readonly takes: readonly { readonly who: number; readonly take: readonly number[] }[]
  readonly again: boolean
}
const who = fc.nat(ACCOUNTS - 1)
const step: fc.Arbitrary<Step> = fc.record({
  entries: fc.array(fc.record({ who, archived: fc.boolean(), wanted: fc.boolean() }), { maxLength: 6 }),
  takes: fc.array(fc.record({ who, take: fc.array(fc.nat(9), { maxLength: 5 }) }), { maxLength: 3 }),
  again: fc.boolean(),
})

withStores('takes, cursor and gaps do what the interface says', async (stores) => {
  let run = 0
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
    run++
    const accounts: number[] = []
    for (let i = 0; i < ACCOUNTS; i++) accounts.push((await createAccount(stores, `a${i}.${run}@example.org`)).id)
    const model: Model = new Map(accounts.map((account) => [account, { head: 0, entries: [] }]))
    for (const [i, one] of steps.entries()) {
      const next = batchOf(model, accounts, one, `${i}`)
      const ids = await stores.inbox.commit(next)
      if (one.again) assert.deepEqual(await stores.inbox.commit(next), ids)
      follow(model, next, ids)
      for (const account of accounts) await compare(stores, model, account)
    }
  })
  await fc.assert(property, { numRuns: RUNS })
})

function batchOf(model: Model, accounts: readonly number[], { entries, takes }: Step, name: string): Batch {
  const account = (index: number) => accounts[index] ?? 0
  return batch(
    entries.map(({ who, archived, wanted }, i) => entry(account(who), `${name}.${i}`, { archived, wanted })),
    takes.map(({ who, take }) => {
      const known = model.get(account(who))?.entries ?? []
      return { account: account(who), ids: take.map((back) => known.at(-1 - back)?.id ?? back) }
    }),
  )
}

function follow(model: Model, { entries, takes }: Batch, ids: readonly number[]): void {
  for (const { account, ids: taken } of takes) {
    for (const kept of model.get(account)?.entries ?? []) if (taken.includes(kept.id)) kept.open = false
  }
  for (const [i, one] of entries.entries()) add(model, one, ids[i] ?? 0)
}

function add(model: Model, { account, archived, wanted, payload }: NewEntry, id: number): void {
  const log = model.get(account)
  assert.ok(log !== undefined && id > log.head, 'ids rise')
  log.head = id
  log.entries.push({ id, body: new TextDecoder().decode(payload), archived, open: wanted })
}

async function compare({ inbox, database }: Stores, model: Model, account: number): Promise<void> {
  const log = model.get(account) ?? { head: 0, entries: [] }
  const open = log.entries.filter((kept) => kept.open)
  assert.deepEqual(
    await openOf(inbox, account),
    open.map(({ id, body }) => [id, body]),
  )
  assert.equal((await inbox.waiting(account)).entries, open.length)
  assert.equal((await inbox.heads([account])).get(account) ?? 0, log.head)
  const rows = await database.query<{ id: number }>('select id from entry where account_id = $1 order by id', [account])
  assert.deepEqual(
    rows.map((row) => row.id),
    log.entries.filter((kept) => kept.archived || kept.open).map(({ id }) => id),
  )
}
