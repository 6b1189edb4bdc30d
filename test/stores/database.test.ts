import assert from 'node:assert/strict'
import fc from 'fast-check'
import { openStores } from '../../src/storage/open.ts'
import { int8s, texts } from '../../src/storage/postgres/arrays.ts'
import { PostgresDatabase } from '../../src/storage/postgres/database.ts'
import { StoreError } from '../../src/storage/sql.ts'
import { createAccount } from '../helpers/store-samples.ts'
import { withPostgres, withStores } from '../helpers/test-database.ts'

const refused = (error: unknown) => error instanceof StoreError && error.fault === 'refused'
const unavailable = (error: unknown) => error instanceof StoreError && error.fault === 'unavailable'
const disable = 'update account set disabled_at = $2 where id = $1'

withStores('values come back as they went in', async ({ database, dialect }) => {
  const cast = dialect === 'postgres' ? (type: string) => `::${type}` : () => ''
  const [row] = await database.query(
    `select $1${cast('bigint')} as number, $2${cast('text')} as text, $3${cast('bytea')} as bytes, $4${cast('text')} as empty`,
    [2 ** 53 - 1, 'é\'\\"\n', Buffer.from([0, 255, 92, 120]), null],
  )
  assert.deepEqual(
    { ...row },
    { number: 2 ** 53 - 1, text: 'é\'\\"\n', bytes: Uint8Array.of(0, 255, 92, 120), empty: null },
  )
})

withStores('a transaction whose work throws leaves no trace', async (stores) => {
  const { id, jid } = await createAccount(stores, 'alice@example.org')
  const failing = stores.database.transaction(async (sql) => {
    await sql.query(disable, [id, 1])
    throw new RangeError('no')
  })
  await assert.rejects(failing, RangeError)
  assert.equal((await stores.accounts.find(jid))?.disabledAt, undefined)
})

withStores('a refused statement, and what it does to its transaction', async (stores) => {
  const { id, jid } = await createAccount(stores, 'alice@example.org')
  const failing = stores.database.transaction(async (sql) => {
    await sql.query(disable, [id, 1])
    await sql.query('insert into credential (account_id) values ($1)', [id])
  })
  await assert.rejects(failing, refused)
  assert.equal((await stores.accounts.find(jid))?.disabledAt, undefined)
  await assert.rejects(stores.database.query('select nonsense'), refused)
})

withStores('others wait for a transaction, or do not see it', async (stores) => {
  const { id, jid } = await createAccount(stores, 'alice@example.org')
  const { promise, resolve } = Promise.withResolvers<void>()
  const open = stores.database.transaction(async (sql) => {
    await sql.query(disable, [id, 1])
    await promise
    await sql.query(disable, [id, 2])
  })
  const seen = stores.accounts.find(jid)
  const next = stores.database.transaction((sql) => sql.query(disable, [id, 3]))
  resolve()
  await Promise.all([open, next])
  assert.notEqual((await seen)?.disabledAt, 1)
  assert.equal((await stores.accounts.find(jid))?.disabledAt, 3)
})

withStores('many transactions at once all happen, one after the other', async (stores) => {
  const { id, jid } = await createAccount(stores, 'alice@example.org')
  const lock = stores.dialect === 'postgres' ? ' for update' : ''
  await stores.accounts.setDisabled(id, 0)
  await Promise.all(
    Array.from({ length: 50 }, () =>
      stores.database.transaction(async (sql) => {
        const [row] = await sql.query<{ disabled_at: number }>(`select disabled_at from account where id = $1${lock}`, [
          id,
        ])
        await sql.query(disable, [id, (row?.disabled_at ?? 0) + 1])
      }),
    ),
  )
  assert.equal((await stores.accounts.find(jid))?.disabledAt, 50)
})

withPostgres('transactions that lock each other out are tried again', async (databaseUrl, t) => {
  const stores = await openStores({ databaseUrl, dataDir: '' })
  t.after(() => stores.close())
  const a = (await createAccount(stores, 'a@example.org')).id
  const b = (await createAccount(stores, 'b@example.org')).id
  const arrivals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const both = Promise.all(arrivals.map(({ promise }) => promise))
  let tries = 0
  const lock = (first: number, second: number, who: number) =>
    stores.database.transaction(async (sql) => {
      tries++
      await sql.query(disable, [first, who])
      arrivals[who]?.resolve()
      await both
      await sql.query(disable, [second, who])
    })
  await Promise.all([lock(a, b, 0), lock(b, a, 1)])
  assert.equal(tries, 3)
})

withStores('a closed database is unavailable', async (stores) => {
  await stores.close()
  const asked = stores.database.query('select 1')
  await assert.rejects(asked, unavailable)
})

withStores(
  'a queue that is full says so at once, and the rest is served',
  async ({ database }) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const open = database.transaction(() => promise)
    const asked = Array.from({ length: 5_000 }, () => database.query('select 1 as one'))
    const all = Promise.allSettled(asked)
    await assert.rejects(Promise.all(asked.slice(-1)), unavailable)
    resolve()
    await open
    const served = (await all).filter(({ status }) => status === 'fulfilled')
    assert.ok(served.length > 4_000 && served.length < 4_100, `${served.length} were served`)
  },
  { connections: 1 },
)

withPostgres('a transaction that went on after a refusal is not taken for committed', async (databaseUrl, t) => {
  const stores = await openStores({ databaseUrl, dataDir: '' })
  t.after(() => stores.close())
  const swallowing = stores.database.transaction(async (sql) => {
    await sql.query('select nonsense').catch(() => {})
  })
  await assert.rejects(swallowing, refused)
})

withPostgres('an error tells no values', async (databaseUrl, t) => {
  const stores = await openStores({ databaseUrl, dataDir: '' })
  t.after(() => stores.close())
  const said = await stores.database
    .query('insert into credential (account_id, mechanism) values ($1, $2)', [1, 'hunter2'])
    .catch((error: unknown) => error)
  assert.ok(said instanceof StoreError)
  assert.doesNotMatch(
    JSON.stringify([said, said.cause, String(said.cause), Object.entries(said.cause ?? {})]),
    /hunter2/,
  )
})

withPostgres(
  'a statement without an answer in time is given up with its connection; the next gets another',
  async (url, t) => {
    const database = new PostgresDatabase({ url, connections: 1, answerMs: 300 })
    t.after(() => database.close())
    const [before] = await database.query<{ pid: number }>('select pg_backend_pid() as pid')
    await assert.rejects(database.query('select pg_sleep(5)'), unavailable)
    const [after] = await database.query<{ pid: number }>('select pg_backend_pid() as pid')
    assert.notEqual(after?.pid, before?.pid)
  },
)

withPostgres('columns arrive as they were sent', async (url, t) => {
  const database = new PostgresDatabase({ url, connections: 1 })
  t.after(() => database.close())
  const row = fc.record({
    number: fc.option(fc.oneof(fc.maxSafeInteger(), fc.integer()), { nil: null }),
    // PostgreSQL's text has no U+0000.
    text: fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (rows) => {
      const back = await database.query('select * from unnest($1::bigint[], $2::text[]) as r (number, text)', [
        int8s(rows, ({ number }) => number),
        texts(rows, ({ text }) => text),
      ])
      assert.deepEqual(
        back.map((r) => ({ ...r })),
        rows.map((r) => ({ ...r })),
      )
    }),
    { numRuns: 50 },
  )
})
