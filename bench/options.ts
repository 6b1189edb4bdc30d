import { parseArgs } from 'node:util'
import { SERVER_NAMES, type ServerName } from './servers.ts'

export interface BenchOptions {
  readonly servers: readonly ServerName[]
  readonly rounds: number
  /** Seconds measured in each run. */
  readonly secs: number
  readonly warmup: number
  /** Processors of the server and of the generator; undefined: not pinned. */
  readonly serverCpus: string | undefined
  readonly loadCpus: string | undefined
  readonly checkout: string | undefined
  /** Archives on, on all servers. */
  readonly archive: boolean
  /** PostgreSQL for those who can (Prosody cannot here), instead of each server's own embedded store. */
  readonly postgres: boolean
  /** File for the report. */
  readonly out: string | undefined
  /** The command, for the report. */
  readonly command: string
  readonly rest: Readonly<Record<string, string | undefined>>
}

/** Reads the options all side-by-side benches share. @throws Error for one that is wrong */
export function benchOptions(
  name: string,
  args: readonly string[],
  own: Readonly<Record<string, string>>,
  defaults: { readonly rounds: number; readonly secs: number },
): BenchOptions {
  const known = [
    'servers',
    'rounds',
    'secs',
    'warmup',
    'server-cpus',
    'load-cpus',
    'checkout',
    'archive',
    'store',
    'out',
  ]
  const names = [...known, ...Object.keys(own)]
  const { values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(names.map((n) => [n, { type: 'string' as const }])),
  })
  const given = values as Readonly<Record<string, string | undefined>>
  const servers = (given.servers ?? SERVER_NAMES.join(',')).split(',')
  for (const s of servers) if (!SERVER_NAMES.includes(s as ServerName)) throw new Error(`--servers: no server ${s}`)
  return {
    servers: servers as ServerName[],
    rounds: positive(given.rounds, defaults.rounds, '--rounds'),
    secs: positive(given.secs, defaults.secs, '--secs'),
    warmup: positive(given.warmup, 2, '--warmup'),
    serverCpus: pin(given['server-cpus'], '0'),
    loadCpus: pin(given['load-cpus'], '1'),
    checkout: given.checkout,
    archive: oneOf(given.archive, ['off', 'on'], '--archive') === 'on',
    postgres: oneOf(given.store, ['embedded', 'postgres'], '--store') === 'postgres',
    out: given.out,
    command: `npm run bench -- ${[name, ...args].join(' ')}`,
    rest: { ...own, ...given },
  }
}

/** The first is the default. @throws Error */
function oneOf(text: string | undefined, words: readonly [string, string], option: string): string {
  const word = text ?? words[0]
  if (!words.includes(word)) throw new Error(`${option}: expected ${words.join(' or ')}, got ${word}`)
  return word
}

/** @throws Error when it is no positive number */
export function positive(text: string | undefined, fallback: number, option: string): number {
  const value = text === undefined ? fallback : Number(text)
  if (!(value > 0)) throw new Error(`${option}: expected a positive number, got ${text}`)
  return value
}

const pin = (text: string | undefined, fallback: string): string | undefined =>
  text === 'none' ? undefined : (text ?? fallback)
