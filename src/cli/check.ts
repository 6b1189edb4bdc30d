import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { lackingKeys, lackingText } from '../account/data-keys.ts'
import { KeyFileError, OperatorKeys } from '../account/operator-keys.ts'
import { RootSecret, RootSecretError } from '../account/root-secret.ts'
import { type Config, unbuiltSections } from '../config/schema.ts'
import { isAnswered, socketPath } from '../http/admin-socket.ts'
import { openStores, type Stores } from '../storage/open.ts'
import { StoreError } from '../storage/sql.ts'
import { StartError } from '../util/start-error.ts'
import type { Call, Command, ExitCode } from './args.ts'
import { checkDns, checkGateway, checkPorts } from './check-net.ts'
import { checkTls } from './check-tls.ts'
import { configFile, configOf } from './context.ts'
import { type Finding, fault, ok, reasonOf, warning } from './finding.ts'

/** Node's security release of October 2026. */
const SAFE_NODE = [24, 22, 1] as const
/** No clock that is right shows an earlier time: when this was written. */
const EARLIEST = Date.UTC(2026, 10, 23)
const MAX_SKEW_MS = 5_000
const LOW_DISK = 1024 ** 3

export const CHECK: Command = {
  usage: 'check',
  help: 'looks for everything an operator can get wrong, in plain language',
  run: check,
}

/** Ends with 2 when there is a fault; warnings alone end with 0. */
async function check(call: Call): Promise<ExitCode> {
  const config = configOf(call)
  call.print(`ok       config: ${configFile(call)}`)
  const isRunning = await isAnswered(socketPath(config.data_dir))
  const findings = [
    ...checkSections(config),
    ...checkNode(config, process.versions.node),
    ...checkTls(config, Date.now()),
    ...(isRunning ? [ok(`ports: a server is running on ${config.data_dir}`)] : await checkPorts(config)),
    ...checkFolder(config.data_dir),
    ...(config.http.public === undefined || config.uploads.folder === undefined
      ? []
      : checkFolder(config.uploads.folder, 'uploads.folder')),
    ...(await checkSecret(config)),
    ...(await checkKeyFile(config)),
    ...(isRunning && config.database === undefined
      ? [ok('store: in use by the running server')]
      : await checkStore(config)),
    ...checkClock(Date.now()),
    ...(await checkGateway(config)),
    ...(await checkDns(config)),
  ]
  for (const { verdict, text } of findings) call.print(`${verdict.padEnd(9)}${text}`)
  return findings.some((finding) => finding.verdict === 'fault') ? 2 : 0
}

function checkSections(config: Config): Finding[] {
  return unbuiltSections(config).map((name) => warning(`${name}: not built yet, ignored`))
}

/** @param version as `process.versions.node` tells it */
export function checkNode(config: Pick<Config, 'environment'>, version: string): Finding[] {
  const parts = version.split('.').map(Number)
  const at = SAFE_NODE.findIndex((wanted, i) => parts[i] !== wanted)
  const isSafe = at === -1 || (parts[at] ?? 0) > (SAFE_NODE[at] ?? 0)
  if (isSafe || config.environment !== 'production') return [ok(`node: ${version}`)]
  return [warning(`node: ${version} lacks security fixes; run production on ${SAFE_NODE.join('.')} or later`)]
}

/** The folder, or the nearest one above it that exists, must be ours to write. */
export function checkFolder(dataDir: string, key = 'data_dir'): Finding[] {
  let folder = resolve(dataDir)
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder)
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    const { bavail, bsize } = statfsSync(folder)
    const isOpen = folder === resolve(dataDir) && (statSync(folder).mode & 0o007) !== 0
    return [
      ok(`${key}: ${dataDir} can be written`),
      ...(isOpen ? [warning(`${key}: ${dataDir} is open to everybody on this machine; chmod 700`)] : []),
      ...(bavail * bsize < LOW_DISK ? [warning(`${key}: less than 1 GiB is free on its disk`)] : []),
    ]
  } catch (error) {
    return [fault(`${key}: ${dataDir} cannot be written (${reasonOf(error)})`)]
  }
}

