import { readFileSync } from 'node:fs'
import { type Document, isNode, LineCounter, parse, parseDocument } from 'yaml'
import { ConfigError, type Fault, faultsOf, type Path } from './faults.ts'
import { type Config, configSchema, type FeatureSection } from './schema.ts'
import { Secret } from './units.ts'

type Section = Record<string, unknown>

/** Secrets that may stand in a file of their own, named by the same key with `_file`; `*`: each of a list. */
const SECRETS: readonly Path[] = [
  ['database', 'url'],
  ['redis', 'url'],
  ['sms', 'secret'],
  ['sms', 'api_secret'],
  ['sms', 'signature_secret'],
  ['sms', 'private_key'],
  ['sms', 'fallbacks', '*', 'secret'],
  ['sms', 'fallbacks', '*', 'api_secret'],
  ['sms', 'fallbacks', '*', 'signature_secret'],
  ['sms', 'fallbacks', '*', 'private_key'],
  ['features', 'push', 'webhook', 'secret'],
]

/**
 * Reads the config file, lays the environment's `FERNRUF_SECTION__KEY` values over it, checks the whole and freezes it.
 * @throws ConfigError with every fault there is
 */
export function loadConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  features: readonly FeatureSection[],
): Config {
  const lines = new LineCounter()
  const document = parseDocument(readText(file), { lineCounter: lines })
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => {
        const { line } = lines.linePos(error.pos[0])
        return `${file}:${line}: ${error.message.split('\n')[0]?.replace(/ at line \d+.*$/, '')}`
      }),
    )
  }
  const tell = (fault: Fault): string => {
    const name = fault.path.join('.')
    const place = fault.source ?? `${file}:${lineOf(document, lines, fault.path)}`
    return `${place}: ${name === '' ? '' : `${name}: `}${fault.message}`
  }
  const value: unknown = document.toJS() ?? {}
  if (!isSection(value))
    throw new ConfigError([tell({ path: [], message: 'expected sections such as domain: example.org' })])
  const raw = withoutEmpty(value)
  const schema = configSchema(features)
  const overlays = overlaysOf(env, new Set(Object.keys(schema.in.shape)))
  const early = overlays.flatMap((overlay) => put(raw, overlay.path, overlay.value, overlay.source))
  early.push(...SECRETS.flatMap((path) => readSecrets(raw, path, [])))

  let result = schema.safeParse(raw)
  if (!result.success && useTexts(raw, overlays, faultsOf(result.error.issues))) result = schema.safeParse(raw)
  const untold = new Set(early.map((fault) => fault.path.join('.').replace(/_file$/, '')))
  const late = result.success ? [] : faultsOf(result.error.issues).filter((f) => !untold.has(f.path.join('.')))
  const faults = [...early, ...late].map((fault) => ({ ...fault, ...sourceOf(overlays, fault) }))
  if (!result.success || faults.length > 0) throw new ConfigError([...new Set(faults.map(tell))])
  return freeze(result.data)
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError([`${file}: the config file cannot be read (${reasonOf(error)})`])
  }
}

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)
const isSection = (value: unknown): value is Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A key with nothing behind it, such as a section of remarks only, is as good as absent. */
function withoutEmpty(section: Section): Section {
  const kept = Object.entries(section).filter(([, value]) => value !== null)
  return Object.fromEntries(kept.map(([key, value]) => [key, isSection(value) ? withoutEmpty(value) : value]))
}

interface Overlay {
  readonly source: string
  readonly path: Path
  readonly text: string
  readonly value: unknown
}

/**
 * The environment's values. `FERNRUF_DATA_DIR` is a key of the top, `FERNRUF_HTTP__OPS__LISTEN` one further down. A single word
 * that is no key is left alone: Kubernetes sets such ones (`FERNRUF_PORT`) for a service of our name.
 */
function overlaysOf(env: Readonly<Record<string, string | undefined>>, keys: ReadonlySet<string>): Overlay[] {
  return Object.entries(env).flatMap(([source, text]) => {
    if (!source.startsWith('FERNRUF_') || text === undefined) return []
    const path = source.slice('FERNRUF_'.length).toLowerCase().split('__')
    if (path.length === 1 && !keys.has(path[0] ?? '')) return []
    return [{ source, path, text, value: interpret(text) }]
  })
}

/** Numbers, true, false and lists as in the file; everything else is text. */
function interpret(text: string): unknown {
  try {
    const value: unknown = parse(text)
    return value === null || typeof value === 'string' ? text : value
  } catch {
    return text
  }
}

function put(raw: Section, path: Path, value: unknown, source: string): Fault[] {
  let section = raw
  for (const key of path.slice(0, -1)) {
    if (!Object.hasOwn(section, key) || section[key] === null) define(section, key, {})
    const next = section[key]
    if (!isSection(next)) return [{ path, message: `${String(key)} is no section`, source }]
    section = next
  }
  define(section, path.at(-1) ?? '', value)
  return []
}

/** Sets an own property whatever its name; `__proto__` is an unknown key like any other. */
function define(section: Section, key: string | number, value: unknown): void {
  Object.defineProperty(section, key, { value, enumerable: true, configurable: true, writable: true })
}

/** `123456` is a number to YAML but may be meant as a text: where one was expected, the variable's own text is taken. */
function useTexts(raw: Section, overlays: readonly Overlay[], faults: readonly Fault[]): boolean {
  const meant = overlays.filter(
    (overlay) => typeof overlay.value === 'number' && faults.some((fault) => isSame(fault.path, overlay.path)),
  )
  for (const { path, text, source } of meant) put(raw, path, text, source)
  return meant.length > 0
}

const isSame = (a: Path, b: Path): boolean => a.length === b.length && a.every((key, i) => key === b[i])

/** `at`: where `value` is. */
function readSecrets(value: unknown, [key = '', ...rest]: Path, at: Path): Fault[] {
  if (rest.length === 0) return isSection(value) ? readSecret(value, String(key), at) : []
  if (key === '*') return Array.isArray(value) ? value.flatMap((item, i) => readSecrets(item, rest, [...at, i])) : []
  return isSection(value) ? readSecrets(value[key], rest, [...at, key]) : []
}
function readSecret(section: Section, key: string, within: Path): Fault[] {
  const file = section[`${key}_file`]
  if (typeof file !== 'string') return []
  const at = [...within, `${key}_file`]
  if (section[key] !== undefined) return [{ path: at, message: `expected ${key} or ${key}_file, not both` }]
  try {
    section[key] = readFileSync(file, 'utf8').trim()
    return []
  } catch (error) {
    return [{ path: at, message: `${file} cannot be read (${reasonOf(error)})` }]
  }
}

function sourceOf(overlays: readonly Overlay[], fault: Fault): { readonly source?: string } {
  const from = overlays.find((overlay) => overlay.path.every((key, i) => fault.path[i] === key))
  return from === undefined ? {} : { source: from.source }
}

/** Line of the key itself, or of the nearest section above it that is in the file. */
function lineOf(document: Document.Parsed, lines: LineCounter, path: Path): number {
  for (let depth = path.length; depth > 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
  }
  return 1
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Secret) return value
  for (const inner of Object.values(value)) freeze(inner)
  return Object.freeze(value)
}
