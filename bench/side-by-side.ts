import type { BenchOptions } from './options.ts'
import { benchFolder, DOMAIN, machine, type Running, removeFolder, startServer } from './servers.ts'
import { buildXload, type Figures, xload } from './xload.ts'

export interface Round {
  readonly server: string
  readonly figures: Figures
}

/** Options of the generator that hold for every run. */
const COMMON = ['--domain', DOMAIN, '--conc', '4', '--pass', 'password%d']

/**
 * Starts the servers beside each other, makes accounts, and runs the work on one after the other, round by round, in an order
 * that changes so that none is always first. Stops them whatever happens.
 */
export async function sideBySide(
  options: BenchOptions,
  users: number,
  work: (server: Running) => readonly string[],
): Promise<{ readonly rounds: readonly Round[]; readonly foot: string }> {
  await buildXload()
  const folder = await benchFolder()
  const running: Running[] = []
  try {
    for (const name of options.servers) {
      const server = await startServer(name, {
        cpus: options.serverCpus,
        folder,
        ...(options.checkout === undefined ? {} : { checkout: options.checkout }),
      })
      running.push(server)
      const args = ['--mode', 'register', '--users', String(users), ...COMMON]
      await xload([...args, '--port', String(server.port)], options.loadCpus)
    }
    const rounds: Round[] = []
    for (let round = 0; round < options.rounds; round++) {
      const turn = round % running.length
      for (const server of [...running.slice(turn), ...running.slice(0, turn)]) {
        const args = [
          ...COMMON,
          '--port',
          String(server.port),
          '--pid',
          String(server.pid),
          '--warmup',
          String(options.warmup),
        ]
        const figures = await xload([...args, '--secs', String(options.secs), ...work(server)], options.loadCpus)
        rounds.push({ server: server.name, figures })
        process.stderr.write(`round ${round + 1} of ${options.rounds}: ${server.name} done\n`)
      }
    }
    return { rounds, foot: foot(options, running) }
  } finally {
    for (const server of running) await server.stop()
    await removeFolder(folder)
  }
}

function foot(options: BenchOptions, running: readonly Running[]): string {
  const pins = `server on processor ${options.serverCpus ?? 'any'}, generator on ${options.loadCpus ?? 'any'}`
  return [
    `Command: \`${options.command}\``,
    `Machine: ${machine()}; ${pins}.`,
    `Servers: ${running.map((s) => `${s.name} ${s.version}`).join(', ')}; archive off, each on its own embedded store, TLS by STARTTLS, P-256.`,
    `${options.rounds} rounds of ${options.secs} s after ${options.warmup} s of warming up, servers in turn; median (lowest to highest). CPU is that of all processes that serve.`,
  ].join('\n\n')
}