async function checkSecret(config: Config): Promise<Finding[]> {
  const path = config.secret_file
  if (path === undefined) {
    return config.database === undefined
      ? []
      : [warning('secret_file: none given; processes that share this database need the same one')]
  }
  try {
    await RootSecret.open(path, { make: false })
    return [
      ok(`secret_file: ${path} can be read`),
      ...((statSync(path).mode & 0o004) === 0
        ? []
        : [warning(`secret_file: ${path} can be read by everybody; chmod 640 or less`)]),
    ]
  } catch (error) {
    return [fault(`secret_file: ${error instanceof RootSecretError ? error.message : reasonOf(error)}`)]
  }
}

/** The operator's keys for encryption at rest; whether they are the right ones, the store tells. */
export async function checkKeyFile({ inbox }: Pick<Config, 'inbox'>): Promise<Finding[]> {
  const path = inbox.encryption?.key_file
  if (path === undefined) return []
  try {
    await OperatorKeys.open(path)
    return [ok(`inbox.encryption.key_file: ${path} can be read`)]
  } catch (error) {
    return [fault(`inbox.encryption.key_file: ${path} ${error instanceof KeyFileError ? error.text : reasonOf(error)}`)]
  }
}
/** A key file that cannot be read is told by `checkKeyFile`; before the migrations there is nothing sealed. */
async function checkSealed({ inbox }: Config, { dataKeys }: Stores): Promise<Finding[]> {
  const path = inbox.encryption?.key_file
  const operatorKeys = path === undefined ? undefined : await OperatorKeys.open(path).catch(() => 'faulty' as const)
  if (operatorKeys === 'faulty') return []
  const lacking = await lackingKeys(dataKeys, operatorKeys).catch(() => [])
  if (lacking.length > 0) return [fault(lackingText(lacking, path))]
  return path === undefined ? [] : [ok('inbox.encryption: its keys are those of the store')]
}

/** Reachable, how far its migrations are, and whether its clock agrees with ours. */
async function checkStore(config: Config): Promise<Finding[]> {
  const isEmbedded = config.database === undefined
  // The embedded store is not made by a look at it.
  if (isEmbedded && !existsSync(resolve(config.data_dir, 'fernruf.db')))
    return [ok('store: will be made at the first start')]
  try {
    const stores = await openAsIs(config)
    const { database } = stores
    try {
      const sent = Date.now()
      const [row] = isEmbedded
        ? []
        : await database.query<{ ms: number }>('select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms')
      const skew = row === undefined ? 0 : Math.abs(row.ms - (sent + Date.now()) / 2)
      const wanted = migrationsOf(database.dialect)
      const applied = await database.query<{ name: string }>('select name from migration').catch(() => [])
      const missing = wanted.filter((name) => !applied.some((done) => done.name === name))
      return [
        ok(`store: ${isEmbedded ? `${config.data_dir}/fernruf.db` : 'the database'} answers`),
        missing.length === 0
          ? ok('store: all migrations are applied')
          : warning(`store: ${missing.length} migrations are to be applied; serve does it, or fernruf migrate`),
        ...(skew > MAX_SKEW_MS
          ? [warning(`clock: this machine and the database are ${Math.round(skew / 1000)} s apart`)]
          : []),
        ...(await checkSealed(config, stores)),
      ]
    } finally {
      await stores.close()
    }
  } catch (error) {
    if (error instanceof StartError) return [fault(error.message)]
    const cause = error instanceof StoreError ? error.cause : error
    return [fault(`database.url: the database does not answer (${reasonOf(cause)})`)]
  }
}

/** The database as it is, without migrations. @throws StartError */
function openAsIs(config: Config): Promise<Stores> {
  return openStores({ databaseUrl: config.database?.url.reveal(), dataDir: config.data_dir, connections: 1 })
}

const migrationsOf = (dialect: string): string[] =>
  readdirSync(new URL(`../../schema/${dialect}/`, import.meta.url))
    .filter((file) => /^\d{4}-.*\.sql$/.test(file))
    .map((file) => file.slice(0, -'.sql'.length))

/** Certificates, tokens and time stamps all need the time. */
export function checkClock(now: number): Finding[] {
  if (now >= EARLIEST) return [ok(`clock: ${new Date(now).toISOString()}`)]
  return [fault(`clock: ${new Date(now).toISOString()} cannot be right`)]
}
