import type { InteropServer } from './interop-server.ts'
import type { Remembered } from './orders.ts'

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

/** A device that lets itself be asked more than others. */
export interface ProgrammedDevice extends Device {
  /** The address it is bound to. */
  readonly address: string
  /** From now on it sees what the account's other devices say and hear. */
  copies(): Promise<void>
  /** Waits for the copy of a message. */
  overhears(direction: 'sent' | 'received', from: string, body: string): Promise<void>
  /** How many such copies have come so far. */
  overheard(body: string): number
  /** What the archive has with a contact. */
  remembers(contact: string): Promise<readonly Remembered[]>
  /** Finds the upload service and uploads a text. @returns where others get it */
  uploads(file: { readonly name: string; readonly type: string; readonly body: string }): Promise<string>
  /** Loses its connection. It comes back by itself: see `returns`. */
  isCut(): Promise<void>
  /** Waits until it is back, with the stream it had. */
  returns(): Promise<void>
}

export type Login<D extends Device = Device> = (server: InteropServer, credentials: Credentials) => Promise<D>
