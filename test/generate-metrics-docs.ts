import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { startTestServers } from './helpers/test-server.ts'

export const METRICS_PAGE = 'docs/metrics.md'

interface Shown {
  readonly name: string
  readonly help: string
  readonly type: string
}

/** What a running server says of its own metrics; those of the process are prom-client's, and not listed. */
export async function metricsPage(): Promise<string> {
  const servers = await startTestServers(1)
  try {
    const response = await fetch(`http://127.0.0.1:${servers.servers[0]?.opsPort}/metrics`)
    return pageOf(shownIn(await response.text()))
  } finally {
    await servers.stop()
  }
}

function shownIn(text: string): Shown[] {
  const types = new Map<string, string>()
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) types.set(name, type)
  return [...text.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name = '', help = '']) => ({
    name,
    help,
    type: types.get(name) ?? '',
  }))
}

function pageOf(metrics: readonly Shown[]): string {
  const rows = metrics
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`)
  return [
    '# Metrics',
    '',
    'Generated from a running server; `node test/generate-metrics-docs.ts` writes it, a test compares it. They are at `/metrics` of the',
    'ops listener. What their labels say is in [operations.md](operations.md#metrics). Beside these stand the usual ones of a Node',
    'process, `fernruf_process_…` and `fernruf_nodejs_…`: CPU, memory, event-loop lag, garbage collection.',
    '',
    '| Metric | Type | Meaning |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

if (argv[1] === import.meta.filename) writeFileSync(METRICS_PAGE, await metricsPage())
