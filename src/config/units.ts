import { isIP } from 'node:net'
import { inspect } from 'node:util'
import { z } from 'zod'
import { type BareJid, isFull, localOf, parseJid, prepareDomain } from '../xmpp/jid.ts'

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** `15m` → 900000; undefined when it is no duration. */
export function parseDuration(text: string): number | undefined {
  return scaled(text, MS)
}

/** `256KiB` → 262144; undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  return scaled(text, BYTES)
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^(\d{1,15})([a-zA-Z]{1,3})$/.exec(text) ?? []
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined
  const value = Number(digits) * (units[unit] ?? Number.NaN)
  return Number.isSafeInteger(value) ? value : undefined
}

/** At most `count` within any `perMs` milliseconds. */
export interface Rate {
  readonly count: number
  readonly perMs: number
}

/** `5/1h` → five an hour; undefined when it is no rate. */
export function parseRate(text: string): Rate | undefined {
  const [, digits, per] = /^(\d{1,9})\/(\w{1,18})$/.exec(text) ?? []
  const perMs = per === undefined ? undefined : parseDuration(per)
  if (digits === undefined || perMs === undefined || perMs === 0) return undefined
  return { count: Number(digits), perMs }
}

/** The address of an account; undefined when it is none. */
function parseAccount(text: string): BareJid | undefined {
  const jid = parseJid(text)
  return jid === undefined || localOf(jid) === undefined || isFull(jid) ? undefined : (jid as BareJid)
}

/** Where to listen. */
export interface Address {
  /** An IP address without brackets, or a name. */
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

/** `[::]:5222`, `127.0.0.1:5222` or `localhost:5222`; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  const [, six, four, digits] = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^[\]:/\s]{1,253})):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const host = six ?? four
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

/** The opposite of `parseAddress`. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** `10.0.0.0/8`, `::1` or `2001:db8::/32`; undefined when it is neither an address nor a network. */
export function parseNetwork(text: string): string | undefined {
  const [address = '', bits, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return undefined
  if (bits === undefined) return text
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128) ? text : undefined
}

/** A value that shows itself only to who asks by name: printed, logged or turned into JSON it is `[secret]`. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  reveal(): string {
    return this.#value
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [inspect.custom](): string {
    return '[secret]'
  }
}

/** A string in the file that `parse` turns into a value, or answers with what was expected. */
function word<T>(parse: (text: string) => T | undefined, expected: string) {
  return z.string(`expected ${expected}`).transform((text, context): T => {
    const value = parse(text)
    if (value !== undefined) return value
    context.issues.push({ code: 'custom', message: `expected ${expected}`, input: text })
    return z.NEVER
  })
}

/** Config value in milliseconds, written with its unit. */
export const duration = () => word(parseDuration, 'a duration such as 30s, 15m, 24h or 7d')
/** Config value in bytes, written with its unit. */
export const size = () => word(parseSize, 'a size such as 8KiB, 256KiB or 20MiB')
export const rate = () => word(parseRate, 'a rate such as 5/1h or 100/1m')
export const domain = () =>
  word((text) => (text === '' ? undefined : prepareDomain(text)), 'a domain such as example.org')
export const account = () => word(parseAccount, 'an address such as admin@example.org')
export const address = () => word(parseAddress, "an address with port such as '[::]:5222' or '127.0.0.1:5222'")
export const network = () => word(parseNetwork, "an address or a network such as '10.0.0.0/8' or '::1'")
export const secret = () => word((text) => (text === '' ? undefined : new Secret(text)), 'a text that is not empty')
