import { join } from 'node:path'
import { missing, ran } from './shell.ts'

const FOLDER = join(import.meta.dirname, 'peers/xload')

/** What the load generator says: figures by name. See peers/README.md. */
export type Figures = Readonly<Record<string, number | string | readonly number[]>>

/** Builds the generator. @throws Error that says what is missing */
export async function buildXload(): Promise<void> {
  const lacking = await missing(['make', 'cc'])
  if (lacking.length > 0)
    throw new Error(`the load generator needs ${lacking.join(' and ')}: apt-get install gcc make libssl-dev`)
  const { code, stderr } = await ran('make', ['-s', '-C', FOLDER])
  if (code === 0) return
  const hint = stderr.includes('openssl/') ? 'OpenSSL’s headers are missing: apt-get install libssl-dev\n' : ''
  throw new Error(`the load generator does not build:\n${hint}${stderr}`)
}

/** Runs the generator, at a lower priority if one is given. @throws Error when it failed, lost or reordered something */
export async function xload(args: readonly string[], cpus: string | undefined, nice = 0): Promise<Figures> {
  const command = ['nice', '-n', String(nice), join(FOLDER, 'xload'), ...args]
  const [program = '', ...rest] = cpus === undefined ? command : ['taskset', '-c', cpus, ...command]
  const { code, stdout, stderr } = await ran(program, rest)
  if (code !== 0) throw new Error(`xload ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`)
  return JSON.parse(stdout) as Figures
}

/** One figure as a number. @throws Error when the generator did not give it */
export function figure(figures: Figures, name: string): number {
  const value = figures[name]
  if (typeof value !== 'number') throw new Error(`xload gave no ${name}`)
  return value
}
