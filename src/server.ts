import type { Config } from './config/schema.ts'
import type { Address } from './config/units.ts'
import type { Admin } from './contract/admin.ts'
import { StartError } from './util/start-error.ts'
import type { Domain } from './xmpp/jid.ts'

export interface ListeningAddress {
  readonly kind: 'starttls' | 'direct_tls' | 'ops'
  readonly address: Address
}

/** A server that accepts connections. */
export interface RunningServer {
  readonly domains: readonly Domain[]
  readonly addresses: readonly ListeningAddress[]
  /** Of the server's OpenPGP key, upper-case hex. */
  readonly fingerprint: string
  /** Settles when it has stopped, with what stopped it when nobody asked. */
  readonly closed: Promise<Error | undefined>
  /** Takes over what may change while it runs: certificates and log level. */
  reload(config: Config): Promise<void>
  /** Hands every session over, then stops. */
  close(): Promise<void>
}

/** @throws StartError */
export async function startServer(_config: Config): Promise<RunningServer> {
  throw new StartError('the server is not put together yet')
}

/** The operator's means without a running server: opens the store itself. @throws StartError */
export async function openAdmin(_config: Config): Promise<Admin & { close(): Promise<void> }> {
  throw new StartError('the server is not put together yet')
}
