import type { InteropServer } from './interop-server.ts'

/** An account as a client logs in to it. */
export interface Credentials {
  readonly user: string
  readonly password: string
  readonly resource: string
  /** In-band, by a name and a password. */
  readonly register: boolean
}

/** A device of somebody: a program that nobody here wrote, logged in. Addresses are bare; each wait has its end. */
export interface Device {
  readonly jid: string
  /** Adds a contact and asks for its presence. */
  adds(contact: string): Promise<void>
  /** Waits for a contact's request and grants it. */
  accepts(contact: string): Promise<void>
  /** Waits until both see each other's presence. */
  hasFriend(contact: string): Promise<void>
  /** Waits until a contact is shown as available. */
  sees(contact: string): Promise<void>
  /** Waits until a contact is shown as gone. */
  misses(contact: string): Promise<void>
  says(to: string, body: string): Promise<void>
  /** Waits for a message. */
  hears(from: string, body: string): Promise<void>
  /** Waits until the server was told that everything heard so far has come; a program that shows it to nobody does not wait. */
  takes(): Promise<void>
  /** What has come so far, as often as it came. */
  heard(body: string): Promise<number>
  /** Logs out and waits until the program has ended. */
  leaves(): Promise<void>
  /** Ends the program, however it stands. */
  stop(): Promise<void>
}

export type Login = (server: InteropServer, credentials: Credentials) => Promise<Device>
