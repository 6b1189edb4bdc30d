import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/** What was typed cannot be understood; the program ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Ends the program with this code; what there was to say has been said. */
export type ExitCode = 0 | 1 | 2

/** A command's arguments, and where it reads and writes. */
export interface Call {
  readonly positionals: readonly string[]
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** A line on standard output. */
  readonly print: (line: string) => void
  /** A line on standard error. */
  readonly complain: (line: string) => void
}

export interface Command {
  /** As typed: words, then the names of its arguments in capitals; those in brackets may be left out. */
  readonly usage: string
  readonly help: string
  readonly options?: ParseArgsOptionsConfig
  readonly run: (call: Call) => Promise<ExitCode>
}

const COMMON: ParseArgsOptionsConfig = { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } }

const wordsOf = (command: Command): string[] => command.usage.split(' ').filter((word) => /^[a-z-]+$/.test(word))
const argumentsOf = (command: Command): string[] =>
  command.usage.split(' ').filter((word) => /^\[?[A-Z]+\]?$/.test(word))

/** The command that was typed, with its arguments. @throws UsageError */
export function parse(
  commands: readonly Command[],
  typed: readonly string[],
): { readonly command: Command } & Pick<Call, 'positionals' | 'options'> {
  const command = find(commands, typed)
  const rest = typed.slice(wordsOf(command).length)
  const { values, positionals } = parsed(rest, { ...COMMON, ...command.options })
  const names = argumentsOf(command)
  const needed = names.filter((name) => !name.startsWith('[')).length
  const isRight = values.help === true || (positionals.length >= needed && positionals.length <= names.length)
  if (!isRight) throw new UsageError(`expected: fernruf ${command.usage}`)
  return { command, positionals, options: values as Call['options'] }
}

function find(commands: readonly Command[], typed: readonly string[]): Command {
  const words = typed.filter((word) => !word.startsWith('-'))
  const found = commands.find((command) => wordsOf(command).every((word, i) => typed[i] === word))
  if (found !== undefined) return found
  const siblings = commands.filter((command) => wordsOf(command)[0] === words[0])
  if (siblings.length === 0)
    throw new UsageError(`there is no command ${words[0] ?? typed[0] ?? ''}; fernruf --help lists them`)
  throw new UsageError(`expected one of: ${siblings.map((command) => `fernruf ${command.usage}`).join(', ')}`)
}

function parsed(args: string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error))
  }
}

/** All commands, one a line. */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.usage.length)) + 2
  return [
    'fernruf: an XMPP server in which a phone number becomes the account and an OpenPGP key is the login.',
    '',
    ...commands.map((command) => `  fernruf ${command.usage.padEnd(width)}${command.help}`),
    '',
    'Each takes --config FILE (else FERNRUF_CONFIG, else config/dev.yaml). fernruf --version tells the version.',
  ].join('\n')
}
