import { benchOptions } from './options.ts'
import { median, publish, spread, table } from './report.ts'
import { sideBySide } from './side-by-side.ts'
import { figure } from './xload.ts'

/** Logins from TCP to a bound session and back, beside the peers. Options as `chat`, and `--mech SCRAM-SHA-1 --users N`. */
export async function run(args: readonly string[]): Promise<void> {
  const options = benchOptions('login', args, { mech: 'SCRAM-SHA-1', users: '50' }, { rounds: 5, secs: 5 })
  const { mech = 'SCRAM-SHA-1', users = '50' } = options.rest
  const work = ['--mode', 'login', '--mech', mech, '--users', users, '--no-presence']
  const { rounds, foot } = await sideBySide(options, Number(users), () => work)
  const of = (server: string, name: string): number[] =>
    rounds.filter((r) => r.server === server).map((r) => figure(r.figures, name))
  const cpu = (server: string): number => median(of(server, 'server_us_per_login'))
  const rows = options.servers.map((server) => [
    server,
    spread(
      of(server, 'server_us_per_login').map((us) => us / 1000),
      2,
    ),
    options.servers.includes('fernruf') ? (cpu(server) / cpu('fernruf')).toFixed(2) : '',
    spread(of(server, 'logins_per_s'), 0),
    spread(of(server, 'lat_p50_us').map((us) => us / 1000)),
    String(of(server, 'failed').reduce((a, b) => a + b, 0)),
  ])
  const head = ['server', 'CPU ms per login', '× fernruf', 'logins/s', 'p50 ms', 'failed']
  await publish([`# Logins with ${mech} beside the peers`, table(head, rows), foot].join('\n\n'), options.out)
}
