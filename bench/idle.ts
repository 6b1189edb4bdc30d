import { benchOptions } from './options.ts'
import { publish, spread, table } from './report.ts'
import { afterRestarts } from './side-by-side.ts'
import { figure } from './xload.ts'

/** Before the first session, since a start leaves something to tidy up. */
const REST_MS = 3_000

/**
 * Resident memory of idle sessions with stream management, beside the peers, each in a process that was started with the accounts
 * in place. Options as `chat`, and `--clients N --settle S`; the settling time passes after each half of the sessions.
 */
export async function run(args: readonly string[]): Promise<void> {
  const options = benchOptions('idle', args, { clients: '2000', settle: '10' }, { rounds: 3, secs: 5 })
  const { clients = '2000', settle = '10' } = options.rest
  const work = ['--mode', 'idle', '--sm', '--clients', clients, '--settle', settle]
  const { rounds, foot } = await afterRestarts(options, Number(clients), REST_MS, work)
  const of = (server: string, name: string): number[] =>
    rounds.filter((r) => r.server === server).map((r) => figure(r.figures, name))
  const mib = (server: string, name: string): string =>
    spread(
      of(server, name).map((kib) => kib / 1024),
      0,
    )
  const rows = options.servers.map((server) => [
    server,
    spread(of(server, 'rss_kib_per_conn')),
    spread(of(server, 'pss_kib_per_conn')),
    spread(of(server, 'rss_kib_per_later_conn')),
    mib(server, 'base_rss_kib'),
    mib(server, 'rss_kib'),
    spread(of(server, 'server_cpu_pct'), 1),
    String(of(server, 'disconnects').reduce((a, b) => a + b, 0)),
  ])
  const head = [
    'server',
    'RSS KiB per session',
    'PSS KiB per session',
    'RSS KiB, second half',
    'RSS MiB before',
    'RSS MiB with all',
    'CPU % while idle',
    'disconnects',
  ]
  const how = `Each server was given its accounts, stopped, and started anew for each round; measured ${settle} s after the last login.`
  await publish([`# ${clients} idle sessions beside the peers`, table(head, rows), how, foot].join('\n\n'), options.out)
}
