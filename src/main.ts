import { readFileSync } from 'node:fs'
import { type Call, type ExitCode, overview, parse, UsageError } from './cli/args.ts'
import { COMMANDS } from './cli/commands.ts'
import { ConfigError } from './config/faults.ts'
import { AdminError } from './contract/admin.ts'
import { StartError } from './util/start-error.ts'

const print = (line: string): void => void process.stdout.write(`${line}\n`)
const complain = (line: string): void => void process.stderr.write(`${line}\n`)

/** Runs what was typed. Exit codes: 0 as asked, 1 failed at run time, 2 bad config, arguments or environment. */
async function main(typed: readonly string[]): Promise<ExitCode> {
  try {
    if (typed[0] === '--version') return say(version())
    if (typed[0] === '--help' || typed[0] === '-h' || typed[0] === 'help') return say(overview(COMMANDS))
    const { command, ...rest } = parse(COMMANDS, typed[0]?.startsWith('-') !== false ? ['serve', ...typed] : typed)
    if (rest.options.help === true) return say(`fernruf ${command.usage}\n  ${command.help}`)
    const call: Call = { ...rest, env: process.env, print, complain }
    return await command.run(call)
  } catch (error) {
    return tell(error)
  }
}

function say(text: string): 0 {
  print(text)
  return 0
}

/** What went wrong as one plain line; only what nobody foresaw has a stack. */
function tell(error: unknown): ExitCode {
  if (error instanceof ConfigError) for (const line of error.lines) complain(line)
  else if (error instanceof UsageError || error instanceof StartError) complain(`fernruf: ${error.message}`)
  else if (error instanceof AdminError) complain(`fernruf: ${error.message}`)
  else complain(`fernruf: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  return error instanceof ConfigError || error instanceof UsageError || error instanceof StartError ? 2 : 1
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return `fernruf ${(JSON.parse(text) as { version: string }).version}`
}

// Under `node --watch` workers would report their imports on the port they answer on, and be taken for answers.
delete process.env.WATCH_REPORT_DEPENDENCIES
process.exitCode = await main(process.argv.slice(2))
