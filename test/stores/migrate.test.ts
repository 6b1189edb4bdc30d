import assert from 'node:assert/strict'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { migrate } from '../../src/storage/migrate.ts'
import { StartError } from '../../src/util/start-error.ts'
import { withStores } from '../helpers/test-database.ts'

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof StartError && pattern.test(error.message) && !error.message.includes('\n')

/** A copy of `schema/`, with files added or replaced in both dialects. */
async function schemaWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-schema-'))
  t.after(() => rm(folder, { recursive: true }))
  await cp(new URL('../../schema/', import.meta.url), folder, { recursive: true })
  for (const dialect of ['postgres', 'sqlite']) {
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, dialect, file), text)
  }
  return pathToFileURL(`${folder}/`)
}
const table = '-- breaking: no\ncreate table later (x int);'
const breaking = '-- breaking: yes\ncreate table later (x int);'

withStores('a database that is up to date is left alone', async ({ database }) => {
  assert.deepEqual(await migrate(database), [])
})

withStores('a new migration is applied once, also when two begin at the same time', async (stores, t) => {
  const other = await stores.second()
  const schema = await schemaWith(t, { '9000-later.sql': table })
  const done = await Promise.all([migrate(stores.database, schema), migrate(other.database, schema)])
  assert.deepEqual(done.flat(), ['9000-later'])
  assert.deepEqual(await migrate(stores.database, schema), [])
})

withStores('a migration that fails leaves nothing, and those before it stay', async ({ database }, t) => {
  const half = 'create table half (x int); create table half (x int);'
  const schema = await schemaWith(t, { '9000-later.sql': table, '9001-half.sql': half })
  await assert.rejects(migrate(database, schema))
  assert.deepEqual(await database.query('select * from later'), [])
  await assert.rejects(database.query('select * from half'))
})

withStores('a file that was changed after it had been applied stops the start', async ({ database }, t) => {
  await migrate(database, await schemaWith(t, { '9000-later.sql': table }))
  const changed = await schemaWith(t, { '9000-later.sql': `${table}\n` })
  await assert.rejects(migrate(database, changed), refusal(/9000-later/))
})

withStores('a newer database is used, unless something in it is breaking', async ({ database }, t) => {
  await migrate(database, await schemaWith(t, { '9000-later.sql': table }))
  assert.deepEqual(await migrate(database), [])
  await migrate(
    database,
    await schemaWith(t, { '9000-later.sql': table, '9001-x.sql': breaking.replace('later', 'x') }),
  )
  await assert.rejects(migrate(database), refusal(/newer.*9001-x/))
})

withStores('Windows line ends are no change', async ({ database }, t) => {
  await migrate(database, await schemaWith(t, { '9000-later.sql': table }))
  assert.deepEqual(
    await migrate(database, await schemaWith(t, { '9000-later.sql': table.replaceAll('\n', '\r\n') })),
    [],
  )
})
