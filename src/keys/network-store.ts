import type { Domain } from '../xmpp/jid.ts'

/** Another server of the network. */
export interface NetworkServer {
  readonly domain: Domain
  /** Of its OpenPGP key, 40 upper-case hex. */
  readonly fingerprint: string
}

/** Table `network_server`. */
export interface NetworkStore {
  /** Adds it, or replaces its fingerprint; false when there would be more than `max`. */
  put(server: NetworkServer, at: number, max: number): Promise<boolean>
  /** Whether it was there. */
  remove(domain: Domain): Promise<boolean>
  /** In the order of their domains. */
  list(): Promise<readonly NetworkServer[]>
}
