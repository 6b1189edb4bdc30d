import { benchOptions } from './options.ts'
import { publish, spread, table } from './report.ts'
import { sideBySide } from './side-by-side.ts'
import { figure } from './xload.ts'

/**
 * Resident memory of idle sessions with stream management, beside the peers. Options as `chat`, and `--clients N --settle S`.
 * One round by default: memory is not given back, so a second on the same process says less.
 */
export async function run(args: readonly string[]): Promise<void> {
  const options = benchOptions('idle', args, { clients: '2000', settle: '5' }, { rounds: 1, secs: 3 })
  const { clients = '2000', settle = '5' } = options.rest
  const work = ['--mode', 'idle', '--sm', '--clients', clients, '--settle', settle]
  const { rounds, foot } = await sideBySide(options, Number(clients), () => work)
  const of = (server: string, name: string): number[] =>
    rounds.filter((r) => r.server === server).map((r) => figure(r.figures, name))
  const rows = options.servers.map((server) => [
    server,
    spread(of(server, 'rss_kib_per_conn')),
    spread(of(server, 'pss_end_kib_per_conn')),
    spread(
      of(server, 'base_rss_kib').map((kib) => kib / 1024),
      0,
    ),
    spread(of(server, 'server_cpu_pct'), 1),
    String(of(server, 'disconnects').reduce((a, b) => a + b, 0)),
  ])
  const head = [
    'server',
    'RSS KiB per session',
    'PSS KiB per session at the end',
    'RSS MiB before',
    'CPU % while idle',
    'disconnects',
  ]
  await publish([`# ${clients} idle sessions beside the peers`, table(head, rows), foot].join('\n\n'), options.out)
}
