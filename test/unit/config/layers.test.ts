import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '../../..')

/** Which of these imports the linter forbids in which file: `path: import`. */
function forbidden(files: Readonly<Record<string, readonly string[]>>): string[] {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fernruf-layers-')))
  try {
    const config = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8')) as Record<string, unknown>
    writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...config, vcs: { enabled: false } }))
    for (const [path, imports] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), imports.map((from) => `import '${from}'\n`).join(''))
    }
    const options = ['lint', '--only=style/noRestrictedImports', '--max-diagnostics=none', '--reporter=github']
    const { stdout } = spawnSync(join(ROOT, 'node_modules/.bin/biome'), options, { cwd: folder, encoding: 'utf8' })
    const found = stdout.matchAll(/noRestrictedImports,file=([^,]+),line=(\d+)/g)
    return [...found].map(([, file = '', line]) => {
      const path = relative(folder, file)
      return `${path}: ${files[path]?.[Number(line) - 1]}`
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const ROWS: readonly { readonly path: string; readonly may: readonly string[]; readonly mayNot: readonly string[] }[] =
  [
    { path: 'src/xmpp/a.ts', may: ['./jid.ts', '../util/ticket.ts', 'ltx'], mayNot: ['../contract/hook.ts', 'pg'] },
    {
      path: 'src/account/a.ts',
      may: ['./store.ts', '../xmpp/jid.ts', '../config/units.ts'],
      mayNot: [
        '../xmpp/element.ts',
        '../xmpp/stanza-error.ts',
        '../storage/sql.ts',
        '../config/schema.ts',
        '../keys/directory.ts',
      ],
    },
    {
      path: 'src/features/xep0999-a.ts',
      may: ['../contract/feature.ts', '../roster/roster.ts', '../xmpp/element.ts'],
      mayNot: [
        './xep0199-ping.ts',
        '../storage/sql.ts',
        '../stream/stream.ts',
        '../net/listener.ts',
        '../router/line.ts',
      ],
    },
    {
      path: 'src/storage/postgres/a.ts',
      may: ['../sql.ts', '../../account/store.ts', 'pg'],
      mayNot: ['../../contract/hook.ts', '../../router/line.ts', 'openpgp'],
    },
    {
      path: 'src/router/a.ts',
      may: ['../inbox/inbox.ts', '../contract/hook.ts'],
      mayNot: ['../stream/stream.ts', '../features/index.ts'],
    },
    {
      path: 'src/server.ts',
      may: ['./router/line.ts', './features/index.ts'],
      mayNot: ['./main.ts', './cli/serve.ts', 'pg'],
    },
  ]

test('imports go down only, folder by folder', () => {
  const files = Object.fromEntries(ROWS.map(({ path, may, mayNot }) => [path, [...may, ...mayNot]]))
  const expected = ROWS.flatMap(({ path, mayNot }) => mayNot.map((from) => `${path}: ${from}`))
  assert.deepEqual(forbidden(files).sort(), expected.sort())
})
