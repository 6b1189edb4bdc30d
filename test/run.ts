import { globSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { installPackages, postgresFolder } from './setup/packages.ts'
import { startPostgres, type TestPostgres } from './setup/postgres.ts'

const ROOT = join(import.meta.dirname, '..')
const POSTGRES_LOG = join(ROOT, '.test/postgres.log')
/** No file of ours takes longer unless it hangs. */
const FILE_TIMEOUT_MS = 600_000

/** The parts in their order, and how many files of each run at a time on two cores. */
const PARTS = [
  { folder: 'unit', concurrency: 2 },
  { folder: 'stores', concurrency: 2 },
  { folder: 'e2e', concurrency: 2 },
  { folder: 'interop', concurrency: 2 },
] as const

/** What `--quick` leaves out: other people's programs, and files that say they are slow. */
const QUICK_PARTS: readonly string[] = ['unit', 'e2e']
const isSlow = (file: string): boolean => file.endsWith('.slow.test.ts')

const say = (line: string): void => void process.stdout.write(`${line}\n`)

type Counts = Record<'tests' | 'passed' | 'failed' | 'cancelled' | 'skipped' | 'todo', number>
const NAMES: Readonly<Record<keyof Counts, string>> = {
  tests: 'tests',
  passed: 'pass',
  failed: 'fail',
  cancelled: 'cancelled',
  skipped: 'skipped',
  todo: 'todo',
}

async function main(typed: readonly string[]): Promise<number> {
  const isQuick = typed.includes('--quick')
  const patterns = typed.filter((word) => word !== '--quick')
  const files = filesOf(patterns, isQuick)
  if (files.length === 0) {
    say(`no test file matches ${patterns.join(' ')}`)
    return 1
  }
  const isAlone = isQuick || files.every((file) => file.startsWith('test/unit/'))
  const missing = isAlone ? [] : installPackages(say)
  const postgres = isAlone ? undefined : await database()
  if (postgres !== undefined) process.env.FERNRUF_TEST_POSTGRES = postgres.url
  if (isQuick) process.env.FERNRUF_TEST_QUICK = '1'

  const stopped = new AbortController()
  process.once('SIGINT', () => stopped.abort())
  process.once('SIGTERM', () => stopped.abort())
  const started = performance.now()
  const total: Counts = { tests: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 }
  try {
    for (const { folder, concurrency } of PARTS) {
      const part = files.filter((file) => file.startsWith(`test/${folder}/`))
      if (part.length === 0 || stopped.signal.aborted) continue
      add(total, await runFiles(part, concurrency, stopped.signal))
    }
  } finally {
    const isRed = total.failed + total.cancelled > 0 && !stopped.signal.aborted
    await postgres?.stop(isRed ? POSTGRES_LOG : undefined)
    if (isRed && postgres !== undefined) say(`the log of PostgreSQL is in ${POSTGRES_LOG}`)
  }
  for (const key of Object.keys(NAMES) as (keyof Counts)[]) say(`# ${NAMES[key]} ${total[key]}`)
  say(`# duration_ms ${Math.round(performance.now() - started)}`)
  say(`${total.passed} passed, ${total.failed + total.cancelled} failed, ${total.skipped} skipped`)
  if (stopped.signal.aborted) return 130
  if (missing.length > 0 && process.env.CI !== undefined) {
    say('in CI nothing may be missing')
    return 1
  }
  return total.failed + total.cancelled > 0 ? 1 : 0
}

/** Files whose path holds one of the patterns; all without any. */
function filesOf(patterns: readonly string[], isQuick: boolean): string[] {
  return globSync('test/**/*.test.ts', { cwd: ROOT })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern.replace(/^\.\//, ''))))
    .filter((file) => !isQuick || (QUICK_PARTS.some((part) => file.startsWith(`test/${part}/`)) && !isSlow(file)))
    .sort()
}

async function database(): Promise<Pick<TestPostgres, 'url' | 'stop'> | undefined> {
  const given = process.env.FERNRUF_TEST_POSTGRES
  if (given !== undefined) return { url: given, stop: () => Promise.resolve() }
  const programs = postgresFolder()
  return programs === undefined ? undefined : await startPostgres(programs)
}

/** Runs files in processes of their own and shows what they say. */
async function runFiles(files: readonly string[], concurrency: number, signal: AbortSignal): Promise<Counts> {
  const counts: Counts = { tests: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 }
  const stream = run({
    files: files.map((file) => join(ROOT, file)),
    cwd: ROOT,
    concurrency,
    timeout: FILE_TIMEOUT_MS,
    signal,
  })
  stream.on('test:summary', (summary) => {
    const { tests, passed, cancelled, skipped, todo } = summary.counts
    const failed = tests - passed - cancelled - skipped - todo
    if (summary.file === undefined) add(counts, { tests, passed, failed, cancelled, skipped, todo })
  })
  const shown = stream.compose(new spec())
  for await (const chunk of shown) process.stdout.write(chunk)
  return counts
}

function add(total: Counts, more: Counts): void {
  for (const key of Object.keys(NAMES) as (keyof Counts)[]) total[key] += more[key]
}

process.exitCode = await main(process.argv.slice(2))
