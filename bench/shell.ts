import { execFile, spawn } from 'node:child_process'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. @throws Error when it cannot be started */
export function ran(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>>; readonly timeoutMs?: number } = {},
): Promise<Ran> {
  const settings = {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 600_000,
    maxBuffer: 16 * 1024 * 1024,
  }
  return new Promise((resolve, reject) => {
    execFile(program, [...args], settings, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') reject(error)
      else resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
  })
}

/** Runs a program whose background children keep its output open; settles when the program itself has ended. */
export function launched(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

/** Programs of the list that are not installed. */
export async function missing(programs: readonly string[]): Promise<string[]> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const found = await Promise.all(
    programs.map(async (program) => {
      const hits = await Promise.allSettled(folders.map((folder) => access(join(folder, program))))
      return hits.some((hit) => hit.status === 'fulfilled')
    }),
  )
  return programs.filter((_, i) => found[i] === false)
}
