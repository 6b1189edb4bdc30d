import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DumpError } from '../../../src/import/dump-text.ts'
import { type DumpRow, SqlDump } from '../../../src/import/sql-dump.ts'
import { mysqlDump, postgresDump, type Tables } from '../../helpers/tigase-dump.ts'

const NASTY = `'); DROP TABLE x; -- \\ \\\\ "quoted" \`back\` $$ /* # */ \n\r\t\0\b\x1a äöü 🙂 \\N \\.`
const TABLES: Tables = {
  tig_users: {
    columns: ['uid', 'user_id', 'last_login'],
    rows: [
      [1, 'romeo@example.org', '2020-01-02 03:04:05'],
      [2, NASTY, null],
      [3, '', '\\N'],
    ],
  },
  tig_pairs: { columns: ['nid', 'uid', 'pkey', 'pval'], rows: [[7, 1, 'roster', `<contact jid='a&amp;b'/>`]] },
  other: {
    columns: ['id', 'text'],
    rows: [
      [1, NASTY],
      [2, ''],
    ],
  },
}
// PostgreSQL has no zero bytes in texts.
const WITHOUT_ZERO = JSON.parse(JSON.stringify(TABLES).replaceAll('\\u0000', '')) as Tables
const DUMPS: readonly [string, string, Tables][] = [
  ['mysqldump', mysqlDump(TABLES), TABLES],
  ['pg_dump with COPY', postgresDump(WITHOUT_ZERO), WITHOUT_ZERO],
  ['pg_dump --inserts', postgresDump(WITHOUT_ZERO, 'insert'), WITHOUT_ZERO],
]

function read(dump: string | Buffer, size: number, wanted = ['tig_users', 'tig_pairs']): DumpRow[] {
  const bytes = Buffer.from(dump)
  const reader = new SqlDump(wanted)
  const rows: DumpRow[] = []
  for (let at = 0; at < bytes.length; at += size) rows.push(...reader.push(bytes.subarray(at, at + size)))
  return [...rows, ...reader.end()]
}
const plain = (rows: readonly DumpRow[]) =>
  rows.map(({ table, values }) => [table, ...[...values].map(([name, value]) => `${name}=${String(value)}`)])
const expected = (tables: Tables) =>
  ['tig_pairs', 'tig_users'].flatMap((table) => {
    const { columns = [], rows = [] } = tables[table] ?? {}
    return rows.map((row) => [table, ...columns.map((name, i) => `${name}=${String(row[i])}`)])
  })

for (const [name, dump, tables] of DUMPS) {
  describe(name, () => {
    test('gives the rows of the tables asked for, however it is cut', () => {
      for (const size of [1, 2, 7, 4096, 1 << 20])
        assert.deepEqual(plain(read(dump, size)), expected(tables), `${size}`)
    })
    test('that is cut off is no dump', () => {
      const at = dump.indexOf('romeo@example.org')
      assert.throws(() => read(dump.slice(0, at + 5), 4096), DumpError)
      assert.throws(() => read(dump.slice(0, dump.lastIndexOf('äöü')), 4096, ['tig_users', 'other']), DumpError)
    })
  })
}

test('columns are those that are told, wherever they are', () => {
  const head = '-- MySQL dump\n'
  const rows = plain(
    read(`${head}INSERT INTO tig_users (\`user_id\`, uid) VALUES (_binary 'a', 0x31),('b',-2.5e3);`, 3),
  )
  assert.deepEqual(rows, [
    ['tig_users', 'user_id=a', 'uid=1'],
    ['tig_users', 'user_id=b', 'uid=-2.5e3'],
  ])
  const faults: readonly [string, RegExp][] = [
    [`${head}INSERT INTO tig_users VALUES (1);`, /columns of tig_users are not told/],
    [`${head}INSERT INTO tig_users (a, b) VALUES (1);`, /1 values for 2 columns/],
    [`${head}INSERT INTO tig_users (a) VALUES (now());`, /unknown form/],
    [`${head}INSERT INTO tig_users (a) VALUES ('x') ON DUPLICATE`, /expected , or ;/],
    [`INSERT INTO tig_users (a) VALUES ('x');`, /neither a dump/],
    [`${head}INSERT INTO tig_users (a) VALUES ('x`, /without end/],
  ]
  for (const [dump, message] of faults)
    assert.throws(
      () => read(dump, 5),
      (error) => error instanceof DumpError && message.test(error.message),
      dump,
    )
  const notUtf8 = Buffer.concat([
    Buffer.from(`${head}INSERT INTO tig_users (a) VALUES ('`),
    Buffer.of(0xff),
    Buffer.from("');"),
  ])
  assert.throws(() => read(notUtf8, 4096), /not UTF-8/)
})

test('a value is bounded, and a long dump costs no more for each byte than a short one', () => {
  const head = '-- MySQL dump\n'
  const long = `${head}INSERT INTO tig_users (a) VALUES ('${'x'.repeat(16 * 1024 * 1024 + 1)}');`
  assert.throws(() => read(long, 65_536), /more than 16777216 bytes/)
  const times = [1_000, 4_000].map((rows) => {
    const dump = mysqlDump({
      tig_users: { columns: ['uid', 'user_id'], rows: Array.from({ length: rows }, (_, i) => [i, NASTY]) },
    })
    const started = process.cpuUsage().user
    assert.equal(read(dump, 777).length, rows)
    return (process.cpuUsage().user - started) / rows
  })
  assert.ok((times[1] as number) < (times[0] as number) * 4, times.join())
})
