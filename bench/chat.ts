import { type BenchOptions, benchOptions } from './options.ts'
import { median, publish, spread, table } from './report.ts'
import { type Round, sideBySide } from './side-by-side.ts'
import { figure } from './xload.ts'

/**
 * Chat between pairs of online devices, beside the peers. Options: `--servers a,b --rounds N --secs S --warmup S --pairs N
 * --windows 1,16 --body N --out FILE --server-cpus 0 --load-cpus 1 --checkout FOLDER`; with `--rate N` so many messages a second
 * instead of as many as a window lets through.
 */
export async function run(args: readonly string[]): Promise<void> {
  const options = benchOptions(
    'chat',
    args,
    { pairs: '100', windows: '1,16', body: '200', rate: '' },
    { rounds: 5, secs: 8 },
  )
  const { pairs = '100', windows = '1,16', body = '200', rate = '' } = options.rest
  const parts = ['# Chat beside the peers', `${pairs} pairs, bodies of ${body} bytes, XEP-0198 with \`<r/>\` every 5.`]
  let last = ''
  const paces =
    rate === ''
      ? windows
          .split(',')
          .map((window) => ({ title: `Window ${window}`, args: ['--mode', 'chat', '--window', window] }))
      : [{ title: `${rate} messages a second`, args: ['--mode', 'rate', '--rate', rate] }]
  for (const { title, args: pace } of paces) {
    const work = [...pace, '--sm', '--pairs', pairs, '--body', body]
    const { rounds, foot } = await sideBySide(options, Number(pairs) * 2, () => work)
    parts.push(`## ${title}`, chatTable(options, rounds))
    last = foot
  }
  await publish([...parts, last].join('\n\n'), options.out)
}

function chatTable(options: BenchOptions, rounds: readonly Round[]): string {
  const of = (server: string, name: string): number[] =>
    rounds.filter((r) => r.server === server).map((r) => figure(r.figures, name))
  const cpu = (server: string): number => median(of(server, 'server_us_per_msg'))
  const rows = options.servers.map((server) => [
    server,
    spread(of(server, 'server_us_per_msg')),
    options.servers.includes('fernruf') ? `${(cpu(server) / cpu('fernruf')).toFixed(2)}` : '',
    spread(of(server, 'delivered_per_s'), 0),
    spread(of(server, 'lat_p50_us').map((us) => us / 1000)),
    spread(of(server, 'lat_p99_us').map((us) => us / 1000)),
    String(of(server, 'lost').reduce((a, b) => a + b, 0)),
  ])
  return table(['server', 'CPU µs per message', '× fernruf', 'messages/s', 'p50 ms', 'p99 ms', 'lost'], rows)
}
