import assert from 'node:assert/strict'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const NOW = 1_800_000_000_000
const DAY = 86_400_000

withStores(
  'the use of accounts is noted by account, the latest counts, and who is gone is passed over',
  async (stores) => {
    const { activity, database } = stores
    const { id } = await createAccount(stores, 'alice@example.org')
    await activity.put(
      new Map([
        [id, NOW],
        [id + 1_000, NOW],
      ]),
    )
    await activity.put(new Map([[id, NOW - 1]]))
    assert.deepEqual(await database.query('select account_id, at from last_active'), [{ account_id: id, at: NOW }])
  },
)

withStores(
  'unused are those that nobody has made or used since, the longest unused first; not those that are shut',
  async (stores) => {
    const { activity, accounts } = stores
    const made: number[] = []
    for (const name of ['never', 'long', 'longer', 'lately', 'shut'])
      made.push((await createAccount(stores, `${name}@example.org`)).id)
    const [, long = 0, longer = 0, lately = 0, shut = 0] = made
    await activity.put(
      new Map([
        [long, NOW - DAY - 1],
        [longer, NOW - 3 * DAY],
        [lately, NOW - DAY],
        [shut, NOW - 9 * DAY],
      ]),
    )
    await accounts.setDisabled(shut, NOW)
    const names = async (before: number, limit: number, skip = 0) =>
      (await activity.unused(before, limit, skip)).map((account) => account.jid.split('@')[0])
    assert.deepEqual(await names(NOW - DAY, 10), ['never', 'longer', 'long'])
    assert.deepEqual(await names(NOW - DAY, 1, 1), ['longer'])
    assert.deepEqual(await names(NOW - 20 * DAY, 10), [], 'all were made later')
    assert.equal(await accounts.removeUnused(lately, NOW - DAY), false)
    assert.equal(await accounts.removeUnused(shut, NOW - DAY), false)
    assert.equal(await accounts.removeUnused(long, NOW - DAY), true)
    assert.equal(await accounts.removeUnused(long, NOW - DAY), false)
    assert.equal(await accounts.find(jid('long@example.org')), undefined)
    assert.ok(await accounts.find(jid('lately@example.org')))
  },
  { now: () => NOW - 10 * DAY },
)

withStores('a lease is had by one until it ends', async (stores) => {
  const other = (await stores.second()).activity
  const both = await Promise.all([stores.activity, other].map((store) => store.lease('work', NOW, NOW + DAY)))
  assert.deepEqual(both.toSorted(), [false, true])
  assert.equal(await other.lease('work', NOW + DAY - 1, NOW + 2 * DAY), false)
  assert.equal(await other.lease('other work', NOW, NOW + DAY), true)
  assert.equal(await other.lease('work', NOW + DAY, NOW + 2 * DAY), true)
})
