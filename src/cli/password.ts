import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { UsageError } from './args.ts'

/** The first line of standard input; on a terminal it is asked for and not shown. @throws UsageError when it is empty */
export async function readPassword(): Promise<string> {
  const isTerminal = process.stdin.isTTY === true
  if (isTerminal) process.stderr.write('Password: ')
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: isTerminal })
  try {
    for await (const line of lines) {
      if (line !== '') return line
      break
    }
  } finally {
    lines.close()
    if (isTerminal) process.stderr.write('\n')
  }
  throw new UsageError('expected a password on standard input')
}
