import assert from 'node:assert/strict'
import type { Spender } from '../../src/account/lookup-store.ts'
import { Lookups } from '../../src/account/lookups.ts'
import { SqlLookupStore } from '../../src/storage/lookup-store.ts'
import type { Database } from '../../src/storage/sql.ts'
import { domainOf } from '../../src/xmpp/jid.ts'
import { createAccount, jid } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const DAY = 86_400_000
const BUDGET = { count: 3, windowMs: DAY }
const ROMEO = jid('romeo@example.org')
const target = (name: string) => ({ jid: jid(`${name}@example.org`), mark: `mark of ${name}` })

withStores('tells who is there, in the order asked, and what was asked before', async (stores) => {
  await createAccount(stores, ROMEO)
  for (const name of ['juliet', 'gone', 'shy', 'shyer']) await createAccount(stores, `${name}@example.org`)
  const idOf = async (name: string) => (await stores.accounts.find(target(name).jid))?.id as number
  await stores.accounts.setDisabled(await idOf('gone'), 5)
  await stores.blocks.add(await idOf('shy'), [ROMEO], 5)
  await stores.blocks.add(await idOf('shyer'), [jid('example.org')], 5)
  await stores.lookups.spend({ account: ROMEO }, ['mark of nobody'], BUDGET, 1)
  const names = ['nobody', 'juliet', 'gone', 'shy', 'shyer']
  const looked = await stores.lookups.look(ROMEO, names.map(target))
  assert.deepEqual(
    looked.map(({ jid: who, isKnown, isFound }) => [who.replace(/@.*/, ''), isKnown, isFound]),
    names.map((name) => [name, name === 'nobody', name === 'juliet']),
  )
  assert.deepEqual(await stores.lookups.look(ROMEO, []), [])
})

withStores('a budget is spent on what is new, in any window, by each asker alone', async (stores) => {
  const romeo = (await createAccount(stores, ROMEO)).id
  const juliet = (await createAccount(stores, 'juliet@example.org')).jid
  for (const [spender, other] of [
    [{ account: ROMEO }, { account: juliet }],
    [{ mark: 'one' }, { mark: 'two' }],
  ] as const) {
    const of = 'account' in spender ? '' : 'x'
    const spends = async (by: Spender, marks: string, now: number) => {
      const bought = await stores.lookups.spend(
        by,
        [...marks].map((mark) => of + mark),
        BUDGET,
        now,
      )
      return [...bought]
        .map((mark) => mark.slice(of.length))
        .sort()
        .join('')
    }
    assert.equal(await spends(spender, 'aab', 1_000), 'ab', 'twice is once')
    assert.equal(await spends(spender, 'abcd', 2_000), 'abc', 'in order, as far as it goes')
    assert.equal(await spends(spender, 'd', 2_000), '', 'refused ones are not remembered')
    assert.equal(await spends(other, 'z', 2_000), 'z')
    assert.equal(await spends(spender, 'def', 1_000 + DAY), 'de', 'two of them are a day old')
    assert.equal(await spends(spender, 'fa', 1_999 + DAY), 'a', 'what is known stays so')
  }
  assert.equal((await stores.lookups.spend({ account: jid('nobody@example.org') }, ['n'], BUDGET, 1)).size, 0)
  const rows = async () =>
    (await stores.database.query<{ rows: number }>('select count(*) as rows from lookup'))[0]?.rows
  assert.equal(await rows(), 12)
  assert.equal(await stores.lookups.purge(1_001, 1), 4, 'what is old of anybody')
  assert.equal(await stores.lookups.purge(1, 2_001), 2, 'and sooner, of those without an account')
  assert.deepEqual(await stores.lookups.spend({ account: ROMEO }, ['a'], BUDGET, 1_999 + DAY), new Set(), 'new again')
  await stores.accounts.remove(romeo)
  assert.equal(await rows(), 3, 'they go with the account')
})

withStores('connections at the same time do not spend more than there is', async (stores) => {
  await createAccount(stores, ROMEO)
  const others = await Promise.all([stores.second(), stores.second()])
  for (const spender of [{ account: ROMEO }, { mark: 'elsewhere' }]) {
    const all = [stores, ...others].flatMap((s, i) =>
      [0, 1, 2].map((k) => {
        const mark = `${Object.keys(spender)[0]}${i}${k}`
        return s.lookups.spend(spender, [mark, `${mark}x`], BUDGET, 1_000)
      }),
    )
    const bought = (await Promise.all(all)).reduce((sum, marks) => sum + marks.size, 0)
    assert.equal(bought, BUDGET.count)
  }
})

withStores(
  'a request costs the same number of queries however long it is: one, when nothing is new',
  async (stores) => {
    await createAccount(stores, ROMEO)
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
      domains: new Set([domainOf(ROMEO)]),
      newPerDay: 1_000,
      remoteNewPerDay: 20,
      webNewPerDay: 20,
      keptMs: DAY,
    })
    const book = Array.from({ length: 500 }, (_, i) => jid(i === 250 ? 'juliet@example.org' : `${i}@example.org`))
    const find = () => lookups.find(ROMEO, book, () => false)
    assert.deepEqual(await find(), { found: [jid('juliet@example.org')], withheld: 0 })
    assert.ok(queries <= 5, `${queries} queries`)
    queries = 0
    assert.deepEqual(await find(), { found: [jid('juliet@example.org')], withheld: 0 })
    assert.equal(queries, 1)
    queries = 0
    await lookups.find(
      ROMEO,
      ['x', 'y'].map((name) => jid(`${name}@example.org`)),
      () => true,
    )
    assert.equal(queries, 1, 'what is free is not spent')
    await lookups.find(ROMEO, [], () => true)
    assert.equal(queries, 1)
    for (const asked of book) assert.ok(await lookups.spend({ account: ROMEO }, asked))
    assert.equal(queries, 1, 'what was paid for a moment ago costs none')
    // Nobody's phone book can be read off the table, nor compared with another's.
    const rows = await stores.database.query<{ target: string }>('select target from lookup')
    assert.equal(rows.length, 500)
    for (const row of rows) assert.match(row.target, /^[\w-]{22}$/)
  },
)
