import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { enabledOf, type Feature } from '../../../src/contract/feature.ts'
import { FEATURES } from '../../../src/features/index.ts'
import { PAGES } from '../../generate-docs.ts'

/** A file each, or a folder. */
const FILES = readdirSync('src/features').filter((f) => f !== 'index.ts')
/** The file's name says which specification it is the protocol's face of. */
function fileOf(feature: Feature, file: string): boolean {
  const [, kind, number, name] = /^(xep|rfc|x)(\d+)?-(.+?)(?:\.ts)?$/.exec(file) ?? []
  if (name?.replaceAll('-', '_') !== feature.name) return false
  if (kind === 'x') return true
  const refs = kind === 'rfc' ? feature.rfcs : feature.xeps
  return refs?.some((ref) => ref.number === Number(number)) ?? false
}

describe('each feature', () => {
  for (const feature of FEATURES) {
    test(`${feature.name} has its file, works with its defaults and needs only what is there`, () => {
      assert.equal(FILES.filter((file) => fileOf(feature, file)).length, 1, 'one file, named like it')
      assert.ok(feature.config.safeParse(undefined).success, 'an absent section means the defaults')
      assert.equal(feature.config.safeParse({ unheard_of: 1 }).success, false, 'an unknown key is an error')
      for (const name of feature.requires ?? [])
        assert.ok(
          FEATURES.some((f) => f.name === name),
          name,
        )
      for (const { name, type, help } of Object.values(feature.metrics)) {
        assert.match(name, new RegExp(`^fernruf_${feature.name}_[a-z_]+$`))
        assert.equal(name.endsWith('_total'), type === 'counter')
        assert.match(help, /\.$/)
      }
      for (const { status, note } of [...feature.xeps, ...(feature.rfcs ?? [])]) {
        assert.equal(note !== undefined, status === 'partial', 'a note says what is missing')
      }
    })
  }
  test('is listed, and once', () => {
    assert.equal(FILES.length, FEATURES.length)
    assert.equal(new Set(FEATURES.map((f) => f.name)).size, FEATURES.length)
    const tables = FEATURES.flatMap((f) => f.tables ?? [])
    assert.equal(new Set(tables).size, tables.length, 'a table has one owner')
  })
})

test('what is switched off takes along what needs it', () => {
  const off = (sections: Readonly<Record<string, unknown>>) => {
    const enabled = new Set(enabledOf(FEATURES, sections))
    return FEATURES.filter((feature) => !enabled.has(feature)).map(({ name }) => name)
  }
  assert.deepEqual(off({ ping: {} }), [])
  assert.deepEqual(off({ ping: false }), ['ping'])
  assert.deepEqual(off({ archive: false }), ['archive', 'retraction', 'archive_preferences'])
  assert.deepEqual(
    off({ disco: false }).sort(),
    [
      'caps',
      'commands',
      'contact_discovery',
      'delivery_policy',
      'disco',
      'key_transfer',
      'multicast',
      'push',
      'server_list',
      'takeover',
      'upload',
      'web_keys',
    ],
    'and what needs that',
  )
})

for (const [path, page] of Object.entries(PAGES)) {
  test(`${path} is what the features say; node test/generate-docs.ts writes it`, () => {
    assert.equal(readFileSync(path, 'utf8'), page())
  })
}
