import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import type { Feature, RfcRef, XepRef } from '../src/contract/feature.ts'
import { FEATURES } from '../src/features/index.ts'

/** Pages made from the features' own declarations, by path within the repository. */
export const PAGES: Readonly<Record<string, () => string>> = { 'docs/features.md': () => featuresPage(FEATURES) }

/** One line per specification, one per metric. */
export function featuresPage(features: readonly Feature[]): string {
  const rows = features.flatMap((feature) => [
    ...(feature.rfcs ?? []).map((rfc) => row(feature, rfcLink(rfc), '', rfc)),
    ...feature.xeps.map((xep) => row(feature, xepLink(xep), xep.version, xep)),
  ])
  const metrics = features.flatMap((feature) =>
    Object.values(feature.metrics).map((m) =>
      line(`\`${m.name}\``, m.type, (m.labels ?? []).map((l) => `\`${l}\``).join(', '), m.help),
    ),
  )
  return [
    '# Features',
    '',
    'Generated from `src/features/`; `node test/generate-docs.ts` writes it, a test compares it. Each feature is on with its',
    'defaults; the config section `features.<name>` changes it, `features.<name>: false` switches it off, and with it what needs it.',
    '',
    ...table(['Feature', 'Specification', 'Version', 'Status', 'Note'], rows),
    '',
    '## Metrics of features',
    '',
    ...table(['Metric', 'Type', 'Labels', 'Meaning'], metrics),
    '',
  ].join('\n')
}

function row(feature: Feature, link: string, version: string, ref: Pick<XepRef, 'status' | 'note'>): string {
  return line(`\`${feature.name}\``, link, version, ref.status, ref.note ?? '')
}
function xepLink({ number }: XepRef): string {
  const padded = String(number).padStart(4, '0')
  return `[XEP-${padded}](https://xmpp.org/extensions/xep-${padded}.html)`
}
function rfcLink({ number, section }: RfcRef): string {
  const anchor = section === undefined ? '' : `#section-${section}`
  const text = section === undefined ? `RFC ${number}` : `RFC ${number} section ${section}`
  return `[${text}](https://www.rfc-editor.org/rfc/rfc${number}${anchor})`
}
const line = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const table = (head: readonly string[], rows: readonly string[]): string[] => [
  line(...head),
  line(...head.map(() => '---')),
  ...rows,
]

if (argv[1] === import.meta.filename) {
  for (const [path, page] of Object.entries(PAGES)) writeFileSync(path, page())
}
