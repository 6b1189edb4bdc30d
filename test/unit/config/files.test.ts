import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { parse } from 'yaml'
import { jsonSchema } from '../../../src/config/json-schema.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { unbuiltSections } from '../../../src/config/schema.ts'
import { FEATURES } from '../../../src/features/index.ts'

const config = (name: string): string => join(import.meta.dirname, '../../../config', name)
const example = readFileSync(config('fernruf.example.yaml'), 'utf8')

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly oneOf?: readonly Schema[]
}
/** Every key path of a schema; of a choice, those of the option the example takes. */
function keysOf(schema: Schema, value: unknown, path = ''): string[] {
  const options = schema.oneOf?.filter((option) => fits(option, value)) ?? [schema]
  return options.flatMap((option) =>
    Object.entries(option.properties ?? {}).flatMap(([key, inner]) => [
      `${path}${key}`,
      ...keysOf(inner, (value as Record<string, unknown> | undefined)?.[key], `${path}${key}.`),
    ]),
  )
}
const fits = (option: Schema, value: unknown): boolean =>
  (option.properties?.provider as { const?: string } | undefined)?.const === (value as { provider?: string })?.provider

function pathsOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => [`${path}${key}`, ...pathsOf(inner, `${path}${key}.`)])
}

test('the JSON schema is the one the code makes (npm run generate)', () => {
  assert.equal(readFileSync(config('fernruf.schema.json'), 'utf8'), jsonSchema(FEATURES))
})

test('the development config is right and asks for nothing that is not built', () => {
  const development = loadConfig(config('dev.yaml'), {}, FEATURES)
  assert.deepEqual(unbuiltSections(development), [])
  assert.ok([...development.c2s.starttls, ...development.c2s.direct_tls].every(({ host }) => host === '127.0.0.1'))
})

test('the example is right as it stands, and its defaults are the defaults', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-example-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const secret = join(folder, 'sms')
  writeFileSync(secret, 'sixteen bytes or more\n')
  const shown = loadConfig(config('fernruf.example.yaml'), { FERNRUF_SMS__SECRET_FILE: secret }, FEATURES)
  const file = join(folder, 'minimal.yaml')
  writeFileSync(file, 'domain: example.org\nenvironment: development\n')
  const minimal = loadConfig(file, {}, FEATURES)
  for (const section of ['c2s', 'http', 'inbox', 'keys', 'limits', 'log', 'features', 'workers', 'data_dir'] as const) {
    assert.deepEqual(shown[section], minimal[section], section)
  }
})

test('the example has every key', () => {
  const all = parse(example.replace(/^( *)#(?=[a-z_0-9]+:)/gm, '$1')) as Record<string, unknown>
  const there = new Set(pathsOf(all))
  const missing = keysOf(JSON.parse(jsonSchema([])) as Schema, all).filter((key) => !there.has(key))
  assert.deepEqual(missing, [])
})
