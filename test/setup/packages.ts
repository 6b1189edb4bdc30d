import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Something of the machine that tests use, and the Debian package that brings it. */
interface Need {
  readonly package: string
  readonly isThere: () => boolean
}

const program = (name: string) => (): boolean =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/sbin'].some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
const pythonModule = (name: string) => (): boolean => existsSync(`/usr/lib/python3/dist-packages/${name}`)

const NEEDS: readonly Need[] = [
  { package: 'postgresql', isThere: () => postgresFolder() !== undefined },
  { package: 'python3', isThere: () => existsSync('/usr/bin/python3') },
  { package: 'python3-slixmpp', isThere: pythonModule('slixmpp') },
  { package: 'python3-aiohttp', isThere: pythonModule('aiohttp') },
  { package: 'python3-lxml', isThere: pythonModule('lxml') },
  { package: 'profanity', isThere: program('profanity') },
  { package: 'tmux', isThere: program('tmux') },
  { package: 'strace', isThere: program('strace') },
  { package: 'openssl', isThere: program('openssl') },
  { package: 'gpg', isThere: program('gpg') },
  { package: 'dirmngr', isThere: program('dirmngr') },
]

/** Where `initdb` and `postgres` are: Debian keeps them out of PATH, by version. */
export function postgresFolder(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

/**
 * Installs the packages that tests want and the machine lacks: as root on Debian, nowhere else. Says one line for what it does
 * and one for what stays missing. @returns the packages still missing
 */
export function installPackages(say: (line: string) => void): readonly string[] {
  const wanted = missing()
  if (wanted.length === 0) return []
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) aptInstall(wanted, say)
  const left = missing()
  if (left.length > 0) say(`missing, so tests that need it are skipped: ${left.join(', ')} (Debian’s package names)`)
  return left
}

const missing = (): readonly string[] => NEEDS.filter((need) => !need.isThere()).map((need) => need.package)

function aptInstall(packages: readonly string[], say: (line: string) => void): void {
  say(`installing with apt-get: ${packages.join(', ')}`)
  if (packages.includes('postgresql')) keepClustersAway()
  const steps = [
    ['update', '-q'],
    ['install', '-q', '-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold', ...packages],
  ]
  for (const step of steps) {
    const { status, stdout, stderr } = spawnSync('apt-get', step, {
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
    if (status === 0) continue
    say(`apt-get ${step[0]} failed: ${`${stdout}\n${stderr}`.trim().split('\n').slice(-3).join(' | ')}`)
  }
}

/** Debian's package makes and starts a database of its own; the tests want only the programs. */
function keepClustersAway(): void {
  const file = '/etc/postgresql-common/createcluster.conf'
  if (existsSync(file)) return
  mkdirSync('/etc/postgresql-common', { recursive: true })
  writeFileSync(
    file,
    '# Written by the tests of Fernruf, which start a PostgreSQL of their own.\ncreate_main_cluster = false\n',
  )
}
