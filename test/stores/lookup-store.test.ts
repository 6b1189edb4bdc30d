import assert from 'node:assert/strict'
import { Lookups } from '../../src/account/lookups.ts'
import { SqlLookupStore } from '../../src/storage/lookup-store.ts'
import type { Database } from '../../src/storage/sql.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const DAY = 86_400_000
const BUDGET = { count: 3, windowMs: DAY }
const ROMEO = jid('romeo@example.org')
const target = (name: string) => ({ jid: jid(`${name}@example.org`), mark: `mark of ${name}` })

withStores('tells who is there, in the order asked, and what was asked before', async (stores) => {
  const romeo = (await createAccount(stores, ROMEO)).id
  for (const name of ['juliet', 'gone', 'shy', 'shyer']) await createAccount(stores, `${name}@example.org`)
  const idOf = async (name: string) => (await stores.accounts.find(target(name).jid))?.id as number
  await stores.accounts.setDisabled(await idOf('gone'), 5)
  await stores.blocks.add(await idOf('shy'), [ROMEO], 5)
  await stores.blocks.add(await idOf('shyer'), [jid('example.org')], 5)
  await stores.lookups.spend(romeo, ['mark of nobody'], BUDGET, 1)
  const names = ['nobody', 'juliet', 'gone', 'shy', 'shyer']
  const looked = await stores.lookups.look(romeo, ROMEO, names.map(target))
  assert.deepEqual(
    looked.map(({ jid: who, isKnown, isFound }) => [who.replace(/@.*/, ''), isKnown, isFound]),
    names.map((name) => [name, name === 'nobody', name === 'juliet']),
  )
  assert.deepEqual(await stores.lookups.look(romeo, ROMEO, []), [])
})

withStores('a budget is spent on what is new, in any window, by each account alone', async (stores) => {
  const romeo = (await createAccount(stores, ROMEO)).id
  const juliet = (await createAccount(stores, 'juliet@example.org')).id
  const spends = async (account: number, marks: string, now: number) =>
    [...(await stores.lookups.spend(account, [...marks], BUDGET, now))].sort().join('')
  assert.equal(await spends(romeo, 'aab', 1_000), 'ab', 'twice is once')
  assert.equal(await spends(romeo, 'abcd', 2_000), 'abc', 'in order, as far as it goes')
  assert.equal(await spends(romeo, 'd', 2_000), '', 'refused ones are not remembered')
  assert.equal(await spends(juliet, 'd', 2_000), 'd')
  assert.equal(await spends(romeo, 'def', 1_000 + DAY), 'de', 'two of them are a day old')
  assert.equal(await spends(romeo, 'fa', 1_999 + DAY), 'a', 'what is known stays so')
  assert.equal(await spends(romeo + 100, 'a', 1), '', 'no such account')
  assert.equal(await stores.lookups.purge(1_001), 2)
  assert.equal(await spends(romeo, 'a', 1_999 + DAY), '', 'new again')
  await stores.accounts.remove(romeo)
  const [row] = await stores.database.query<{ rows: number }>('select count(*) as rows from lookup')
  assert.equal(row?.rows, 1, 'they go with the account')
})

withStores('connections at the same time do not spend more than there is', async (stores) => {
  const romeo = (await createAccount(stores, ROMEO)).id
  const others = await Promise.all([stores.second(), stores.second()])
  const all = [stores, ...others].flatMap((s, i) =>
    [0, 1, 2].map((k) => s.lookups.spend(romeo, [`${i}${k}`, `${i}${k}x`], BUDGET, 1_000)),
  )
  const bought = (await Promise.all(all)).reduce((sum, marks) => sum + marks.size, 0)
  assert.equal(bought, BUDGET.count)
})

withStores(
  'a request costs the same number of queries however long it is: one, when nothing is new',
  async (stores) => {
    const romeo = await createAccount(stores, ROMEO)
    await createAccount(stores, 'juliet@example.org')
    let queries = 0
    const counted: Database = {
      dialect: stores.database.dialect,
      query: (text, params) => {
        queries++
        return stores.database.query(text, params)
      },
      transaction: (work) =>
        stores.database.transaction((sql) =>
          work({
            dialect: sql.dialect,
            script: (text) => sql.script(text),
            query: (text, params) => {
              queries++
              return sql.query(text, params)
            },
          }),
        ),
      close: () => Promise.resolve(),
    }
    const lookups = new Lookups({
      store: new SqlLookupStore(counted),
      key: Buffer.alloc(32, 1),
      newPerDay: 1_000,
      keptMs: DAY,
    })
    const book = Array.from({ length: 500 }, (_, i) => jid(i === 250 ? 'juliet@example.org' : `${i}@example.org`))
    const find = () => lookups.find(romeo, book, () => false)
    assert.deepEqual(await find(), { found: [jid('juliet@example.org')], withheld: 0 })
    assert.ok(queries <= 5, `${queries} queries`)
    queries = 0
    assert.deepEqual(await find(), { found: [jid('juliet@example.org')], withheld: 0 })
    assert.equal(queries, 1)
    queries = 0
    await lookups.find(
      romeo,
      ['x', 'y'].map((name) => jid(`${name}@example.org`)),
      () => true,
    )
    assert.equal(queries, 1, 'what is free is not spent')
    await lookups.find(romeo, [], () => true)
    assert.equal(queries, 1)
    // Nobody's phone book can be read off the table, nor compared with another's.
    const rows = await stores.database.query<{ target: string }>('select target from lookup')
    assert.equal(rows.length, 500)
    for (const row of rows) assert.match(row.target, /^[\w-]{22}$/)
  },
)
