import { createInterface } from 'node:readline'

/** What the test tells a client's program, one JSON object per line on its standard input. */
export type Order =
  | {
      readonly do: 'login'
      readonly port: number
      readonly tlsPort: number
      readonly domain: string
      readonly user: string
      readonly password: string
      readonly resource: string
      /** Makes the account first, on the same stream. */
      readonly register: boolean
    }
  /** Fills in the form with a number and nothing else, then waits for `code`. */
  | {
      readonly do: 'phone'
      readonly port: number
      readonly tlsPort: number
      readonly domain: string
      readonly phone: string
      readonly password: string
    }
  | { readonly do: 'code'; readonly code: string }
  | { readonly do: 'add' | 'accept'; readonly jid: string }
  | { readonly do: 'say'; readonly to: string; readonly body: string }
  /** Logs in, out and in again, loses its connection and comes back. */
  | {
      readonly do: 'reconnect'
      readonly port: number
      readonly domain: string
      readonly user: string
      readonly password: string
    }
  /** Asks for copies of what the account's other devices say and hear. */
  | { readonly do: 'copies' }
  /** Reads what the archive has with a contact, two messages at a time. */
  | { readonly do: 'history'; readonly with: string }
  /** Finds the upload service by itself and uploads a text. */
  | { readonly do: 'upload'; readonly name: string; readonly type: string; readonly body: string }
  /** Looks for an account's OpenPGP keys as XEP-0373 has it: the list, then each key. */
  | { readonly do: 'keys'; readonly of: string }
  /** Loses its connection, without a word, and comes back by itself. */
  | { readonly do: 'cut' }
  | { readonly do: 'leave' }

/** A message that the archive has. */
export interface Remembered {
  readonly id: string
  readonly from: string
  readonly body: string
}
/** What the program tells, one JSON object per line on its standard output; addresses are as they came. */
export type Event =
  | { readonly is: 'online'; readonly jid: string }
  /** The server wants more: the fields that its form asks for. */
  | { readonly is: 'asked'; readonly condition: string; readonly text: string; readonly fields: readonly string[] }
  | { readonly is: 'registered'; readonly user: string }
  | { readonly is: 'contact'; readonly jid: string; readonly subscription: string }
  | { readonly is: 'request'; readonly from: string }
  | { readonly is: 'presence'; readonly from: string; readonly available: boolean }
  | { readonly is: 'message'; readonly from: string; readonly body: string; readonly delayed: boolean }
  | { readonly is: 'copying' | 'cut' | 'resumed' }
  | {
      readonly is: 'copy'
      readonly direction: 'sent' | 'received'
      readonly from: string
      readonly to: string
      readonly body: string
    }
  /** Where others get it. */
  | { readonly is: 'uploaded'; readonly url: string }
  | { readonly is: 'history'; readonly messages: readonly Remembered[] }
  /** By fingerprint, in base64; none, with the condition, where there is no list. */
  | { readonly is: 'keys'; readonly keys: Readonly<Record<string, string>>; readonly error?: string }
  /** The server asked what has come, and was told. */
  | { readonly is: 'acknowledged' }
  /** A login went through: how, and what came of it. */
  | {
      readonly is: 'session'
      readonly number: number
      readonly mechanism: string
      readonly outcome: 'bound' | 'resumed'
      readonly jid: string
    }
  | { readonly is: 'failed'; readonly why: string }

export function tell(event: Event): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

/** Obeys one order after the other; a failing one is told and ends the program, as does the end of its input. */
export async function obey(act: (order: Order) => Promise<void>): Promise<unknown> {
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      const order = JSON.parse(line) as Order
      await act(order)
      if (order.do === 'leave') return process.stdin.destroy()
    }
  } catch (error) {
    tell({ is: 'failed', why: error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error) })
  }
  process.exit(1)
}
