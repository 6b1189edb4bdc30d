import type { Config } from '../config/schema.ts'
import { unbuiltSections } from '../config/schema.ts'
import { type Address, formatAddress } from '../config/units.ts'
import { type RunningServer, startServer } from '../server.ts'
import type { Call, Command, ExitCode } from './args.ts'
import { configFile, configOf } from './context.ts'

/** Until then a repeated signal is taken for the same Ctrl-C: npm and a terminal both pass it on. */
const SAME_SIGNAL_MS = 1_000
/** Time for what is still open after a graceful stop. */
const LINGER_MS = 2_000

export const SERVE: Command = { usage: 'serve', help: 'runs the server until SIGTERM or SIGINT', run: serve }

async function serve(call: Call): Promise<ExitCode> {
  const config = configOf(call)
  // People read standard output; where it carries JSON lines, they get standard error.
  const say = config.log.format === 'pretty' ? call.print : call.complain
  const unbuilt = unbuiltSections(config)
  if (unbuilt.length > 0) say(`not built yet, ignored: ${unbuilt.join(', ')}`)
  const stop = stopSignal()
  const server = await startServer(config)
  const reload = (): void => void reloadConfig(call, server)
  process.on('SIGHUP', reload)
  for (const line of welcome(config, configFile(call), server)) say(line)
  call.print(readyLine(server))
  const error = await Promise.race([stop, server.closed])
  process.off('SIGHUP', reload)
  if (error !== undefined) {
    call.complain(`fernruf: stopped by itself: ${error.message}`)
    return 1
  }
  say('stopping')
  await server.close()
  say('stopped')
  setTimeout(() => process.exit(0), LINGER_MS).unref()
  return 0
}

/** Settles at the first SIGTERM or SIGINT. A later one, by somebody who does not want to wait, ends the process at once. */
function stopSignal(): Promise<undefined> {
  return new Promise((resolve) => {
    let first: number | undefined
    const onSignal = (): void => {
      const now = performance.now()
      first ??= now
      if (now - first > SAME_SIGNAL_MS) process.exit(1)
      resolve(undefined)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

async function reloadConfig(call: Call, server: RunningServer): Promise<void> {
  try {
    await server.reload(configOf(call))
  } catch (error) {
    call.complain(
      `fernruf: reload failed, everything stays as it was: ${error instanceof Error ? error.message : error}`,
    )
  }
}

/** What a newcomer wants to know, in plain words. */
export function welcome(config: Config, file: string, server: RunningServer): string[] {
  const at = (kind: string): string =>
    server.addresses
      .filter((listening) => listening.kind === kind)
      .map((listening) => formatAddress(listening.address))
      .join(' ') || 'none'
  const [domain] = server.domains
  const ops = server.addresses.find((listening) => listening.kind === 'ops')?.address
  return [
    '',
    `Fernruf serves ${server.domains.join(', ')}`,
    `  STARTTLS       ${at('starttls')}`,
    `  direct TLS     ${at('direct_tls')}`,
    ...(config.http.public === undefined ? [] : [`  HTTP           ${webAt(config, server)}`]),
    ...(ops === undefined ? [] : [`  metrics        ${metricsUrl(ops)}`]),
    `  data           ${config.database === undefined ? config.data_dir : `PostgreSQL, and ${config.data_dir}`}`,
    `  config         ${file}`,
    `  server key     ${server.fingerprint}`,
    ...(config.tls === undefined ? ['  certificate    self-signed: clients will ask whether to trust it'] : []),
    '',
    ...waysIn(config, domain ?? ''),
    '',
  ]
}

/** How others reach it, and where it listens. */
function webAt({ http }: Config, server: RunningServer): string {
  const listening = server.addresses.filter(({ kind }) => kind === 'http' || kind === 'https')
  const where = listening.map(({ kind, address }) => `${kind}://${formatAddress(address)}`).join(' ')
  return http.public?.url === undefined ? where : `${http.public.url} (${where})`
}

function metricsUrl(address: Address): string {
  return `http://${formatAddress(address)}/metrics`
}

function waysIn(config: Config, domain: string): string[] {
  const { registration } = config.account
  return [
    `To make an account: npm run fernruf -- account add NAME@${domain}`,
    ...(registration.includes('open') ? ['  or register a name and password with any XMPP client.'] : []),
    ...(registration.includes('sms')
      ? ['  or register a phone number with any XMPP client that shows forms, or Kontalk.']
      : []),
    ...(registration.includes('sms') && config.sms?.provider === 'console' ? ['SMS codes appear here.'] : []),
  ]
}

/** For scripts: `ready starttls=127.0.0.1:5222,127.0.0.1:5999 direct_tls=127.0.0.1:5223 http=127.0.0.1:5280 ops=127.0.0.1:9090`. */
export function readyLine(server: Pick<RunningServer, 'addresses'>): string {
  const kinds = Map.groupBy(server.addresses, (listening) => listening.kind)
  const words = [...kinds].map(([kind, list]) => `${kind}=${list.map((l) => formatAddress(l.address)).join(',')}`)
  return ['ready', ...words].join(' ')
}
